"""How long a base picture will be, told before it is coded, so that few have to be.

A linear fit of 57 photographs that were neither trained nor measured on, at four scales and three
qualities each: it is off by a fifth (standard deviation), without the picture's activity by three
fifths.
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
from PIL import Image

# (quality, ln of its bytes over those of quality 0): means over photographs
_GROWTH = (
    (0, 0.0),
    (1, 0.28),
    (4, 0.62),
    (12, 1.16),
    (25, 1.8),
    (51, 2.88),
    (76, 3.57),
    (89, 4.0),
    (100, 4.9),
)
# ln(bits per pixel) at scale 2 and a growth of 1.16; its slopes with activity, growth, growth times
# activity, and ln(scale)
_MIDDLE = 1.16
_BITS, _MORE_BITS = -5.89, 1.124
_SLOPE, _MORE_SLOPE = 0.236, 0.319
_FALL = 1.424
_REDUCTION = 4
_USUAL_ACTIVITY = 2.3


def activity(picture: Image.Image) -> float:
    """Return how much happens in a picture: ln of the mean step between pixels of a fourth of it."""
    small = np.asarray(picture.reduce(_REDUCTION).convert("L"), dtype=np.float32)
    if min(small.shape) < 2:
        return _USUAL_ACTIVITY
    steps = (np.abs(np.diff(small, axis=axis)).mean(dtype=np.float64) for axis in (0, 1))
    return math.log(0.5 + sum(steps) / 2)


def expected_length(size: tuple[int, int], active: float, scale: float, quality: float) -> float:
    """Return ln of the bytes that a base is expected to have.

    Parameters
    ----------
    size : tuple of int
        Width and height of the photograph.
    active : float
        Its `activity`.
    scale : float
        How many times smaller the base is.
    quality : float
        0 to 100.
    """
    # of the flattest pictures bytes would fall with the quality
    slope = max(_SLOPE + _MORE_SLOPE * active, _SLOPE)
    bits = _BITS + _MORE_BITS * active + (_growth(quality) - _MIDDLE) * slope
    return math.log(math.prod(size) / 8) + bits - _FALL * math.log(scale / 2)


def _growth(quality: float) -> float:
    (start, low), (end, high) = next(each for each in pairwise(_GROWTH) if quality <= each[1][0])
    return low + (high - low) * (quality - start) / (end - start)
