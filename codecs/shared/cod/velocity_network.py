"""CoD's velocity networks: transformers of patches, for pixels and for latents.

CoD: A Diffusion Foundation Model for Image Compression (arXiv 2511.18706).  A state on the straight
path is x_t = t data + (1 - t) noise, and the network estimates its velocity, data - noise.  Names of
parameters are those of the published weights.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diffc.codecs.shared.cod.condition import ConditionCodec
from diffc.codecs.shared.cod.layers import (
    EPSILON,
    PIXELS,
    PixelEmbedding,
    PixelOutput,
    TimeEmbedding,
)
from diffc.codecs.shared.cod.sizes import PIXEL, VelocityConfig
from diffc.codecs.shared.diffusion.feature_reuse import FeatureReuse

# of the slowest wave of the time, which goes from 0 to 1
_PERIOD = 10.0
_ROTATION_BASE = 10_000.0
# a picture spans so much each way in the rotation of queries and keys, whatever its size
_SPAN = 16.0
# of a generated matrix
_SHORTEST_COLUMN = 1e-12
# patches whose pixels are made at once: each has matrices of its own
_PATCHES = 512


def linear(layer: nn.Module, x: Tensor) -> Tensor:
    """Apply a linear layer in the number format of its weights; return float32."""
    made: Tensor = layer(x.to(layer.get_parameter("weight").dtype))
    return made.float()


class VelocityNetwork(nn.Module):
    """``velocity = network(noisy, time, condition)``, and in `y_embedder` the condition's codec."""

    def __init__(self, config: VelocityConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        values = config.channels * config.patch**2
        self.y_embedder = ConditionCodec(config)
        self.t_embedder = TimeEmbedding(config.time_features, width, _PERIOD)
        self.s_embedder = nn.ModuleDict({"proj": nn.Linear(values + width, width)})
        blocks: list[nn.Module] = [TransformerBlock(config) for _ in range(config.patch_blocks)]
        if config.space == PIXEL:
            self.x_embedder: nn.Module = PixelEmbedding(config.pixel_width, config.frequencies)
            self.y_embedder_x = nn.Linear(width, config.pixel_width * PIXELS)
            blocks += [PixelBlock(config) for _ in range(config.last_blocks)]
            self.final_layer: nn.Module = PixelOutput(config.pixel_width)
        else:
            self.x_embedder = nn.ModuleDict({"proj": nn.Linear(values + width, width)})
            blocks += [TransformerBlock(config) for _ in range(config.last_blocks)]
            self.final_layer = LatentOutput(width, values)
        self.blocks = nn.ModuleList(blocks)

    def forward(
        self,
        noisy: Tensor,
        time: Tensor,
        condition: Tensor,
        reuse: FeatureReuse | None = None,
    ) -> Tensor:
        """Estimate the velocity.

        Parameters
        ----------
        noisy : Tensor
            (N, channels, H, W), float32, in whole patches.
        time : Tensor
            (N,), float32: 0 is noise, 1 is data.
        condition : Tensor
            (N, width, rows, columns), a vector for each patch.
        reuse : FeatureReuse, optional
            Of the walk that this evaluation is part of; what the first blocks make is kept.

        Returns
        -------
        Tensor
            Of the shape of ``noisy``, float32.
        """
        patch = self.config.patch
        values = F.unfold(noisy, patch, stride=patch).transpose(1, 2)
        known = condition.float().flatten(2).transpose(1, 2)
        inputs = torch.cat([values, known], dim=2)
        rotation = rotation_of(
            condition.shape[2], condition.shape[3], self.config.width // self.config.heads
        ).to(noisy.device)
        embedding = self.t_embedder(time).float()
        first, last = self._blocks()

        def through_first() -> Tensor:
            made = linear(self.s_embedder["proj"], inputs)
            for block in first:
                made = block(made, F.silu(embedding)[:, None], rotation)
            return made

        states = through_first() if reuse is None else reuse.features(through_first)
        states = F.silu(embedding[:, None] + states)
        if self.config.space == PIXEL:
            made = self._pixels(values, known, states, last)
        else:
            made = linear(self.x_embedder.get_submodule("proj"), inputs)
            for block in last:
                made = block(made, states, rotation)
            made = self.final_layer(made, states)
        return F.fold(made.transpose(1, 2), noisy.shape[2:], patch, stride=patch)

    def _blocks(self) -> tuple[list[nn.Module], list[nn.Module]]:
        every = list(self.blocks)
        return every[: self.config.patch_blocks], every[self.config.patch_blocks :]

    def _pixels(
        self, values: Tensor, known: Tensor, states: Tensor, blocks: list[nn.Module]
    ) -> Tensor:
        """Map patches (N, L, 768) to velocities; every patch is made by itself."""
        flat = (torch.split(each.flatten(0, 1), _PATCHES) for each in (values, known, states))
        parts = []
        for value, condition, state in zip(*flat, strict=True):
            local = linear(self.y_embedder_x, condition)
            # channels are outside pixels in all of them
            each = torch.cat([value, local], dim=1).reshape(len(value), -1, PIXELS)
            x = self.x_embedder(each.transpose(1, 2))
            for block in blocks:
                x = block(x, state)
            parts.append(self.final_layer(x).transpose(1, 2).flatten(1))
        return torch.cat(parts).reshape(values.shape)


def rotation_of(rows: int, columns: int, width: int) -> Tensor:
    """Return the angles' cosines and sines for each patch, (2, rows columns, width / 2), float32.

    The angles of a head's pairs of channels turn with the column and the row by turns.
    """
    frequencies = _ROTATION_BASE ** (-4 * torch.arange(width // 4, dtype=torch.float64) / width)
    down, right = (
        _SPAN * torch.arange(count, dtype=torch.float64) / max(count - 1, 1)
        for count in (rows, columns)
    )
    places = torch.stack(
        [right.expand(rows, columns), down[:, None].expand(rows, columns)], dim=2
    ).flatten(0, 1)
    angles = (frequencies[:, None] * places[:, None]).flatten(1)
    return torch.stack([angles.cos(), angles.sin()]).float()


def rotated(x: Tensor, rotation: Tensor) -> Tensor:
    """Turn pairs of channels of (N, heads, L, d) by the angles of `rotation_of`."""
    cosine, sine = rotation
    even, odd = x[..., 0::2], x[..., 1::2]
    turned = torch.stack([even * cosine - odd * sine, even * sine + odd * cosine], dim=4)
    return turned.flatten(3)


class TransformerBlock(nn.Module):
    """Attention among all patches, then two linear layers, shifted, scaled and gated."""

    def __init__(self, config: VelocityConfig) -> None:
        super().__init__()
        width = config.width
        self.norm1 = nn.RMSNorm(width, eps=EPSILON)
        self.attn = Attention(width, config.heads)
        self.norm2 = nn.RMSNorm(width, eps=EPSILON)
        self.mlp = GatedLinear(width, config.inner_width)
        self.adaLN_modulation = nn.Sequential(nn.Linear(width, 6 * width))

    def forward(self, x: Tensor, modulation: Tensor, rotation: Tensor) -> Tensor:
        """Map patches (N, L, width), given features (N, L, width) or, for all patches, (N, 1, width)."""
        made = linear(self.adaLN_modulation[0], modulation)
        shift, scale, gate, shift2, scale2, gate2 = made.chunk(6, dim=2)
        x = x + gate * self.attn(self.norm1(x) * (1 + scale) + shift, rotation)
        result: Tensor = x + gate2 * self.mlp(self.norm2(x) * (1 + scale2) + shift2)
        return result


class Attention(nn.Module):
    """Attention among all patches, with normalised and rotated queries and keys."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.q_norm = nn.RMSNorm(width // heads, eps=EPSILON)
        self.k_norm = nn.RMSNorm(width // heads, eps=EPSILON)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor, rotation: Tensor) -> Tensor:
        """Map patches (N, L, width) to patches of that shape."""
        dtype = self.qkv.weight.dtype
        made = linear(self.qkv, x).reshape(*x.shape[:2], 3, self.heads, -1)
        query, key, value = made.permute(2, 0, 3, 1, 4)
        query, key = rotated(self.q_norm(query), rotation), rotated(self.k_norm(key), rotation)
        found = F.scaled_dot_product_attention(query.to(dtype), key.to(dtype), value.to(dtype))
        return linear(self.proj, found.transpose(1, 2).flatten(2))


class GatedLinear(nn.Module):
    """Two linear layers, of which the first is gated by another (SwiGLU, arXiv 2002.05202)."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.w1 = nn.Linear(width, inner, bias=False)
        self.w3 = nn.Linear(width, inner, bias=False)
        self.w2 = nn.Linear(inner, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., width) to that shape."""
        return linear(self.w2, F.silu(linear(self.w1, x)) * linear(self.w3, x))


class PixelBlock(nn.Module):
    """Two matrices for each patch, made of its features, for its pixels (PixNerd, arXiv 2507.23268)."""

    def __init__(self, config: VelocityConfig) -> None:
        super().__init__()
        self.width, inner = config.pixel_width, config.expansion * config.pixel_width
        self.param_generator1 = nn.Sequential(nn.Linear(config.width, 2 * self.width * inner))
        self.norm = nn.RMSNorm(self.width, eps=EPSILON)

    def forward(self, x: Tensor, features: Tensor) -> Tensor:
        """Map pixels (patches, 256, pixel_width), given features (patches, width)."""
        first, second = linear(self.param_generator1[0], features).chunk(2, dim=1)
        first = _with_unit_columns(first.reshape(len(x), self.width, -1))
        second = _with_unit_columns(second.reshape(len(x), -1, self.width))
        return x + F.silu(self.norm(x) @ first) @ second


def _with_unit_columns(matrix: Tensor) -> Tensor:
    return F.normalize(matrix, dim=1, eps=_SHORTEST_COLUMN)


class LatentOutput(nn.Module):
    """Layer normalisation, shifted and scaled by each patch's features, then a linear map."""

    def __init__(self, width: int, values: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, values)
        self.adaLN_modulation = nn.Sequential(nn.Linear(width, 2 * width))

    def forward(self, x: Tensor, features: Tensor) -> Tensor:
        """Map patches (N, L, width) to their values."""
        shift, scale = linear(self.adaLN_modulation[0], features).chunk(2, dim=2)
        normal = F.layer_norm(x, x.shape[2:], eps=EPSILON)
        return linear(self.linear, normal * (1 + scale) + shift)
