"""How large a file may be: what the caller asks for, and what a codec is told of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from diffc.errors import RateError

if TYPE_CHECKING:
    from diffc.codec import Encoded

DEFAULT_QUALITY = 50.0
NAMES = ("bpp", "target_size", "quality")

Rung = TypeVar("Rung")
# payloads so small need not grow from rung to rung
_TINY = 256


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


@dataclass(frozen=True)
class Rate:
    """How large the coded picture may be.

    Parameters
    ----------
    quality : float
        0 to 100, where larger is never smaller in bytes.  Holds if there is no limit.
    limit : callable, optional
        Maps the number of parameter bytes to the largest payload in bytes that keeps the file
        within its target; negative if none does.  None when the caller gave a quality instead.
    asked : bool
        Whether the caller gave a rate at all; if not, a codec's own aim (such as a PSNR) holds.
    """

    quality: float = 50.0
    limit: Callable[[int], int] | None = None
    asked: bool = True

    @property
    def bounded(self) -> bool:
        """Whether there is a limit in bytes."""
        return self.limit is not None

    def room(self, parameters: int = 0) -> int:
        """Return the largest payload beside so many bytes of parameters; negative if none fits.

        Raises
        ------
        ValueError
            If the caller gave a quality: ask `bounded` first.
        """
        if self.limit is None:
            raise ValueError("a quality sets no limit in bytes: ask Rate.bounded first")
        return self.limit(parameters)

    def largest(self, ladder: Sequence[Rung], make: Callable[[Rung], Encoded]) -> Encoded:
        """Return the best of several ways to code a picture that the rate allows.

        Few are tried: a limit is met by bisection, a quality is a rung.  A rung that is longer than
        a later one is passed over for it, so that bytes rise with the quality.

        Parameters
        ----------
        ladder : sequence
            Settings of the codec's own, that of the fewest bytes and the worst picture first.
        make : callable
            Codes the picture with one of them; called once for each that is tried.

        Raises
        ------
        RateError
            If none fits.
        """
        made: dict[int, Encoded] = {}

        def at(index: int) -> Encoded:
            if index not in made:
                made[index] = make(ladder[index])
            return made[index]

        def best_from(index: int) -> int:
            """Return the last of the shortest rungs from one on, as far as they may be as short."""
            best = index
            for later in range(index + 1, len(ladder)):
                if at(later).length <= at(best).length:
                    best = later
                elif at(later).length >= _TINY:
                    break
            return best

        def fits(index: int) -> bool:
            return len(at(index).payload) <= self.room(len(at(index).parameters))

        if not self.bounded:
            return at(best_from(round(self.quality / 100 * (len(ladder) - 1))))
        below, above = -1, len(ladder)
        while above - below > 1:
            middle = (below + above) // 2
            below, above = (middle, above) if fits(middle) else (below, middle)
        chosen = best_from(max(below, 0))
        # what is tiny may fit again further up
        tried = [index for index in made if index > chosen and fits(index)]
        chosen = max(tried, default=chosen)
        if not fits(chosen):
            lowest = at(chosen).length
            raise RateError(lowest, lambda: max(at(len(ladder) - 1).length, lowest))
        return at(chosen)
