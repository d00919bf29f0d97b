"""What photographs have and their means lack, drawn from noise up to the full resolution.

Noise enters at 1/8, 1/4, 1/2 and the full size, and every layer there is a small convolution on
features that were enlarged smoothly, so that lines of every direction can be drawn.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diffc.codecs.shared.networks.blocks import ChannelNorm, NoiseLevelEmbedding, modulated_blocks

# pixels of the means that a smooth picture is made of
_SMOOTH = 8
# the embedding of realism starts here, for its logarithm is what is embedded
_LEAST_REALISM = 0.05


class DetailDecoder(nn.Module):
    """Detail for a picture of least squared error, from its network's features and white noise.

    Parameters
    ----------
    features, inner : int
        Channels of the network's features at 1/4 and at 1/8 of the size.
    widths : tuple of int
        Channels at 1/8, 1/4, 1/2 and the full size.
    blocks : tuple of int
        At 1/8 and at 1/4.
    embedding : int
        Length of the condition.
    """

    def __init__(
        self,
        features: int,
        inner: int,
        *,
        widths: tuple[int, int, int, int],
        blocks: tuple[int, int],
        embedding: int,
    ) -> None:
        super().__init__()
        eighth, quarter, half, full = widths
        self.embed_realism = NoiseLevelEmbedding(embedding)
        self.norm = ChannelNorm()
        self.enter_quarter = nn.Conv2d(features + 16, quarter, 1)
        self.enter_eighth = nn.Conv2d(inner + 4 * quarter + 64, eighth, 1)
        self.eighth = modulated_blocks(blocks[0], eighth, embedding, expansion=2)
        self.to_quarter = nn.Conv2d(eighth, quarter, 1)
        self.quarter = modulated_blocks(blocks[1], quarter, embedding, expansion=2)
        self.to_half = nn.Conv2d(quarter, half, 1)
        self.enter_half = nn.Conv2d(half + 3 + 4, half, 3, padding=1)
        self.between = nn.Conv2d(half, half, 3, padding=1)
        self.to_full = nn.Conv2d(half, full, 1)
        self.enter_full = nn.Conv2d(full + 3 + 3, full, 3, padding=1)
        self.last = nn.ModuleList(nn.Conv2d(full, full, 3, padding=1) for _ in range(2))
        self.leave = nn.Conv2d(full, 3, 3, padding=1)
        nn.init.normal_(self.leave.weight, std=0.01)
        nn.init.zeros_(self.leave.bias)  # type: ignore[arg-type]

    def draw(
        self,
        picture: Tensor,
        features: Tensor,
        inner: Tensor,
        embedding: Tensor,
        level: Tensor,
        noise: Tensor,
        realism: Tensor,
    ) -> Tensor:
        """Return what is to be added to the picture (N, 3, H, W), float32.

        Parameters
        ----------
        picture : Tensor
            Of least squared error (N, 3, H, W), float32 in [-1, 1]; sides multiples of 8.
        features, inner : Tensor
            Of its network, at 1/4 and 1/8 of the size; their dtype is what is computed in.
        embedding : Tensor
            What is known of the picture (N, embedding), but for the realism.
        level : Tensor
            Its root mean square error, about (N,).
        noise : Tensor
            White, of deviation 1 (N, 3, H, W).
        realism : Tensor
            (N,) in [0, 1]; nothing is added at 0.
        """
        level = level[:, None, None, None]
        embedding = embedding + self.embed_realism(realism.clamp_min(_LEAST_REALISM))
        dtype = features.dtype
        noise = noise.to(dtype)
        detail = torch.asinh((picture - smooth(picture)) / level).to(dtype)
        # one plane of noise a size: all of them are white, none is seen twice
        quarter = self.enter_quarter(
            torch.cat([self.norm(features), F.pixel_unshuffle(noise[:, 1:2], 4)], 1)
        )
        seen = [self.norm(inner), F.pixel_unshuffle(quarter, 2), F.pixel_unshuffle(noise[:, 2:], 8)]
        eighth = self.enter_eighth(torch.cat(seen, 1))
        for block in self.eighth:
            eighth = block(eighth, embedding)
        quarter = quarter + enlarged(self.to_quarter(eighth), 2)
        for block in self.quarter:
            quarter = block(quarter, embedding)
        half = enlarged(self.to_half(quarter), 2)
        half = F.silu(
            self.enter_half(
                torch.cat([half, F.avg_pool2d(detail, 2), F.pixel_unshuffle(noise[:, :1], 2)], 1)
            )
        )
        half = half + F.silu(self.between(half))
        full = F.silu(
            self.enter_full(torch.cat([enlarged(self.to_full(half), 2), detail, noise], 1))
        )
        for convolution in self.last:
            full = full + F.silu(convolution(full))
        added: Tensor = self.leave(full).float()
        return level * realism[:, None, None, None] * added


def smooth(pixels: Tensor) -> Tensor:
    """Return pictures (N, C, H, W) without what is finer than 8 pixels; sides multiples of 8."""
    return enlarged(F.avg_pool2d(pixels, _SMOOTH), _SMOOTH)


def enlarged(x: Tensor, factor: int) -> Tensor:
    """Enlarge features (N, C, H, W) bilinearly."""
    return F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)
