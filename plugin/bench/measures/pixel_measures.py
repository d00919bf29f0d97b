"""Measures that have no weights: PSNR, MS-SSIM, HaarPSI and GMSD.

PSNR is written here; the others are those of piq.  All are over RGB pictures of 8 bits.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from diffc.bench.measures.precision import full_precision
from diffc.bench.packages import load_package

PSNR_LIMIT = 100.0
"""dB, of equal pictures and at most: rows and means stay finite."""

Compare = Callable[[Image.Image, Image.Image], float]


def psnr(original: Image.Image, decoded: Image.Image) -> float:
    """Return the peak signal-to-noise ratio in dB over all samples of two RGB pictures.

    The error is averaged over the three channels before the logarithm, the peak is 255, and the
    result is at most `PSNR_LIMIT`.
    """
    difference = np.asarray(original, np.int32) - np.asarray(decoded, np.int32)
    error = float(np.mean(np.square(difference), dtype=np.float64))
    return PSNR_LIMIT if error == 0 else min(PSNR_LIMIT, 10 * math.log10(255**2 / error))


def to_tensor(picture: Image.Image, device: str) -> Tensor:
    """Return an RGB picture as (1, 3, height, width), float32 in [0, 1]."""
    pixels = torch.from_numpy(np.array(picture)).to(device)
    return pixels.permute(2, 0, 1)[None].float() / 255


def _to_double(picture: Image.Image, device: str) -> Tensor:
    pixels = torch.from_numpy(np.array(picture)).to(device)
    return pixels.permute(2, 0, 1)[None].double() / 255


def load_ms_ssim(device: str) -> Compare:
    """Return multi-scale structural similarity: 5 scales, 11x11 Gaussian window, mean of RGB.

    Source: Wang, Simoncelli and Bovik, "Multi-scale structural similarity for image quality
    assessment", 2003.  Sides are at least 161 pixels.

    Raises
    ------
    ValueError
        If piq is not here.
    """
    return _from_piq("multi_scale_ssim", device)


def load_haarpsi(device: str) -> Compare:
    """Return the Haar wavelet-based perceptual similarity index, of colour pictures.

    Source: Reisenhofer, Bosse, Kutyniok and Wiegand, "A Haar wavelet-based perceptual similarity
    index for image quality assessment", 2018.  Sides are at least 16 pixels.

    Raises
    ------
    ValueError
        If piq is not here.
    """
    return _from_piq("haarpsi", device)


def load_gmsd(device: str) -> Compare:
    """Return the gradient magnitude similarity deviation, of the luma.

    Source: Xue, Zhang, Mou and Bovik, "Gradient magnitude similarity deviation: a highly efficient
    perceptual image quality index", 2014.

    Raises
    ------
    ValueError
        If piq is not here.
    """
    return _from_piq("gmsd", device)


def _from_piq(name: str, device: str) -> Compare:
    function = getattr(load_package("piq"), name)

    def compare(original: Image.Image, decoded: Image.Image) -> float:
        # sums in float32 depend, in digits that rows keep, on how many threads add them
        pair = [_to_double(picture, device) for picture in (original, decoded)]
        with torch.inference_mode(), full_precision():
            return float(function(*pair))

    return compare
