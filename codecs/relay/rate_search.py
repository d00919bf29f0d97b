"""Rate control by a base picture's scale and quality: few encodes, each made once.

The last one is by a slower coder, for a better picture of the same bytes; what that gains is in
`diffc.codecs.shared.base_pictures.av1_picture.usual_speed`.
"""

from __future__ import annotations

import math
from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial

from PIL import Image

from diffc.codecs.relay.codec import SCALES
from diffc.codecs.relay.expected_length import activity, expected_length
from diffc.codecs.shared.base_pictures.coders import BaseCoder
from diffc.errors import OptionError

# how much steeper or flatter the growth of one photograph may be
_STEEPEST = 1.5
LEAST_QUALITY = {1.0: 22, 1.5: 19, 2.0: 6, 3.0: 0}
"""Below it, a smaller scale leads to a better picture than a coarser quality at this scale."""
# how far below it is not worth coding the photograph again at another scale
_NEAR = 3
# what of the room may stay unused before another encode is worth its time
UNUSED = 0.04
_TINY = 256
# by the coder of what is kept a base is as long as by the fast one within 5 % (standard deviation)
_SHORT = 0.8
# quality from, to; scale; base quality from, to.  Where the scale changes, bytes rise by a sixth
_LADDER = (
    (0.0, 10.0, 3.0, 0, 13),
    (10.0, 32.0, 2.0, 6, 25),
    (32.0, 60.0, 1.5, 19, 33),
    (60.0, 100.0, 1.0, 22, 100),
)


@dataclass
class Trials:
    """Coded base pictures of one photograph; qualities go by their index among the coder's.

    Parameters
    ----------
    coder : BaseCoder
        The standard.
    picture : PIL.Image.Image
        The photograph, RGB or L.
    scale : float, optional
        The only one to use.

    Raises
    ------
    OptionError
        If the picture is too large for the coder at every scale.
    """

    coder: BaseCoder
    picture: Image.Image
    scale: float | None = None
    made: dict[tuple[float, int], bytes] = field(default_factory=dict)
    _scaled: dict[float, Image.Image] = field(default_factory=dict)

    @cached_property
    def scales(self) -> list[float]:
        """The scales to choose from, the least reduction first."""
        longest = self.coder.longest_side
        wanted = SCALES if self.scale is None else (self.scale,)
        found = [each for each in wanted if max(base_size(self.picture.size, each)) <= longest]
        if not found:
            raise OptionError(
                f"base {self.coder.name!r} has sides of at most {longest} pixels, which a picture of "
                f"{self.picture.width}x{self.picture.height} exceeds at scale {wanted[-1]:g}: "
                "choose another scale or base, or cut the picture"
            )
        return found

    @property
    def last(self) -> int:
        """Index of the highest quality."""
        return len(self.coder.qualities) - 1

    def index_of(self, quality: float) -> int:
        """Return the index of about a quality of 0 to 100."""
        return min(max(round(quality / self.coder.qualities[-1] * self.last), 0), self.last)

    def coded(self, scale: float, index: int) -> bytes:
        """Return the base at a scale and a quality."""
        key = (scale, index)
        if key not in self.made:
            quality = self.coder.qualities[index]
            self.made[key] = self.coder.encode(self.scaled(scale), quality)
        return self.made[key]

    def length(self, scale: float, index: int) -> int:
        """Return how many bytes that takes."""
        return len(self.coded(scale, index))

    def expected(self, scale: float, index: int) -> float:
        """Return ln of the length that photographs like this one have there."""
        quality = self.coder.qualities[index]
        return expected_length(self.picture.size, self._activity, scale, quality)

    @cached_property
    def _activity(self) -> float:
        return activity(self.picture)

    def scaled(self, scale: float) -> Image.Image:
        """Return the photograph at a scale."""
        if scale not in self._scaled:
            size = base_size(self.picture.size, scale)
            self._scaled[scale] = self.picture.resize(size, Image.Resampling.LANCZOS)
        return self._scaled[scale]


