"""PSNR that counts the edges of blocks as errors, as papers on deblocking report it.

Yim and Bovik, "Quality assessment of deblocked images", IEEE Transactions on Image Processing 20(1),
2011, equations 8 to 15, for blocks of 8x8 pixels that begin at the corner.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from diffc.bench.measures.published import PSNR_LIMIT, to_luma

_BLOCK = 8


def psnr_b(original: Image.Image, decoded: Image.Image) -> float:
    """Return PSNR-B of the luma in dB; larger is better.

    Parameters
    ----------
    original, decoded : PIL.Image.Image
        Of one size, of more than 8 pixels a side; grey or RGB.  Only the blocks of ``decoded`` count.

    Returns
    -------
    float
        At most `PSNR_LIMIT`.
    """
    first, second = (to_luma(each.convert("RGB")) for each in (original, decoded))
    error = float(np.square(first - second).mean()) + blocking_effect(second)
    return PSNR_LIMIT if error == 0 else min(PSNR_LIMIT, 10 * math.log10(255**2 / error))


def blocking_effect(values: NDArray[np.float64]) -> float:
    """Return how much larger squared steps between blocks are than those within, weighted; 0 if less."""
    between, within = [], []
    for steps in (np.diff(values, axis=1).T, np.diff(values, axis=0)):
        square = np.square(steps)
        edge = np.arange(len(square)) % _BLOCK == _BLOCK - 1
        between.append(square[edge].reshape(-1))
        within.append(square[~edge].reshape(-1))
    excess = float(np.concatenate(between).mean() - np.concatenate(within).mean())
    return max(excess, 0.0) * math.log2(_BLOCK) / math.log2(min(values.shape))
