"""The largest level whose size fits, in few trials."""

from __future__ import annotations

import math
from collections.abc import Callable

# sizes over all levels of a codec grow about so much, for the first guess
_WHOLE_GROWTH = math.log(100)


def highest_fitting(
    size: Callable[[int], int], highest: int, limit: int, tolerance: float = 0.0
) -> int | None:
    """Return the largest level from 0 that was seen to fit.

    The search guesses from the logarithm of the sizes, which is nearly straight for all codecs,
    and halves the interval now and then, so that no curve makes it slow.  It tries the same levels
    whatever was tried for other limits, so its result does not depend on the order of the work.

    Parameters
    ----------
    size : callable
        Bytes at a level; larger levels should not be smaller, but may be.
    highest : int
        The largest level.
    limit : int
        Most bytes.
    tolerance : float
        Stop where at most this part of the limit is unused; with 0 the next level was seen not to
        fit, or there is none.

    Returns
    -------
    int or None
        None if level 0 does not fit.
    """
    low, low_size = 0, size(0)
    if low_size > limit:
        return None
    high, high_size = highest + 1, 0
    growth, least_step, turn = _WHOLE_GROWTH / max(highest, 1), 1, 0
    while high - low > 1 and (tolerance == 0 or low_size < (1 - tolerance) * limit):
        turn += 1
        if high_size == 0:
            # no upper end yet
            step = math.ceil(math.log(limit / low_size) / growth)
            guess, least_step = low + max(step, least_step), 2 * least_step
        elif turn % 3 == 0:
            guess = (low + high) // 2
        else:
            part = math.log(limit / low_size) / math.log(high_size / low_size)
            guess = low + math.floor(part * (high - low))
        guess = min(max(guess, low + 1), high - 1)
        found = size(guess)
        if found > limit:
            high, high_size = guess, found
            continue
        if found > low_size:
            growth = math.log(found / low_size) / (guess - low)
        low, low_size = guess, found
    return low
