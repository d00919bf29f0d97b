"""Measures of the literature: PSNR, those of piq that have no weights, LPIPS and DISTS.

PSNR is written here, MS-SSIM, HaarPSI and GMSD are those of piq, LPIPS and DISTS those of torchmetrics
where the ImageNet weights they stand on are here: torchmetrics brings the small fitted weights, and
the large networks are taken from the folder where torchvision keeps what was downloaded before.
Nothing is downloaded.  All are over RGB pictures of 8 bits.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from diffc.bench.packages import load_package


def full_precision() -> AbstractContextManager[None]:
    """Keep products of float32 numbers in full within, on GPUs that would round them (TF32)."""
    flags: AbstractContextManager[None] = torch.backends.cudnn.flags(enabled=True, allow_tf32=False)
    return flags


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


def to_luma(picture: Image.Image) -> NDArray[np.float64]:
    """Return the luma of an RGB picture (Rec. 601), (height, width) in levels of 8 bits."""
    luma: NDArray[np.float64] = np.asarray(picture, np.float64) @ (0.299, 0.587, 0.114)
    return luma


def to_tensor(picture: Image.Image, device: str, dtype: torch.dtype = torch.float32) -> Tensor:
    """Return an RGB picture as (1, 3, height, width), floats in [0, 1]."""
    pixels = torch.from_numpy(np.array(picture)).to(device)
    return pixels.permute(2, 0, 1)[None].to(dtype) / 255


def load_ms_ssim(device: str) -> Compare:
    """Return multi-scale structural similarity: 5 scales, 11x11 Gaussian window, mean of RGB.

    Source: Wang, Simoncelli and Bovik, "Multi-scale structural similarity for image quality
    assessment", 2003.  Sides are at least 161 pixels.  Five decimals: further ones depend on how many
    threads add them.

    Raises
    ------
    ValueError
        If piq is not here.
    """
    # its windows take twelve times as long in float64
    compare = _from_piq("multi_scale_ssim", device, torch.float32)
    return lambda original, decoded: round(compare(original, decoded), 5)


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


def _from_piq(name: str, device: str, dtype: torch.dtype = torch.float64) -> Compare:
    function = getattr(load_package("piq"), name)

    def compare(original: Image.Image, decoded: Image.Image) -> float:
        # sums in float32 depend, in digits that rows keep, on how many threads add them
        pair = [to_tensor(picture, device, dtype) for picture in (original, decoded)]
        with torch.inference_mode(), full_precision():
            return float(function(*pair))

    return compare


def load_lpips(device: str) -> Compare:
    """Return LPIPS on AlexNet, version 0.1, as is usual for evaluation.

    Source: Zhang, Isola, Efros, Shechtman and Wang, "The unreasonable effectiveness of deep
    features as a perceptual metric", 2018.  Sides are at least 32 pixels.

    Raises
    ------
    ValueError
        If torchmetrics or torchvision is not here.
    OSError
        If AlexNet's weights are not, or do not load.
    """
    name = _require_weights("alexnet", "AlexNet_Weights")
    module = load_package("torchmetrics.image.lpip")
    network = _load(lambda: module.LearnedPerceptualImagePatchSimilarity(net_type="alex").net, name)
    # it takes pictures in [-1, 1], and those in [0, 1] if told to normalise
    return _comparison(network, device, normalize=True)


def load_dists(device: str) -> Compare:
    """Return DISTS at the pictures' own size, not reduced to 256 pixels as in its authors' demo.

    Source: Ding, Ma, Wang and Simoncelli, "Image quality assessment: unifying structure and texture
    similarity", 2020.  Sides are at least 32 pixels.

    Raises
    ------
    ValueError
        If torchmetrics (1.7 or newer) or torchvision is not here.
    OSError
        If VGG-16's weights are not, or do not load.
    """
    name = _require_weights("vgg16", "VGG16_Weights")
    module = load_package("torchmetrics.functional.image.dists")
    return _comparison(_load(module.DISTSNetwork, name), device)


def _comparison(network: nn.Module, device: str, **options: bool) -> Compare:
    network.to(device).eval()

    def compare(original: Image.Image, decoded: Image.Image) -> float:
        ours, theirs = (to_tensor(picture, device) for picture in (original, decoded))
        with torch.inference_mode(), full_precision():
            return float(network(ours, theirs, **options))

    return compare


def _load(make: Callable[[], nn.Module], name: str) -> nn.Module:
    try:
        return make()
    except Exception as error:  # whatever torch finds wrong with a file
        raise OSError(
            f"the weights {name} in torch's folder of downloads (TORCH_HOME) do not load: "
            "delete the file, and fetch it again"
        ) from error


def _require_weights(network: str, weights: str) -> str:
    models = load_package("torchvision.models")
    name: str = getattr(models, weights).DEFAULT.url.rpartition("/")[2]
    if not (Path(torch.hub.get_dir()) / "checkpoints" / name).is_file():
        raise OSError(
            f"the weights {name} are not in torch's folder of downloads (TORCH_HOME): fetch them "
            f"with python -c \"import torchvision; torchvision.models.{network}(weights='DEFAULT')\""
        )
    return name
