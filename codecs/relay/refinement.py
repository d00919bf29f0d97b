"""The last encode of a base: more slowly than those of the search, for a better picture.

What a slow encode gains is in `diffc.codecs.shared.base_pictures.av1_picture.usual_speed`; it is
made once or twice.
"""

from __future__ import annotations

from diffc.codecs.relay.rate_search import Trials
from diffc.codecs.shared.base_pictures.coders import BaseCoder

ROUGH = 0.08
"""What the search may leave of the room: a slow encode is as long as a fast one within 5 %, mostly."""
# slow encodes
_MOST = 3
# how far below the fast one's quality the slow one's is still better
_LOWER = 3
# how much longer the next quality is at least, mostly
_NEXT = 1.05


def refined(trials: Trials, coder: BaseCoder, scale: float, index: int, room: int) -> bytes:
    """Return a base of at most ``room`` bytes, by the slow coder where it can.

    Parameters
    ----------
    trials : Trials
        What the search made by a fast coder of the same standard.
    coder : BaseCoder
        The slow one.  If it is that of the search, what was found is kept.
    scale, index : float, int
        What `diffc.codecs.relay.rate_search.fit` chose.
    room : int
        Bytes.
    """
    if coder is trials.coder:
        return trials.coded(scale, index)
    slow: dict[int, bytes] = {}
    # what a slow encode takes of a fast one's bytes
    share, start = 1.0, index
    for _ in range(_MOST):
        index = _largest(trials, scale, index, room / share)
        if index in slow or index < start - _LOWER:
            break
        quality = coder.qualities[index]
        slow[index] = coder.encode(trials.scaled(scale), quality)
        share = len(slow[index]) / trials.length(scale, index)
    fitting = [coded for coded in slow.values() if len(coded) <= room]
    if not fitting:
        return trials.coded(scale, _largest(trials, scale, start, room))
    return max(fitting, key=len)


def _largest(trials: Trials, scale: float, index: int, room: float) -> int:
    """Walk from a quality to the largest near it that fits by the fast coder."""
    while index < trials.last and _NEXT * trials.length(scale, index) <= room:
        if trials.length(scale, index + 1) > room:
            return index
        index += 1
    while index and trials.length(scale, index) > room:
        index -= 1
    return index
