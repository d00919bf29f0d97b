"""How good drawings of a photograph are: near to it, and yet not all alike."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from diffc.codecs.training.perceptual import PerceptualDistance, look, random_view

# noise on both pictures hides the faint patterns that a small network learns to exploit
_BLUR = 0.03


def compare(
    distance: PerceptualDistance, drawings: Tensor, photo: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Return how far features of drawings lie from the photo's, and of one drawing from another.

    Of the lengths of differences of unit-normalised features the mean over positions and depths:
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
        ours = distance.features(look(drawings + blur.repeat(2, 1, 1, 1), view))
        with torch.no_grad():
            theirs = distance.features(look(photo + blur, view))
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
