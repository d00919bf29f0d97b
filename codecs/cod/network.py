"""The CoD-Lite network in its published form, with time and noise.

CoD-Lite: Real-Time Diffusion-Based Generative Image Compression (arXiv 2604.12525).  Names of
parameters are those of the published weights.  Decoding runs a shorter form of it, for one step
from no noise: see `diffc.codecs.cod.one_step`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diffc.codecs.cod.config import PATCH, CodConfig
from diffc.codecs.shared.cod.condition import ConditionCodec
from diffc.codecs.shared.cod.layers import (
    EPSILON,
    PIXELS,
    PixelEmbedding,
    PixelOutput,
    TimeEmbedding,
)
from diffc.codecs.shared.tiling.picture_means import Means, own_means

_PERIOD = 10_000.0


class CodNetwork(nn.Module):
    """``x0hat = network(noisy, time, condition)``, and in `y_embedder` the condition's codec."""

    def __init__(self, config: CodConfig) -> None:
        super().__init__()
        self.config = config
        width, narrow = config.width, config.pixel_width
        self.y_embedder = ConditionCodec(config)
        self.t_embedder = TimeEmbedding(config.time_features, width, _PERIOD)
        self.y_embedder_x = nn.Conv2d(width, narrow * PIXELS, 1)
        self.x_embedder = PixelEmbedding(narrow, config.frequencies)
        self.s_embedder = PatchEmbedding(config.noise_features, width)
        self.blocks = nn.ModuleList(
            PatchBlock(width, config.expansion) for _ in range(config.patch_blocks)
        )
        self.dec_net = PixelNetwork(width, narrow, config.pixel_blocks)
        self.final_layer = PixelOutput(narrow)

    def forward(
        self, noisy: Tensor, time: Tensor, condition: Tensor, means: Means = own_means
    ) -> Tensor:
        """Estimate a picture.

        Parameters
        ----------
        noisy : Tensor
            (1, 3, H, W), float32, H and W multiples of 16.
        time : Tensor
            (1,), 0 where only noise is left of the picture, 1 where it is whole.
        condition : Tensor
            (1, width, H/16, W/16), from the condition decoder.
        means : callable
            See `diffc.codecs.shared.tiling.picture_means`.

        Returns
        -------
        Tensor
            The picture (1, 3, H, W), about [-1, 1].
        """
        embedding = self.t_embedder(time)
        patches = self.s_embedder(noisy, condition)
        for block in self.blocks:
            patches = block(patches, embedding, means)
        height, width = patches.shape[2:]
        count = height * width
        inputs = torch.cat([F.unfold(noisy, PATCH, stride=PATCH)[0], self._local(condition)])
        # (channels of each pixel, pixels of a patch, patches) -> (patches, pixels, channels)
        pixels = self.x_embedder(inputs.reshape(-1, PIXELS, count).permute(2, 1, 0))
        pixels = self.dec_net(pixels, patches[0].flatten(1).T)
        made = self.final_layer(pixels).permute(2, 1, 0).reshape(1, -1, count)
        return F.fold(made, (height * PATCH, width * PATCH), PATCH, stride=PATCH)

    def _local(self, condition: Tensor) -> Tensor:
        local: Tensor = self.y_embedder_x(condition)[0].flatten(1)
        return local


class PatchEmbedding(nn.Module):
    """Noisy patches by a linear map, beside the condition, by another."""

    def __init__(self, features: int, width: int) -> None:
        super().__init__()
        self.proj1 = nn.Conv2d(3, features, PATCH, stride=PATCH, bias=False)
        self.proj2 = nn.Conv2d(features + width, width, 1)

    def forward(self, noisy: Tensor, condition: Tensor) -> Tensor:
        """Map (1, 3, H, W) and (1, width, H/16, W/16) to features of the latter shape."""
        embedded: Tensor = self.proj2(torch.cat([self.proj1(noisy), condition], dim=1))
        return embedded


class PatchBlock(nn.Module):
    """A depthwise convolution with channel attention, then two linear layers (DiCo's block)."""

    def __init__(self, width: int, expansion: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 1)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, groups=width)
        self.conv3 = nn.Conv2d(width, width, 1)
        self.ca = nn.ModuleDict({"1": nn.Conv2d(width, width, 1)})
        self.conv4 = nn.Conv2d(width, expansion * width, 1)
        self.conv5 = nn.Conv2d(expansion * width, width, 1)
        self.adaLN_modulation = modulation(width, 6 * width)

    def forward(self, x: Tensor, embedding: Tensor, means: Means = own_means) -> Tensor:
        """Map features (1, width, h, w), given the time's features (1, width)."""
        shift, scale, gate, shift2, scale2, gate2 = (
            each[:, :, None, None] for each in self.adaLN_modulation(embedding).chunk(6, dim=1)
        )
        hidden = self.conv1(channel_norm(x) * (1 + scale) + shift)
        hidden = F.gelu(self.conv2(hidden))
        hidden = hidden * attention(self.ca["1"], hidden, means)
        x = x + gate * self.conv3(hidden)
        hidden = self.conv4(channel_norm(x) * (1 + scale2) + shift2)
        result: Tensor = x + gate2 * self.conv5(F.gelu(hidden))
        return result


def modulation(width: int, outputs: int) -> nn.Sequential:
    """Return what makes shifts, scales and gates of an embedding."""
    return nn.Sequential(nn.SiLU(), nn.Linear(width, outputs))


def channel_norm(x: Tensor) -> Tensor:
    """Normalise each position of (1, C, h, w) over its channels, without parameters."""
    channels_last = x.permute(0, 2, 3, 1)
    return F.layer_norm(channels_last, x.shape[1:2], eps=EPSILON).permute(0, 3, 1, 2)


def attention(layer: nn.Module, x: Tensor, means: Means) -> Tensor:
    """Return the gates of channels (1, C, 1, 1), from their means over the picture."""
    mean = means(x.permute(0, 2, 3, 1), position_mean).to(x.dtype)
    gates: Tensor = layer(mean.permute(0, 3, 1, 2))
    return gates.sigmoid()


def position_mean(x: Tensor) -> Tensor:
    """Return the mean of (1, h, w, C) over its positions, float32 (1, 1, 1, C)."""
    return x.float().mean((1, 2), keepdim=True)


class PixelNetwork(nn.Module):
    """Residual blocks for each pixel by itself, modulated by what its patch says."""

    def __init__(self, width: int, pixel_width: int, blocks: int) -> None:
        super().__init__()
        self.cond_embed = nn.Linear(width, PIXELS * pixel_width)
        self.input_proj = nn.Linear(pixel_width, pixel_width)
        self.res_blocks = nn.ModuleList(PixelBlock(pixel_width) for _ in range(blocks))

    def forward(self, x: Tensor, patches: Tensor) -> Tensor:
        """Map pixels (patches, 256, pixel_width), given patches' features (patches, width)."""
        x = self.input_proj(x)
        says = self.cond_embed(patches).unflatten(1, (PIXELS, -1))
        for block in self.res_blocks:
            x = block(x, says)
        return x


class PixelBlock(nn.Module):
    """Normalisation, shift and scale, two linear layers, gate."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.in_ln = nn.LayerNorm(width, eps=EPSILON)
        self.mlp = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
        self.adaLN_modulation = modulation(width, 3 * width)

    def forward(self, x: Tensor, says: Tensor) -> Tensor:
        """Map pixels (..., width), given features of that shape."""
        shift, scale, gate = self.adaLN_modulation(says).chunk(3, dim=-1)
        result: Tensor = x + gate * self.mlp(self.in_ln(x) * (1 + scale) + shift)
        return result