def base_size(size: tuple[int, int], scale: float) -> tuple[int, int]:
    """Return width and height of the base of a picture; part of the format.

    Exact: scales are halves of whole numbers, and a half is rounded up.
    """
    twice = round(2 * scale)
    width, height = (max(1, (4 * side + twice) // (2 * twice)) for side in size)
    return width, height


def fit(trials: Trials, room: int, unused: float = UNUSED) -> tuple[float, int] | None:
    """Return the scale and the index of the quality to code at for at most ``room`` bytes.

    What of the room may stay ``unused`` saves another encode.
    """
    first: tuple[float, int] | None = None
    likely = _likely_scale(trials, room)
    for scale in trials.scales[trials.scales.index(likely) :]:
        index = _largest(trials, scale, room, unused)
        if index is None:
            continue
        if trials.coder.qualities[index] >= LEAST_QUALITY[scale] - _NEAR:
            return scale, index
        first = first or (scale, index)
    if first is not None:
        return first
    scale, length = smallest(trials)
    return (scale, 0) if length <= room else None


def smallest(trials: Trials) -> tuple[float, int]:
    """Return the scale of the base with the fewest bytes, and these."""
    lengths = {scale: trials.length(scale, 0) for scale in trials.scales}
    scale = min(lengths, key=lambda each: lengths[each])
    return scale, lengths[scale]


def at_quality(trials: Trials, quality: float, rough: Trials | None = None) -> tuple[float, int]:
    """Return the scale and the index that a quality of 0 to 100 stands for.

    Bytes never fall where the quality rises: among the base and those at the corners of the ladder
    below it, the longest is taken.

    Parameters
    ----------
    trials : Trials
        By the coder that codes what is kept.
    quality : float
        0 to 100.
    rough : Trials, optional
        Of the same photograph by a faster coder, to tell which corners cannot be as long.
    """
    corners: list[tuple[float, int]] = []
    everything: list[tuple[float, int]] = []
    for start, end, scale, lowest, highest in _ladder(trials):
        first, last = trials.index_of(lowest), trials.index_of(highest)
        if quality <= end:
            last = round(first + (quality - start) / (end - start) * (last - first))
        corners.append((scale, last))
        everything += [(scale, index) for index in range(first, last + 1)]
        if quality <= end:
            break
    length = trials.length(*corners[-1])
    # of flat and tiny pictures, a better quality may be a few bytes shorter
    found = everything if length < _TINY else _near(corners, length, rough or trials)
    # of several as long the last, which is the best
    return max(reversed(found), key=lambda each: trials.length(*each))


def _near(corners: list[tuple[float, int]], length: int, rough: Trials) -> list[tuple[float, int]]:
    """Leave out what is too short to be as long by another coder of the same standard."""
    return [each for each in corners[:-1] if rough.length(*each) > _SHORT * length] + corners[-1:]


def _ladder(trials: Trials) -> Sequence[tuple[float, float, float, int, int]]:
    if len(trials.scales) == len(SCALES):
        return _LADDER
    return ((0.0, 100.0, trials.scales[0], 0, 100),)


def _likely_scale(trials: Trials, room: int) -> float:
    """Choose the least reduction at which the room allows a good quality, by one encode."""
    if len(trials.scales) > 1:
        scale = _expected_scale(trials, room)
        trials.length(scale, _expected(trials, scale, room))
    return _expected_scale(trials, room)


def _expected_scale(trials: Trials, room: int) -> float:
    for scale in trials.scales:
        if trials.coder.qualities[_expected(trials, scale, room)] >= LEAST_QUALITY[scale]:
            return scale
    return trials.scales[-1]


def _largest(trials: Trials, scale: float, room: int, unused: float) -> int | None:
    """Find the largest quality that fits, or one that leaves little unused."""
    below, above = -1, trials.last + 1
    count = 0
    while above - below > 1:
        # where the model fails, halves do not
        wanted = _expected(trials, scale, room) if count < 5 else (below + above) // 2
        index = min(max(wanted, below + 1), above - 1)
        count += 1
        length = trials.length(scale, index)
        if length > room:
            above = index
            continue
        below = index
        if length >= (1 - unused) * room:
            break
    return None if below < 0 else below


def _expected(trials: Trials, scale: float, room: int) -> int:
    """Return the index of the largest quality that is expected to fit."""
    wanted = math.log(max(1, room))
    # where logarithms of lengths are known: first at this scale, then nearest to what is wanted
    known = sorted(
        (each != scale, abs(math.log(len(coded)) - wanted), each, index, math.log(len(coded)))
        for (each, index), coded in trials.made.items()
    )
    if known:
        _, _, each, index, found = known[0]
        steepness = 1.0
        if len(known) > 1 and known[1][2] == each == scale:
            change = trials.expected(scale, known[1][3]) - trials.expected(scale, index)
            steepness = (known[1][4] - found) / change if change else 1.0
            steepness = min(max(steepness, 1 / _STEEPEST), _STEEPEST)
        wanted = trials.expected(each, index) + (wanted - found) / steepness
    return max(0, bisect(range(trials.last + 1), wanted, key=partial(trials.expected, scale)) - 1)


ROUGH = 0.08
"""What the search may leave of the room: a slow encode is as long as a fast one within 5 %, mostly."""
# slow encodes
_MOST = 3
# how far below the fast one's quality the slow one's is still better
_LOWER = 3
# how much longer the next quality is at least, mostly
_NEXT = 1.05


def refine_base(trials: Trials, coder: BaseCoder, scale: float, index: int, room: int) -> bytes:
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
        index = _largest_near(trials, scale, index, room / share)
        if index in slow or index < start - _LOWER:
            break
        quality = coder.qualities[index]
        slow[index] = coder.encode(trials.scaled(scale), quality)
        share = len(slow[index]) / trials.length(scale, index)
    fitting = [coded for coded in slow.values() if len(coded) <= room]
    if not fitting:
        return trials.coded(scale, _largest_near(trials, scale, start, room))
    return max(fitting, key=len)


def _largest_near(trials: Trials, scale: float, index: int, room: float) -> int:
    """Walk from a quality to the largest near it that fits by the fast coder."""
    while index < trials.last and _NEXT * trials.length(scale, index) <= room:
        if trials.length(scale, index + 1) > room:
            return index
        index += 1
    while index and trials.length(scale, index) > room:
        index -= 1
    return index
