"""Checks of what a decoder does with data that no encoder wrote, or with less than all of it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from diffc.codec import Coded
from diffc.conformance.subject import Subject, in_thread, picture, require_picture

# small pictures decode fast, and there is much damage to try
_SIZE = (31, 17)
_MOST_PREFIXES = 40


def check_damage(subject: Subject) -> None:
    """Require `OSError`, `ValueError` or some picture for damaged data; nothing else, ever."""
    coded = subject.coded(subject.encode(picture("scene", _SIZE)), _SIZE)
    for damage, damaged in _damages(coded):
        in_thread(
            partial(_try, subject, damage, damaged),
            subject.time_limit,
            f"decoding ends whatever the data, but with {damage} it took more than "
            f"{subject.time_limit:g} seconds",
        )


def _try(subject: Subject, damage: str, damaged: Coded) -> None:
    try:
        made = subject.decode(damaged)
    except (OSError, ValueError):
        return
    except BaseException as error:
        raise AssertionError(
            f"damaged data raise OSError or ValueError, but {damage} raised "
            f"{type(error).__name__}: {error}"
        ) from error
    require_picture(made, damaged.size, f"with {damage}")


def _damages(coded: Coded) -> Iterator[tuple[str, Coded]]:
    """Yield damaged data, each with a name; the same ones every time."""
    source = random.Random(0)
    for number, changed in enumerate(_changes(coded.payload, source)):
        yield f"damage {number} of the payload", replace(coded, payload=changed)
    for number, changed in enumerate(_changes(coded.parameters, source)):
        yield f"damage {number} of the parameters", replace(coded, parameters=changed)
    width, height = coded.size
    for size in ((1, 1), (height, width), (width + 1, height), (4 * width, 4 * height)):
        yield f"the size {size[0]}x{size[1]} for {width}x{height}", replace(coded, size=size)
    for fingerprint in (None, bytes(4), b"\xff" * 4):
        yield f"the fingerprint {fingerprint!r}", replace(coded, fingerprint=fingerprint)


def _changes(data: bytes, source: random.Random) -> Iterator[bytes]:
    length = len(data)
    yield b""
    yield bytes(length)
    yield b"\xff" * length
    yield data + b"\0"
    for _ in range(8):
        yield data[: source.randrange(length + 1)]
        yield source.randbytes(length)
        yield source.randbytes(source.randrange(2 * length + 16))
        if data:
            flipped = bytearray(data)
            flipped[source.randrange(length)] ^= 1 << source.randrange(8)
            yield bytes(flipped)


def check_prefixes(subject: Subject) -> None:
    """Require that every prefix of a progressive codec's payload gives a picture."""
    for size in subject.sizes:
        coded = subject.coded(subject.encode(picture("scene", size)), size)
        whole = len(coded.payload)
        stride = -(-(whole + 1) // _MOST_PREFIXES)
        for length in range(0, whole, stride):
            prefix = replace(coded, payload=coded.payload[:length], truncated=True)
            source = f"from {length} of {whole} bytes of a {size[0]}x{size[1]} picture"
            try:
                made = subject.decode(prefix)
            except Exception as error:
                raise AssertionError(
                    "a progressive codec decodes every prefix, but it raised "
                    f"{type(error).__name__} {source}: {error}"
                ) from error
            require_picture(made, size, source)
