"""Losses on local statistics: what texture is like, whatever its places.

Wasserstein distortion (Qiu et al., arXiv 2310.03629): of Gaussians, the distance of distributions
is that of their means and deviations; compared are those of features in windows around each place.
The features are a fixed network's, and the power in bands of octaves and directions of the pixels
themselves, where no direction is preferred.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

# cycles per pixel of the bands, each at the full, half and quarter size
FREQUENCIES = (0.38, 0.22)
DIRECTIONS = (0.0, 0.25, 0.5, 0.75)
"""Of the bands, in units of pi."""
_LUMA = (0.299, 0.587, 0.114)
# below some 0.7 of 255 grey levels (for pixels in [-1, 1]) nobody sees that there is noise
_UNSEEN = 0.0055**2
# noise of some 2 grey levels passes for a smooth place; where the photograph is as smooth as that,
# grain is seen and its lack is not, and a base does not tell a noisy night from a clean one
_SMOOTH = 0.02**2
_GRAIN = 3.0


def local_statistics(x: Tensor, window: int) -> tuple[Tensor, Tensor]:
    """Return means and deviations in square windows, half a window apart, float32."""
    x = x.float()
    mean = F.avg_pool2d(x, window, window // 2)
    variance = F.avg_pool2d(x * x, window, window // 2) - mean * mean
    return mean, (variance.clamp_min(0) + 1e-4).sqrt()


def _relative(ours: Tensor, theirs: Tensor, floor: float) -> Tensor:
    """Return (a - b)^2 / (a^2 + b^2 + floor)."""
    return (ours - theirs).square() / (ours.square() + theirs.square() + floor)


def feature_distortion(
    ours: Sequence[Tensor], theirs: Sequence[Tensor], windows: Sequence[int]
) -> Tensor:
    """Compare features (N, C, H, W), depth by depth; windows are in positions of each depth; return (N,)."""
    total = torch.zeros(len(ours[0]), device=ours[0].device)
    for window, x, y in zip(windows, ours, theirs, strict=True):
        scale = y.float().square().mean((0, 2, 3), keepdim=True).clamp_min(1e-3).sqrt()
        (our_mean, our_deviation), (mean, deviation) = (
            local_statistics(each / scale, window) for each in (x, y)
        )
        found = _relative(our_mean, mean, 0.1) + _relative(our_deviation, deviation, 0.1)
        total = total + found.mean((1, 2, 3))
    return total / len(windows)


def band_kernels(device: str) -> Tensor:
    """Return even and odd Gabor filters (2 * bands, 1, 9, 9) without mean, frequencies by directions."""
    reach = torch.arange(-4, 5, dtype=torch.float32)
    rows, columns = torch.meshgrid(reach, reach, indexing="ij")
    made = []
    for frequency in FREQUENCIES:
        spread = 0.55 / frequency
        envelope = torch.exp(-(rows.square() + columns.square()) / (2 * spread**2))
        for direction in DIRECTIONS:
            phase = (
                2
                * math.pi
                * frequency
                * (columns * math.cos(math.pi * direction) + rows * math.sin(math.pi * direction))
            )
            even = envelope * (phase.cos() - (envelope * phase.cos()).sum() / envelope.sum())
            made += [even / even.norm(), envelope * phase.sin() / (envelope * phase.sin()).norm()]
    return torch.stack(made)[:, None].to(device)


def band_power(pixels: Tensor, kernels: Tensor, window: int = 16) -> list[Tensor]:
    """Return the local power of the luma in octaves and directions, a tensor a size (N, bands, h, w)."""
    weights = torch.tensor(_LUMA, device=pixels.device)[None, :, None, None]
    x = (pixels.float() * weights).sum(1, keepdim=True)
    found = []
    for size in range(3):
        if size:
            x = F.avg_pool2d(x, 2)
        waves = F.conv2d(x, kernels).square()
        power = waves[:, ::2] + waves[:, 1::2]
        reach = max(4, window >> size)
        found.append(F.avg_pool2d(power, reach, reach // 2))
    return found


def band_distortion(ours: Sequence[Tensor], theirs: Sequence[Tensor]) -> Tensor:
    """Compare powers of `band_power` by their roots; return (N,).

    Power that a smooth place of ``theirs`` does not have counts up to four times as much as power
    that is missing there.
    """
    total = torch.zeros(len(ours[0]), device=ours[0].device)
    for x, y in zip(ours, theirs, strict=True):
        grain = 1 + _GRAIN * (x > y) * _SMOOTH / (_SMOOTH + y)
        each = _relative((x + 1e-7).sqrt(), (y + 1e-7).sqrt(), 2 * _UNSEEN)
        total = total + (grain * each).mean((1, 2, 3))
    return total / len(ours)
