"""A discriminator of patches of pixels, and its losses."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm


class PatchDiscriminator(nn.Module):
    """Tell photographs from restored pictures, patch by patch, given the linear reconstruction."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        widths = [6, width, 2 * width, 4 * width, 4 * width]
        self.layers = nn.ModuleList(
            spectral_norm(nn.Conv2d(before, after, 4, stride=2, padding=1))
            for before, after in itertools.pairwise(widths)
        )
        self.score = spectral_norm(nn.Conv2d(widths[-1], 1, 3, padding=1))

    def forward(self, pixels: Tensor, linear: Tensor) -> Tensor:
        """Score pictures (N, 3, H, W), H and W multiples of 16: high is a photograph."""
        x = torch.cat([pixels, linear], dim=1)
        for layer in self.layers:
            x = F.leaky_relu(layer(x), 0.2)
        score: Tensor = self.score(x)
        return score.float()


def discriminator_loss(real: Tensor, restored: Tensor) -> Tensor:
    """Hinge loss of the discriminator."""
    return F.relu(1 - real).mean() + F.relu(1 + restored).mean()


def generator_loss(restored: Tensor) -> Tensor:
    """Hinge loss of the network that restores."""
    return -restored.mean()
