"""What a codec under test is called: ``NAME`` or ``NAME:KEY=VALUE,KEY=VALUE``."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import Any

from diffc.key_value import key_and_value

_OPTION = re.compile(r"[A-Za-z_][\w.-]*=")
_LONGEST_SLUG = 48


def split_specs(texts: Iterable[str]) -> list[str]:
    """Return the specs in lists that are separated by commas.

    What stands after a comma belongs to the codec before it if it has the form ``KEY=VALUE``, and
    is the next codec otherwise: ``perco:model=tiny,guidance=2,avif`` are two.  A value cannot hold
    a comma.

    Raises
    ------
    ValueError
        If an item is empty or comes twice, or a list begins with an option.
    """
    specs: list[str] = []
    for text in texts:
        first = len(specs)
        for piece in (each.strip() for each in text.split(",")):
            if not piece:
                raise ValueError(f"codecs are separated by single commas, not as in {text!r}")
            if not _OPTION.match(piece):
                specs.append(piece)
            elif len(specs) > first:
                specs[-1] += ("," if ":" in specs[-1] else ":") + piece
            else:
                raise ValueError(f"{text!r} begins with an option: name its codec before it")
    for spec in specs:
        if specs.count(spec) > 1:
            raise ValueError(f"codec {spec!r} is given twice: drop one of them")
    return specs


def parse_spec(spec: str) -> tuple[str, dict[str, Any]]:
    """Return a codec's name and options.

    Raises
    ------
    ValueError
        If the spec is malformed, or an option comes twice.
    """
    if not spec.isprintable():
        # names of folders may be no text; the run's files are
        raise ValueError(f"a codec and its options are printable text, not {spec!r}: rename it")
    name, colon, rest = spec.partition(":")
    if not name or (colon and not rest):
        raise ValueError(f"a codec is NAME or NAME:KEY=VALUE,KEY=VALUE, not {spec!r}")
    options: dict[str, Any] = {}
    for piece in rest.split(",") if rest else ():
        try:
            key, value = key_and_value(piece)
        except ValueError as error:
            raise ValueError(f"{error} (in {spec!r})") from error
        if key in options:
            raise ValueError(f"option {key!r} comes twice in {spec!r}: drop one of them")
        options[key] = value
    return name, options


def label_of(spec: str) -> str:
    """Return a spec as it is shown to others: of paths only the last part."""
    name, colon, rest = spec.partition(":")
    pieces = []
    for piece in rest.split(","):
        key, equals, value = piece.partition("=")
        pieces.append(key + equals + re.split(r"[/\\]", value.rstrip("/\\"))[-1])
    return name + colon + ",".join(pieces)


def slug(text: str) -> str:
    """Return a name for files: of ``[a-z0-9._-]`` only, and different for different texts."""
    plain = re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip(".-_")[:_LONGEST_SLUG]
    if plain == text:
        return plain
    return f"{plain}-{hashlib.sha256(text.encode(errors='surrogatepass')).hexdigest()[:6]}".lstrip(
        "-"
    )


def target_text(target_bpp: float) -> str:
    """Return a target in bits per pixel as it stands in paths and tables."""
    return f"{target_bpp:g}"
