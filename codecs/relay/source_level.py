"""How far a lossy picture is from its original, estimated without the original.

Of a JPEG file its steps say it, of other files their bytes, both together with how much happens in the
picture.  Where there is no file, the steps of a JPEG that it was are looked for in the pixels.
``examples/fit_source_level.py`` fits the numbers here to photographs and prints how far off they are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image

from diffc.codecs.shared.base_pictures.jpeg_file import Floats, to_blocks, transform

# ln(level / L) = a + b r + c r^2: L is the error if all coefficients were off by anything up to half a
# step, r the logarithm of how busy a picture is over its steps; more than that is not fitted
_JPEG, _BUSIEST = (0.1943, 0.663, 0.047), 0.2
# ln level = a + b ln(bits a pixel) + c `activity`
_BY_LENGTH = {
    "WEBP": (-5.172, -0.733, 0.958),
    "AVIF": (-5.493, -0.817, 1.092),
    "HEIF": (-5.388, -0.68, 0.987),
    "JXL": (-5.28, -0.78, 1.057),
}
# as far as it was fitted, and nothing is restored that nobody sees
_LEAST, _MOST = 0.002, 0.4

# T.81, table K.1: steps of luma at quality 50 of most encoders
_USUAL = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ],
    np.float32,
)
# how many blocks are looked at, and how many of them have to have a coefficient
_BLOCKS, _FEW = 3000, 24
# coefficients that are not zero, over those of any other grid
_FEWER = 0.8


@dataclass(frozen=True)
class JpegTrace:
    """What pixels tell of the JPEG that they were.

    Parameters
    ----------
    top, left : int
        Where the first whole block begins, 0 to 7.
    step : float
        Mean step of its luma.
    """

    top: int
    left: int
    step: float


def activity(picture: Image.Image) -> float:
    """Return the logarithm of the mean difference of neighbours' grey levels."""
    luma = _luma(picture)
    total = sum(
        float(np.abs(np.diff(luma, axis=axis)).mean()) if luma.shape[axis] > 1 else 0.0
        for axis in (0, 1)
    )
    return math.log(total / 2 + 0.05)


def level_of_jpeg(picture: Image.Image, step: float) -> float:
    """Return the root mean square error, for pixels in [-1, 1], of a JPEG.

    Parameters
    ----------
    picture : PIL.Image.Image
        As decoded.
    step : float
        Mean of the luma's 63 steps without the constant's.
    """
    a, b, c = _JPEG
    busy = min(activity(picture) - math.log(step), _BUSIEST)
    return _bounded(math.log(step / math.sqrt(12) / 127.5) + a + b * busy + c * busy * busy)


def level_by_length(picture: Image.Image, length: int, name: str) -> float:
    """Return the same of a file of so many bytes, of WEBP, AVIF, HEIF or JXL, Pillow's names."""
    a, b, c = _BY_LENGTH[name]
    bits = 8 * length / (picture.width * picture.height)
    return _bounded(a + b * math.log(bits) + c * activity(picture))


def _bounded(logarithm: float) -> float:
    return min(max(math.exp(logarithm), _LEAST), _MOST)


def find_jpeg(picture: Image.Image) -> JpegTrace | None:
    """Look for the grid and the steps of a JPEG in a picture's pixels; None if there are none.

    Coefficients of its own blocks are multiples of steps, so most of the high ones are zero; of
    blocks that begin elsewhere they are not.
    """
    luma = _luma(picture)
    if min(luma.shape) < 24:
        return None
    found = np.array([[_not_zero(luma, top, left) for left in range(8)] for top in range(8)])
    top, left = (int(each) for each in np.unravel_index(found.argmin(), found.shape))
    others = np.delete(found.reshape(-1), 8 * top + left)
    if found[top, left] > _FEWER * others.min():
        return None
    step = _mean_step(_coefficients(luma, top, left, _BLOCKS))
    return None if step is None else JpegTrace(top, left, step)


def _luma(picture: Image.Image) -> Floats:
    if picture.mode == "L":
        return np.asarray(picture, np.float32)
    return np.asarray(picture.convert("RGB"), np.float32) @ np.array(
        [0.299, 0.587, 0.114], np.float32
    )


def _coefficients(luma: Floats, top: int, left: int, most: int) -> Floats:
    """Return those of blocks (N, 8, 8), evenly chosen, which are not cut at black or white."""
    height, width = (
        (side - begin) // 8 * 8 for side, begin in zip(luma.shape, (top, left), strict=True)
    )
    blocks = to_blocks(luma[top : top + height, left : left + width]).reshape(-1, 8, 8)
    blocks = blocks[:: max(1, len(blocks) // most)]
    inside = ((blocks > 1) & (blocks < 254)).all((1, 2))
    return transform(np.ascontiguousarray(blocks[inside]))


def _not_zero(luma: Floats, top: int, left: int) -> float:
    """Return which part of the higher coefficients is not zero, 1 if there are none to look at."""
    found = _coefficients(luma, top, left, _BLOCKS // 4)
    # flat blocks have none anywhere
    busy = np.abs(found[:, :3, :3]).sum((1, 2)) - np.abs(found[:, 0, 0]) > 8
    return float((np.abs(found[busy][:, 2:, 2:]) >= 1).mean()) if busy.any() else 1.0


def _mean_step(coefficients: Floats) -> float | None:
    """Return the mean step of luma, from the steps of low frequencies; None if there are none."""
    ratios = []
    for row, column in np.ndindex(4, 4):
        values = np.abs(coefficients[:, row, column])
        values = values[values > 1.5]
        if row + column and len(values) >= _FEW:
            step = _step(values)
            if step is not None:
                ratios.append(step / _USUAL[row, column])
    if len(ratios) < 2:
        return None
    return mean_step(np.clip(np.rint(np.median(ratios) * _USUAL), 1, 255))


def mean_step(steps: Floats) -> float:
    """Return the mean of a table (8, 8) without the constant's step."""
    return float((steps.sum() - steps[0, 0]) / 63)


def _step(values: Floats) -> int | None:
    """Return the largest step of which values are multiples, but for the rounding of pixels."""
    steps = np.arange(2, 256, dtype=np.float32)[:, None]
    steps = steps[steps[:, 0] <= 1.2 * np.quantile(values, 0.9) + 1]
    residual = values - steps * np.maximum(np.rint(values / steps), 1)
    # 1 if values have nothing to do with the step
    scores = (
        np.minimum(np.square(residual), steps * steps / 4).mean(1) * 12 / np.square(steps[:, 0])
    )
    if not len(scores):
        return None
    best = int(scores.argmin())
    return int(steps[best, 0]) if scores[best] < 0.35 else None
