"""How large a file may be: ``bpp``, ``target_size`` or ``quality``, at most one of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

DEFAULT_QUALITY = 50.0
NAMES = ("bpp", "target_size", "quality")


@dataclass(frozen=True)
class Target:
    """What the caller asked for.

    Parameters
    ----------
    file_bytes : int, optional
        Ceiling of the whole file in bytes.
    quality : float
        0 to 100; holds without a ceiling.
    text : str
        The option as given, for messages; empty if none was.
    """

    file_bytes: int | None
    quality: float
    text: str


def take_target(options: dict[str, Any], size: tuple[int, int]) -> Target:
    """Remove the rate options from ``options``; return what they ask for an image of a size.

    Raises
    ------
    ValueError
        If more than one is given, or one has a wrong type or range.
    """
    given = {name: options.pop(name) for name in NAMES if options.get(name) is not None}
    for name in NAMES:
        options.pop(name, None)
    if len(given) > 1:
        raise ValueError(f"one of bpp, target_size and quality sets the rate, not {_list(given)}")
    if not given:
        return Target(None, DEFAULT_QUALITY, "")
    ((name, value),) = given.items()
    text = f"{name}={value!r}"
    number = isinstance(value, int | float) and not isinstance(value, bool)
    # an int may be too large to be asked whether it is finite
    number = number and (isinstance(value, int) or math.isfinite(value))
    if name == "quality":
        if not number or not 0 <= value <= 100:
            raise ValueError(
                f"quality is a number from 0 to 100, not {value!r}: choose one of them"
            )
        return Target(None, float(value), text)
    if name == "target_size":
        if not number or value != int(value) or value < 1:
            raise ValueError(f"target_size is a whole number of bytes, at least 1, not {value!r}")
        return Target(int(value), DEFAULT_QUALITY, text)
    if not number or value <= 0:
        raise ValueError(f"bpp is bits per pixel, a number above 0, not {value!r}: try bpp=0.1")
    # no ceiling above this is another ceiling, and products stay finite
    value = min(value, 1e6)
    return Target(math.floor(value * size[0] * size[1] / 8), DEFAULT_QUALITY, text)


def _list(given: dict[str, Any]) -> str:
    return " and ".join(f"{name}={value!r}" for name, value in given.items()) + ": drop all but one"
