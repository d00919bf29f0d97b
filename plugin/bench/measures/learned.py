"""LPIPS and DISTS, where torchmetrics and the ImageNet weights they stand on are here.

Nothing is downloaded: torchmetrics brings the small fitted weights, and the large networks are
taken from the folder where torchvision keeps what was downloaded before.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from PIL import Image
from torch import nn

from diffc.bench.measures.pixel_measures import Compare, to_tensor
from diffc.bench.measures.precision import full_precision
from diffc.bench.packages import load_package


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
