"""VGG networks in safetensors files, for measures and for losses: reading one, and its features."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional as F

from diffc.models.byte_weights import from_bytes


def read_vgg(path: Path) -> dict[str, Tensor]:
    """Read weights and biases, float32, also of a file with a byte for each.

    Raises
    ------
    OSError
        If the file is missing or holds no such tensors.
    """
    try:
        return from_bytes(load_file(path))
    except (SafetensorError, ValueError) as error:
        raise OSError(
            f"perceptual weights are a safetensors file, which {path.name} is not: name a VGG-19 "
            "file"
        ) from error


def vgg_features(
    pixels: Tensor, weights: Mapping[str, Tensor], layers: Iterable[str], compared: Container[str]
) -> list[Tensor]:
    """Return the features of pictures after some layers.

    Parameters
    ----------
    pixels : Tensor
        (N, 3, H, W) in [0, 1].
    weights : mapping
        ``NAME.weight`` and ``NAME.bias`` of ``conv0`` (1x1, input normalisation) and of each layer
        (3x3 with reflected borders, then ReLU).
    layers : iterable of str
        To run, in order; ``pool`` is 2x2 max pooling.
    compared : container of str
        Those whose features are returned.
    """
    x = F.conv2d(pixels, weights["conv0.weight"], weights["conv0.bias"])
    found = []
    for layer in layers:
        if layer == "pool":
            x = F.max_pool2d(x, 2)
            continue
        bordered = F.pad(x, (1, 1, 1, 1), mode="reflect")
        x = F.conv2d(bordered, weights[f"{layer}.weight"], weights[f"{layer}.bias"]).relu_()
        if layer in compared:
            found.append(x)
    return found
