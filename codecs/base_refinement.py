"""The last encode of a base: more slowly than those of the search, for a better picture.

At a low rate, AV1's encoder at speed 5 gains 0.1 to 0.9 dB over speed 6 (0.3 on average of ten
photos) and takes three times as long, so only what is kept is coded by it, usually once.
"""

from __future__ import annotations

from diffc.codecs.base_pictures import BaseCoder
from diffc.codecs.base_search import Trials

LARGEST = 1 << 20
"""Pixels of a base; a larger one would take seconds."""
MOST = 0.12
"""Bits per pixel of the photograph; the time goes with them as well."""
# what a slow encode takes of a fast one's bytes, on average, by scale
_USUAL = {1.0: 1.01, 1.5: 1.035, 2.0: 1.05, 3.0: 1.05}
# how much longer the next quality is, where it was not tried
_NEXT = 1.07
# what of the room may stay unused before another encode is worth its time
_UNUSED = 0.05


def refined(trials: Trials, coder: BaseCoder, scale: float, index: int, room: int) -> bytes:
    """Return a base of at most ``room`` bytes, by the slow coder where it can.

    Parameters
    ----------
    trials : Trials
        What the search made by a fast coder of the same standard.
    coder : BaseCoder
        The slow one.
    scale, index : float, int
        What `diffc.codecs.base_search.fit` chose.
    room : int
        Bytes.
    """
    best = trials.coded(scale, index)
    picture = trials.scaled(scale)
    width, height = trials.picture.size
    if picture.width * picture.height > LARGEST or 8 * room > MOST * width * height:
        return best
    wanted = room / _USUAL[scale]
    lowest, start = max(index - 1, 0), index
    if index < trials.last and _next_length(trials, scale, index) <= wanted:
        start = index + 1
    elif len(best) > wanted:
        start = lowest
    for each in range(start, lowest - 1, -1):
        coded = coder.encode(picture, coder.qualities[each])
        if len(coded) > room:
            continue
        if each == start and each < trials.last and len(coded) < (1 - _UNUSED) * room:
            better = coder.encode(picture, coder.qualities[each + 1])
            return better if len(better) <= room else coded
        return coded
    return best


def _next_length(trials: Trials, scale: float, index: int) -> float:
    known = trials.made.get((scale, index + 1))
    return _NEXT * trials.length(scale, index) if known is None else len(known)
