"""What a batch does with every file, and what travels to a worker and back."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from diffc.decode_options import with_changes
from diffc.rate import NAMES
from diffc.values import plain_value

Verb = Literal["encode", "decode", "transcode"]

# where a file is coded does not say what is in it
_PLACES = ("device", "allow_download")


@dataclass(frozen=True)
class Task:
    """What a batch does with every file.

    Parameters
    ----------
    verb : {"encode", "decode", "transcode"}
        Make DIFFC files of pictures, pictures of DIFFC files, or DIFFC files of DIFFC files.
    options : dict
        Keywords of `diffc.encode`; of `diffc.decoding` for "decode".
    decode_options : dict
        Keywords of `diffc.decoding` for "transcode".
    keep_profile, keep_metadata : bool
        Of "encode": store ICC profiles; store EXIF and XMP.
    initializer : callable, optional
        Called once in every worker, before anything else; such as one that registers a codec.
    """

    verb: Verb
    options: dict[str, Any] = field(default_factory=dict)
    decode_options: dict[str, Any] = field(default_factory=dict)
    keep_profile: bool = False
    keep_metadata: bool = False
    initializer: Callable[[], object] | None = None

    def check(self) -> None:
        """Check all that can be checked without a file.

        Raises
        ------
        ValueError
            If an option is unknown, or has a wrong type or range.
        """
        if self.verb not in get_args(Verb):
            raise ValueError(
                f"a batch does {', '.join(get_args(Verb))}, not {self.verb!r}: choose one of them"
            )
        if self.verb != "encode" and (self.keep_profile or self.keep_metadata):
            raise ValueError(
                f"icc and keep_metadata are choices of 'encode', not of {self.verb!r}, which keeps "
                "both: drop them"
            )
        if self.verb != "transcode" and self.decode_options:
            raise ValueError(
                f"decode_options are those of 'transcode', not of {self.verb!r}: drop them"
            )
        self.check_options(self.options)
        _check_decode_options(self.decode_options)
        self.digest(self.options)

    def check_options(self, options: dict[str, Any]) -> None:
        """Check the options of a file; see `check`."""
        if "progress" in options:
            raise ValueError("progress is told of files here, not of steps: drop it from options")
        if self.verb == "decode":
            _check_decode_options(options)
            return
        from diffc.encoding import check_options

        check_options(options)

    def with_own(self, own: dict[str, Any]) -> dict[str, Any]:
        """Return the options of a file that has some of its own."""
        # one of several rates holds, and a file's own goes before that of all
        dropped = NAMES if self.verb != "decode" and any(name in own for name in NAMES) else ()
        return {name: v for name, v in self.options.items() if name not in dropped} | own

    def digest(self, options: dict[str, Any]) -> str:
        """Return a hash of all that a file's content depends on but its source, hexadecimal.

        Raises
        ------
        ValueError
            If an option has a value that JSON does not hold.
        """
        from hashlib import sha256

        said = [self.verb, _as_json(options), _as_json(self.decode_options)]
        text = json.dumps([*said, self.keep_profile, self.keep_metadata], sort_keys=True)
        return sha256(text.encode()).hexdigest()[:16]


def _check_decode_options(options: dict[str, Any]) -> None:
    try:
        with_changes(**options)
    except TypeError:
        raise ValueError(
            "options of decoding are device, steps, realism, guidance, cache, precision, model and "
            f"allow_download, not {', '.join(map(repr, options))}: drop the others"
        ) from None


def _as_json(options: dict[str, Any]) -> dict[str, Any]:
    given = {name: plain_value(value) for name, value in options.items() if value is not None}
    return {name: _json_value(name, value) for name, value in given.items() if name not in _PLACES}


def _json_value(name: str, value: object) -> object:
    if isinstance(value, bytes):
        return ["bytes", value.hex()]
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        raise ValueError(
            f"an option of a batch is a number, a text, bytes or lists of them, not {name} of type "
            f"{type(value).__name__}: pass one of these"
        ) from None
    return value


@dataclass(frozen=True)
class Job:
    """What a worker is given.

    Parameters
    ----------
    number : int
        Tells it from others.
    data : bytes
        The source.
    options : dict
        See `Task`; with those of this file.
    name : str
        Of the target, without its folder; the extension says what format to write.
    """

    number: int
    data: bytes
    options: dict[str, Any]
    name: str = ""


@dataclass(frozen=True)
class Outcome:
    """What a worker gives back.

    Parameters
    ----------
    number : int
        The job's.
    data : bytes, optional
        The target; None if it could not be made.
    error : str, optional
        Why it could not be.
    codec : str, optional
        Of the DIFFC file.
    pixels : int
        Of the picture.
    seconds : float
        That it took.
    warnings : list of str
        What was warned of.
    """

    number: int
    data: bytes | None = None
    error: str | None = None
    codec: str | None = None
    pixels: int = 0
    seconds: float = 0.0
    warnings: list[str] = field(default_factory=list)
