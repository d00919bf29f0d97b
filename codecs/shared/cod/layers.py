"""Layers that CoD's networks have in common: the time, places in a patch, a pixel's start and end."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from diffc.codecs.shared.cod.sizes import PATCH

PIXELS = PATCH**2
EPSILON = 1e-6


class TimeEmbedding(nn.Module):
    """Cosines and sines of the time, then two linear layers.

    Parameters
    ----------
    features, width : int
        Cosines and sines together, and outputs.
    period : float
        Of the slowest wave, over 2 pi; that of the fastest is 1.
    """

    def __init__(self, features: int, width: int, period: float) -> None:
        super().__init__()
        self.features, self.period = features, period
        self.mlp = nn.Sequential(nn.Linear(features, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, time: Tensor) -> Tensor:
        """Map times (N,), float32, to features (N, width)."""
        half = self.features // 2
        frequencies = torch.exp(
            -math.log(self.period) / half * torch.arange(half, device=time.device, dtype=time.dtype)
        )
        angles = time[:, None] * frequencies
        waves = torch.cat([angles.cos(), angles.sin()], dim=1)
        embedding: Tensor = self.mlp(waves.to(self.mlp.get_parameter("0.weight").dtype))
        return embedding


class PixelEmbedding(nn.Module):
    """Each pixel's value and local condition, with its place in the patch, by a linear map."""

    def __init__(self, width: int, frequencies: int) -> None:
        super().__init__()
        self.frequencies = frequencies
        self.embedder = nn.Sequential(nn.Linear(3 + width + frequencies**2, width))

    def forward(self, inputs: Tensor) -> Tensor:
        """Map (patches, 256, 3 + width) to (patches, 256, width)."""
        places = patch_places(self.frequencies).to(inputs).expand(len(inputs), -1, -1)
        embedded: Tensor = self.embedder(torch.cat([inputs, places], dim=2))
        return embedded


def patch_places(frequencies: int) -> Tensor:
    """Return cosines of the places of a patch's pixels, row by row, (256, frequencies**2).

    The frequencies are evenly spaced from 0 to their own number, both included; the product of
    two cosines is damped by one plus the product of their frequencies.
    """
    place = torch.linspace(0, 1, PATCH)
    frequency = torch.linspace(0, frequencies, frequencies)
    waves = torch.cos(torch.pi * place[:, None] * frequency)
    damping = 1 / (1 + frequency[:, None] * frequency)
    # rows, columns, frequency along a row, frequency along a column
    both = waves[None, :, :, None] * waves[:, None, None, :] * damping
    return both.reshape(PIXELS, frequencies**2)


class PixelOutput(nn.Module):
    """Root-mean-square normalisation, then a linear map to RGB."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.RMSNorm(width, eps=EPSILON)
        self.linear = nn.Linear(width, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Map pixels (..., width) to (..., 3)."""
        made: Tensor = self.linear(self.norm(x))
        return made
