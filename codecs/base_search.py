"""Rate control by a base picture's scale and quality: few encodes, each made once."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from PIL import Image

from diffc.codecs.base_pictures import BaseCoder
from diffc.codecs.relay_settings import SCALES

# ln(bits per pixel of the photograph) is about this + SLOPE * quality - FALL * ln(scale)
_START, _SLOPE, _FALL = -2.7, 0.038, 1.5
# a smaller scale is better than a coarser quality at this scale
LEAST_QUALITY = {1.0: 30, 1.5: 30, 2.0: 22}
# what of the room may stay unused before another encode is worth its time
_UNUSED = 0.03


@dataclass
class Trials:
    """Coded base pictures of one photograph.

    Parameters
    ----------
    coder : BaseCoder
        The standard.
    picture : PIL.Image.Image
        The photograph, RGB or L.
    """

    coder: BaseCoder
    picture: Image.Image
    _made: dict[tuple[float, int], bytes] = field(default_factory=dict)
    _scaled: dict[float, Image.Image] = field(default_factory=dict)

    def coded(self, scale: float, quality: int) -> bytes:
        """Return the base at a scale and a quality."""
        key = (scale, quality)
        if key not in self._made:
            self._made[key] = self.coder.encode(self.scaled(scale), quality)
        return self._made[key]

    def length(self, scale: float, quality: int) -> int:
        """Return how many bytes that takes."""
        return len(self.coded(scale, quality))

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


def fit(trials: Trials, room: int, scale: float | None) -> tuple[float, int] | None:
    """Return the scale and the quality to code at for at most ``room`` bytes.

    Parameters
    ----------
    trials : Trials
        Of the photograph.
    room : int
        Bytes for the base.
    scale : float, optional
        The caller's; None chooses the one that leads to the best final picture.
    """
    if scale is not None:
        quality = _largest(trials, scale, room)
        return None if quality is None else (scale, quality)
    for each in SCALES[SCALES.index(_likely_scale(trials, room)) :]:
        quality = _largest(trials, each, room)
        if quality is not None:
            return each, quality
    return None


def smallest(trials: Trials, scale: float | None) -> int:
    """Return the fewest bytes of a base."""
    scales = SCALES if scale is None else (scale,)
    lowest = trials.coder.qualities[0]
    return min(trials.length(each, lowest) for each in scales)


def _likely_scale(trials: Trials, room: int) -> float:
    """Choose the least reduction at which the room allows a good quality, by one encode."""
    probe = 2.0
    guess = _expected_quality(trials, probe, room)
    difference = math.log(max(1, room) / trials.length(probe, guess))
    for scale in SCALES[:-1]:
        quality = guess + (difference - _FALL * math.log(probe / scale)) / _SLOPE
        if quality >= LEAST_QUALITY[scale]:
            return scale
    return SCALES[-1]


def _expected_quality(trials: Trials, scale: float, room: int) -> int:
    width, height = trials.picture.size
    rate = math.log(8 * max(1, room) / (width * height))
    return _clipped(trials, (rate - _START + _FALL * math.log(scale)) / _SLOPE)


def _clipped(trials: Trials, quality: float) -> int:
    qualities = trials.coder.qualities
    return min(max(round(quality), qualities[0]), qualities[-1])


def _largest(trials: Trials, scale: float, room: int) -> int | None:
    """Find the largest quality that fits, or one that leaves little unused."""
    qualities = trials.coder.qualities
    quality = _expected_quality(trials, scale, room)
    below, above = qualities[0] - 1, qualities[-1] + 1
    slope = _SLOPE
    last: tuple[int, float] | None = None
    while above - below > 1:
        length = trials.length(scale, quality)
        if length <= room:
            below = quality
            if length >= (1 - _UNUSED) * room:
                break
        else:
            above = quality
        if last is not None and last[0] != quality:
            measured = (math.log(length) - last[1]) / (quality - last[0])
            slope = min(max(measured, 0.015), 0.12)
        last = quality, math.log(length)
        step = math.log(max(1, room) / length) / slope
        # rounded towards the side that fits
        wanted = quality + math.floor(step)
        quality = min(max(wanted, below + 1), above - 1)
    return None if below < qualities[0] else below


def rung(quality: float) -> tuple[float, int]:
    """Return the scale and the base's quality that a quality of 0 to 100 stands for."""
    for start, end, scale, first, last in _LADDER:
        if quality <= end:
            part = (quality - start) / (end - start)
            return scale, round(first + part * (last - first))
    raise AssertionError("the ladder ends at 100")


# quality from, to; scale; base quality from, to.  Where the scale changes, bytes rise by a tenth
_LADDER = (
    (0.0, 20.0, 3.0, 0, 42),
    (20.0, 60.0, 2.0, 28, 58),
    (60.0, 80.0, 1.5, 48, 68),
    (80.0, 100.0, 1.0, 58, 100),
)
