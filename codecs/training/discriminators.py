"""Discriminators: of patches of pixels, and of a fixed network's features."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

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


class FeatureDiscriminator(nn.Module):
    """Tell photographs from restored pictures by features of a fixed network, at each depth.

    Projected GAN (arXiv 2111.01007) in small: the features are learned already, so a few layers
    and few updates suffice.

    Parameters
    ----------
    channels : sequence of int
        Channels of the features at each depth.
    """

    def __init__(self, channels: Sequence[int], width: int = 64) -> None:
        super().__init__()
        self.heads = nn.ModuleList(
            nn.Sequential(
                spectral_norm(nn.Conv2d(count, width, 4, stride=2, padding=1)),
                nn.LeakyReLU(0.2),
                spectral_norm(nn.Conv2d(width, width, 3, padding=1)),
                nn.LeakyReLU(0.2),
                spectral_norm(nn.Conv2d(width, 1, 1)),
            )
            for count in channels
        )

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Score pictures by their features at each depth; return all scores of each, (N, any)."""
        scores = [head(x).float() for head, x in zip(self.heads, features, strict=True)]
        # every depth counts alike, whatever its number of positions
        largest = max(score[0].numel() for score in scores)
        flat = [score.flatten(1) for score in scores]
        return torch.cat([score.repeat(1, -(-largest // score.shape[1])) for score in flat], 1)


def discriminator_loss(real: Tensor, restored: Tensor) -> Tensor:
    """Hinge loss of the discriminator."""
    return F.relu(1 - real).mean() + F.relu(1 + restored).mean()


def generator_loss(restored: Tensor) -> Tensor:
    """Hinge loss of the network that restores."""
    return -restored.mean()
