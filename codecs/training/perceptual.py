"""A perceptual distance for losses, on a distilled VGG-19 given as a safetensors file."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diffc.models.vgg import read_vgg, vgg_features

# the layers to run, in order; features are compared after those in COMPARED
LAYERS = "conv11 conv12 pool conv21 conv22 pool conv31 conv32 conv33 conv34 pool conv41 conv42"
COMPARED = {"conv12", "conv22", "conv34", "conv42"}
# noise on both pictures hides the faint patterns that a small network learns to exploit
_BLUR = 0.03


class PerceptualDistance(nn.Module):
    """Mean squared difference of unit-normalised features, averaged over four depths.

    Parameters
    ----------
    path : Path
        A safetensors file with ``conv0`` (1x1, input normalisation) and the layers above, weights
        and biases; 3x3 kernels with reflected borders, ReLU, 2x2 max pooling.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        for name, value in read_vgg(path).items():
            self.register_buffer(name.replace(".", "_"), value)

    def features(self, pixels: Tensor) -> list[Tensor]:
        """Return the features of pictures (N, 3, H, W) in [-1, 1] at the depths of COMPARED."""
        names = ["conv0", *(layer for layer in LAYERS.split() if layer != "pool")]
        weights = {
            f"{name}.{part}": self.get_buffer(f"{name}_{part}")
            for name in names
            for part in ("weight", "bias")
        }
        return vgg_features(pixels * 0.5 + 0.5, weights, LAYERS.split(), COMPARED)

    def between(self, ours: list[Tensor], theirs: list[Tensor]) -> Tensor:
        """Return the distance (N,) of pictures whose `features` are given."""
        distance = torch.zeros(len(ours[0]), device=ours[0].device)
        for first, second in zip(ours, theirs, strict=True):
            # normalised in float32: bfloat16 sums of squares are too coarse
            first, second = (F.normalize(x.float(), dim=1, eps=1e-3) for x in (first, second))
            distance = distance + (first - second).square().sum(1).mean((1, 2))
        return distance / len(COMPARED)

    def forward(self, pixels: Tensor, reference: Tensor) -> Tensor:
        """Compare pictures (N, 3, H, W) in [-1, 1]; return a distance for each, (N,)."""
        count = len(pixels)
        both = self.features(torch.cat([pixels, reference]))
        return self.between([x[:count] for x in both], [x[count:] for x in both])


def random_view(pixels: Tensor, generator: torch.Generator) -> tuple[slice, slice, float]:
    """Choose a shift and a scale: a small network learns to please a fixed grid of pixels."""
    top, left = (int(torch.randint(9, (1,), generator=generator)) for _ in range(2))
    scale = 0.6 + 0.6 * float(torch.rand(1, generator=generator))
    return slice(top, pixels.shape[2]), slice(left, pixels.shape[3]), scale


def apply_view(pixels: Tensor, view: tuple[slice, slice, float]) -> Tensor:
    """Crop and resize pictures as `random_view` chose."""
    rows, columns, scale = view
    return F.interpolate(
        pixels[:, :, rows, columns],
        scale_factor=scale,
        mode="bilinear",
        antialias=scale < 1,
        recompute_scale_factor=True,
    )


def compare_drawings(
    distance: PerceptualDistance, drawings: Tensor, photo: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Return how far features of drawings lie from the photo's, and of one drawing from another.

    Good drawings are near to a photograph, and yet not all alike.  Of the lengths of differences of unit-normalised features the mean over positions and depths:
    the former less half of the latter is least where drawings are distributed as photographs are
    (energy score, Gneiting and Raftery 2007, equation 22).

    Parameters
    ----------
    distance : PerceptualDistance
        Whose features are compared.
    drawings : Tensor
        Two of each photo, (2 N, 3, H, W) in [-1, 1], first one of each.
    photo : Tensor
        (N, 3, H, W) in [-1, 1].
    generator : torch.Generator
        On the CPU; for the view and the noise.
    """
    view = random_view(photo, generator)
    blur = _BLUR * torch.randn(photo.shape, generator=generator).to(photo.device)
    with torch.autocast(photo.device.type, torch.bfloat16):
        ours = distance.features(apply_view(drawings + blur.repeat(2, 1, 1, 1), view))
        with torch.no_grad():
            theirs = distance.features(apply_view(photo + blur, view))
    error = spread = torch.zeros((), device=photo.device)
    for drawn, real in zip(ours, theirs, strict=True):
        # normalised in float32: bfloat16 sums of squares are too coarse
        first, second = F.normalize(drawn.float(), dim=1, eps=1e-3).chunk(2)
        truth = F.normalize(real.float(), dim=1, eps=1e-3)
        error = error + (_length(first - truth) + _length(second - truth)) / 2
        spread = spread + _length(first - second)
    return error / len(ours), spread / len(ours)


def _length(difference: Tensor) -> Tensor:
    """Return the mean length of vectors (N, C, H, W)."""
    return (difference.square().sum(1) + 1e-6).sqrt().mean()
