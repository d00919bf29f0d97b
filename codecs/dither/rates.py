"""The quantiser's step for a rate: a search over real files, by an estimate of their lengths."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from diffc.codec import Progress, Rate
from diffc.codecs.dither.bitstream import STEP_COUNT, STEPS_PER_OCTAVE
from diffc.errors import RateError

# a file at least so full is not tried to be filled more
_FULL = 0.985
_MOST_ESTIMATES, _MOST_FILES = 8, 12
# of the room, to begin with: an estimate may be a little short
_AIM = 0.993
# bytes go about with this power of the step's inverse
_EXPONENT = 1.7
# quality 0 to 100 goes over these steps, even in their logarithm
_WORST, _BEST = 128, 8 * STEPS_PER_OCTAVE + STEPS_PER_OCTAVE // 2


@dataclass(frozen=True)
class Attempt:
    """A latent coded with one step of the quantiser.

    Parameters
    ----------
    index : int
        Of the step, see `diffc.codecs.dither.bitstream.step_of`.
    estimate : float
        Bytes that its symbols cost by their shares.
    payload : callable
        Codes them.
    """

    index: int
    estimate: float
    payload: Callable[[], bytes]


def index_of_quality(quality: float) -> int:
    """Return the index of the step of a quality from 0 to 100."""
    return round(_WORST + (_BEST - _WORST) * quality / 100)


def fill(
    rate: Rate, parameters: int, attempt: Callable[[int], Attempt], progress: Progress
) -> tuple[int, bytes]:
    """Return the step whose file uses a bounded rate best, and its payload.

    Parameters
    ----------
    rate : Rate
        The size allowed; it is bounded.
    parameters : int
        Bytes of the parameters.
    attempt : callable
        Quantises with the step of an index.
    progress : callable
        Called with the trials that are done and their number at most.

    Raises
    ------
    RateError
        If nothing fits, or the finest step uses less than 0.95 of it.
    """
    room = rate.room(parameters)
    made: dict[int, bytes] = {}
    tried: dict[int, Attempt] = {}
    total = _MOST_ESTIMATES + _MOST_FILES

    def quantised(index: int) -> Attempt:
        if index not in tried:
            tried[index] = attempt(index)
        return tried[index]

    def payload(index: int) -> bytes:
        if index not in made:
            made[index] = quantised(index).payload()
            progress(min(_MOST_ESTIMATES + len(made), total), total)
        return made[index]

    if room < len(payload(0)):
        raise RateError(
            parameters + len(payload(0)), lambda: parameters + len(payload(STEP_COUNT - 1))
        )
    aim = _AIM * room
    index = _approach(lambda index: quantised(index).estimate, aim, {}, STEP_COUNT // 2)
    lengths: dict[int, float] = {}
    for _ in range(_MOST_FILES):
        lengths[index] = len(payload(index))
        if _FULL * room <= lengths[index] <= room:
            break
        following = _interpolated(lengths, aim, index)
        if following is None:
            break
        index = following
    best = max((index for index in made if len(made[index]) <= room), key=lambda i: len(made[i]))
    if best == STEP_COUNT - 1 and len(made[best]) < 0.95 * room:
        raise RateError(parameters + len(payload(0)), parameters + len(made[best]))
    return best, made[best]


def _approach(
    measure: Callable[[int], float], wanted: float, known: dict[int, float], index: int
) -> int:
    """Return an index whose measure is about what is wanted."""
    for _ in range(_MOST_ESTIMATES):
        known[index] = measure(index)
        if abs(known[index] - wanted) < 0.005 * wanted:
            break
        following = _interpolated(known, wanted, index)
        if following is None:
            break
        index = following
    return index


def _interpolated(known: dict[int, float], wanted: float, index: int) -> int | None:
    """Return where to try next, strictly between the nearest that are known to be off.

    The logarithm of the bytes is nearly straight in the index.  None if nothing is between them.

    Parameters
    ----------
    known : dict
        Bytes by index.
    wanted : float
        Bytes.
    index : int
        The last one that was tried.
    """
    low = max((i for i, length in known.items() if length <= wanted), default=-1)
    high = min(
        (i for i, length in known.items() if length > wanted and i > low), default=STEP_COUNT
    )
    if high - low <= 1:
        return None
    if low in known and high in known:
        bottom, top = (math.log2(max(known[i], 1.0)) for i in (low, high))
        part = (math.log2(max(wanted, 1.0)) - bottom) / max(top - bottom, 1e-6)
        # not too near either end, so that the other one moves, too
        following = low + round((high - low) * min(max(part, 0.1), 0.9))
    else:
        factor = max(wanted, 1.0) / max(known[index], 1.0)
        following = index + round(STEPS_PER_OCTAVE / _EXPONENT * math.log2(factor))
    return min(max(following, low + 1), high - 1)
