"""Rate control by a base picture's scale and quality: few encodes, each made once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from PIL import Image

from diffc.codecs.base_pictures import BaseCoder
from diffc.codecs.relay_settings import SCALES
from diffc.errors import OptionError

# ln(bits per pixel of the photograph) is about this + SLOPE * quality - FALL * ln(scale)
_START, _SLOPE, _FALL = -2.7, 0.038, 1.5
LEAST_QUALITY = {1.0: 15, 1.5: 8, 2.0: 12, 3.0: 0}
"""Below it, a smaller scale leads to a better picture than a coarser quality at this scale."""
# what of the room may stay unused before another encode is worth its time
_UNUSED = 0.04
_TINY = 256
# quality from, to; scale; base quality from, to.  Where the scale changes, bytes rise by a tenth
_LADDER = (
    (0.0, 15.0, 3.0, 0, 24),
    (15.0, 30.0, 2.0, 12, 24),
    (30.0, 50.0, 1.5, 16, 30),
    (50.0, 100.0, 1.0, 16, 100),
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
    _made: dict[tuple[float, int], bytes] = field(default_factory=dict)
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
        if key not in self._made:
            quality = self.coder.qualities[index]
            self._made[key] = self.coder.encode(self.scaled(scale), quality)
        return self._made[key]

    def length(self, scale: float, index: int) -> int:
        """Return how many bytes that takes."""
        return len(self.coded(scale, index))

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


def fit(trials: Trials, room: int) -> tuple[float, int] | None:
    """Return the scale and the index of the quality to code at for at most ``room`` bytes."""
    first: tuple[float, int] | None = None
    likely = _likely_scale(trials, room)
    for scale in trials.scales[trials.scales.index(likely) :]:
        index = _largest(trials, scale, room)
        if index is None:
            continue
        if trials.coder.qualities[index] >= LEAST_QUALITY[scale]:
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


def at_quality(trials: Trials, quality: float) -> tuple[float, int]:
    """Return the scale and the index that a quality of 0 to 100 stands for.

    Bytes never fall where the quality rises: among the base and those at the corners of the ladder
    below it, the longest is taken.
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
    # of flat and tiny pictures, a better quality may be a few bytes shorter
    found = everything if trials.length(*corners[-1]) < _TINY else corners
    # of several as long the last, which is the best
    return max(reversed(found), key=lambda each: trials.length(*each))


def _ladder(trials: Trials) -> Sequence[tuple[float, float, float, int, int]]:
    if len(trials.scales) == len(SCALES):
        return _LADDER
    return ((0.0, 100.0, trials.scales[0], 0, 100),)


def _likely_scale(trials: Trials, room: int) -> float:
    """Choose the least reduction at which the room allows a good quality, by one encode."""
    scales = trials.scales
    if len(scales) == 1:
        return scales[0]
    probe = 2.0 if 2.0 in scales else scales[-1]
    guess = _expected(trials, probe, room)
    difference = math.log(max(1, room) / trials.length(probe, guess))
    for scale in scales:
        quality = trials.coder.qualities[guess]
        quality += round((difference - _FALL * math.log(probe / scale)) / _SLOPE)
        if quality >= LEAST_QUALITY[scale]:
            return scale
    return scales[-1]


def _expected(trials: Trials, scale: float, room: int) -> int:
    width, height = trials.picture.size
    rate = math.log(8 * max(1, room) / (width * height))
    return trials.index_of((rate - _START + _FALL * math.log(scale)) / _SLOPE)


def _largest(trials: Trials, scale: float, room: int) -> int | None:
    """Find the largest quality that fits, or one that leaves little unused."""
    below, above = -1, trials.last + 1
    # from the nearest that has been made
    made = [index for each, index in trials._made if each == scale]
    index = made[-1] if made else _expected(trials, scale, room)
    slope = _SLOPE * trials.coder.qualities[-1] / trials.last
    points: list[tuple[int, float]] = []
    while above - below > 1:
        length = trials.length(scale, index)
        points.append((index, math.log(length)))
        if length <= room:
            below = index
            if length >= (1 - _UNUSED) * room:
                break
        else:
            above = index
        if len(points) > 1 and points[-1][0] != points[-2][0]:
            measured = (points[-1][1] - points[-2][1]) / (points[-1][0] - points[-2][0])
            slope = min(max(measured, 0.5 * slope), 2 * slope)
        if len(points) < 5:
            wanted = index + math.floor((math.log(max(1, room)) - points[-1][1]) / slope)
        else:
            wanted = (below + above) // 2
        index = min(max(wanted, below + 1), above - 1)
    return None if below < 0 else below
