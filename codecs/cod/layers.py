"""Layers of CoD's condition networks; one picture at a time, (1, C, H, W)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diffc.codecs.shared.tiling.picture_means import Means, own_means

_EPSILON = 1e-6
# of features that are squared at once, so that they stay in the cache
_ELEMENTS = 1 << 18


class GroupNorm(nn.Module):
    """Group normalisation with statistics over the picture, as `Means` hands them out."""

    def __init__(self, groups: int, width: int) -> None:
        super().__init__()
        self.groups = groups
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor, means: Means = own_means) -> Tensor:
        """Normalise features, in their own number format."""
        mean, square = means(x.permute(0, 2, 3, 1), self._moments)
        variance = (square - mean.square()).clamp_(min=0)
        repeats = x.shape[1] // self.groups
        mean, variance = (each.float().repeat_interleave(repeats) for each in (mean, variance))
        return F.batch_norm(x, mean, variance, self.weight, self.bias, eps=_EPSILON)

    def _moments(self, features: Tensor) -> Tensor:
        """Return the groups' means and mean squares, float64 (2, groups)."""
        rows = features[0]
        height, width, channels = rows.shape
        several = max(1, _ELEMENTS // (width * channels))
        sums = []
        # rows by themselves: the order of sums does not depend on the number of threads
        for part in torch.split(rows, several):
            part = part.float()
            sums.append(torch.stack([part.sum(1), part.square().sum(1)]))
        moments = torch.cat(sums, dim=1).double().sum(1) / (height * width)
        return moments.reshape(2, self.groups, -1).mean(2)


def pointwise(layer: nn.Conv2d, x: Tensor) -> Tensor:
    """Apply a 1x1 convolution as the matrix product that it is, several times as fast on a CPU."""
    made = F.linear(x.permute(0, 2, 3, 1), layer.weight[:, :, 0, 0], layer.bias)
    return made.permute(0, 3, 1, 2)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions, each after normalisation and SiLU, beside a shortcut."""

    def __init__(self, width_in: int, width: int, groups: int) -> None:
        super().__init__()
        self.norm1 = GroupNorm(groups, width_in)
        self.conv1 = nn.Conv2d(width_in, width, 3, padding=1)
        self.norm2 = GroupNorm(groups, width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        self.nin_shortcut = nn.Conv2d(width_in, width, 1) if width_in != width else None

    def forward(self, x: Tensor, means: Means = own_means) -> Tensor:
        """Map features (1, width_in, H, W) to (1, width, H, W)."""
        hidden = self.conv1(F.silu(self.norm1(x, means), inplace=True))
        hidden = self.conv2(F.silu(self.norm2(hidden, means), inplace=True))
        shortcut = x if self.nin_shortcut is None else pointwise(self.nin_shortcut, x)
        result: Tensor = hidden.add_(shortcut)
        return result


class WindowAttention(nn.Module):
    """Attention of one head among the positions of a window; windows start at the first corner.

    Those that stick out at the bottom or right repeat the last row or column, unless the features
    fit one window both ways.
    """

    def __init__(self, width: int, groups: int, window: int) -> None:
        super().__init__()
        self.window = window
        self.norm = GroupNorm(groups, width)
        self.q = nn.Conv2d(width, width, 1)
        self.k = nn.Conv2d(width, width, 1)
        self.v = nn.Conv2d(width, width, 1)
        self.proj_out = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor, means: Means = own_means) -> Tensor:
        """Map features (1, width, H, W) to features of that shape."""
        normal = self.norm(x, means)
        height, width = x.shape[2:]
        window = (self.window, self.window)
        sides = (height, width) if max(height, width) <= self.window else window
        query, key, value = (
            _windows(pointwise(layer, normal), sides) for layer in (self.q, self.k, self.v)
        )
        found = F.scaled_dot_product_attention(query, key, value)
        result: Tensor = x + pointwise(self.proj_out, _joined(found, sides, height, width))
        return result


def _windows(x: Tensor, sides: tuple[int, int]) -> Tensor:
    """Cut (1, C, H, W) into windows (count, 1, positions, C)."""
    rows, columns = sides
    height, width = x.shape[2:]
    if height % rows or width % columns:
        x = F.pad(x, (0, -width % columns, 0, -height % rows), mode="replicate")
    cut = x[0].reshape(len(x[0]), -1, rows, x.shape[3] // columns, columns)
    return cut.permute(1, 3, 2, 4, 0).reshape(-1, 1, rows * columns, len(x[0]))


def _joined(windows: Tensor, sides: tuple[int, int], height: int, width: int) -> Tensor:
    """Join windows again, without what stuck out."""
    rows, columns = sides
    across = -(-width // columns)
    channels = windows.shape[3]
    cut = windows.reshape(-1, across, rows, columns, channels).permute(4, 0, 2, 1, 3)
    whole = cut.reshape(1, channels, -1, across * columns)
    return whole[:, :, :height, :width]


class HalvingConv(nn.Module):
    """A 3x3 convolution with stride 2 over pairs: padded at the bottom and right only."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, stride=2)

    def forward(self, x: Tensor, means: Means = own_means) -> Tensor:
        """Map features (1, width, H, W), H and W even, to (1, width, H/2, W/2)."""
        halved: Tensor = self.conv(F.pad(x, (0, 1, 0, 1)))
        return halved
