"""Convolution blocks shared by the embedded networks.

Every operation is local: no attention, no statistics over the picture.  A network made of these
blocks sees a bounded neighbourhood, so a large picture may be computed in overlapping tiles.
"""

from __future__ import annotations

import math
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Module = TypeVar("Module", bound=nn.Module)


class ChannelNorm(nn.Module):
    """Root-mean-square normalisation over the channels of each position (no parameters)."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise ``x`` (N, C, H, W); the mean square is taken in float32."""
        mean_square = x.float().square().mean(dim=1, keepdim=True)
        return x * torch.rsqrt(mean_square + 1e-6).to(x.dtype)


class NoiseLevelEmbedding(nn.Module):
    """Sinusoidal features of log(sigma), then two linear layers (EDM's c_noise, by another map)."""

    frequencies: Tensor

    def __init__(self, features: int) -> None:
        super().__init__()
        frequencies = torch.exp(torch.linspace(math.log(0.25), math.log(16.0), 16))
        self.register_buffer("frequencies", frequencies, persistent=False)
        self.hidden = nn.Linear(32, features)
        self.out = nn.Linear(features, features)

    def forward(self, sigma: Tensor) -> Tensor:
        """Map noise levels (N,), all > 0, to features (N, features)."""
        angles = torch.log(sigma)[:, None] * self.frequencies.to(sigma.device)
        waves = torch.cat([angles.cos(), angles.sin()], dim=1)
        return F.silu(self.out(F.silu(self.hidden(waves))))


class ModulatedBlock(nn.Module):
    """ConvNeXt block whose normalised features are scaled, shifted and gated by the noise level.

    3x3 kernels and SiLU: on a CPU the backward pass of a 5x5 depthwise convolution costs 18 times
    as much, and GELU four times.
    """

    def __init__(self, width: int, embedding: int, *, expansion: int = 3) -> None:
        super().__init__()
        self.spatial = nn.Conv2d(width, width, 3, padding=1, groups=width)
        self.norm = ChannelNorm()
        self.expand = nn.Conv2d(width, width * expansion, 1)
        self.project = nn.Conv2d(width * expansion, width, 1)
        self.modulation = nn.Linear(embedding, 3 * width)
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)
        nn.init.normal_(self.project.weight, std=0.2 / math.sqrt(width * expansion))

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """Map features (N, width, H, W), given the noise level's features (N, embedding)."""
        scale, shift, gate = self.modulation(embedding)[:, :, None, None].to(x.dtype).chunk(3, 1)
        hidden = self.norm(self.spatial(x)) * (1 + scale) + shift
        hidden = self.project(F.silu(self.expand(hidden)))
        result: Tensor = x + hidden * (1 + gate)
        return result


class PlainBlock(nn.Module):
    """The same block without modulation, for networks that know of no noise."""

    def __init__(self, width: int, *, expansion: int = 2) -> None:
        super().__init__()
        self.spatial = nn.Conv2d(width, width, 3, padding=1, groups=width)
        self.norm = ChannelNorm()
        self.expand = nn.Conv2d(width, width * expansion, 1)
        self.project = nn.Conv2d(width * expansion, width, 1)
        nn.init.normal_(self.project.weight, std=0.2 / math.sqrt(width * expansion))

    def forward(self, x: Tensor) -> Tensor:
        """Map features (N, width, H, W) to features of that shape."""
        hidden = self.norm(self.spatial(x))
        result: Tensor = x + self.project(F.silu(self.expand(hidden)))
        return result


def modulated_blocks(
    count: int, width: int, embedding: int, *, expansion: int = 3
) -> nn.ModuleList:
    """Return ``count`` modulated blocks of one width."""
    return nn.ModuleList(
        ModulatedBlock(width, embedding, expansion=expansion) for _ in range(count)
    )


def to_device(module: Module, device: str) -> Module:
    """Move a module to a device, its weights laid out for channels-last features."""
    module.to(device)
    module.to(memory_format=torch.channels_last)
    return module
