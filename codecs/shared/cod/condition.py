"""CoD's condition codec: pixels to vectors on a grid, and code words to a condition for patches.

One picture at a time, (1, C, H, W).
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diffc.codecs.shared.cod.sizes import LARGEST_STRIDE, PATCH, ConditionSizes
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
    fit one window both ways.  Without a window all positions see each other.
    """

    def __init__(self, width: int, groups: int, window: int | None) -> None:
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
        window = self.window
        inside = window is None or max(height, width) <= window
        sides = (height, width) if window is None or inside else (window, window)
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


_LEVELS = 5


def _through(layers: Iterable[nn.Module], x: Tensor, means: Means) -> Tensor:
    for layer in layers:
        x = layer(x, means)
    return x


class ConditionEncoder(nn.Module):
    """Pixels to one vector for each token.

    It is in two parts, because a large picture needs tiles of different kinds for them: `trunk`
    is made of convolutions and halvings, `head` works on the tokens' grid and has attention.  The
    trunk halves down to a stride of 32 at most, and the head goes on from there.
    """

    def __init__(self, config: ConditionSizes) -> None:
        super().__init__()
        width, groups = config.encoder_width, config.groups
        self.conv_in = nn.Conv2d(3, width, 3, stride=2, padding=1)
        scale = 2
        for level, (width_in, wide) in enumerate([(1, 1), (1, 1), (1, 2), (2, 2)]):
            layers: list[nn.Module] = [
                ResidualBlock(width_in * width, wide * width, groups),
                ResidualBlock(wide * width, wide * width, groups),
            ]
            if scale < config.stride:
                layers.append(HalvingConv(wide * width))
                scale *= 2
            self.add_module(f"down_block_{level}", nn.ModuleList(layers))
        widest = 4 * width
        last = _attended(2 * width, widest, 2, config)
        if config.stride == LARGEST_STRIDE:
            last += [HalvingConv(widest), *_attended(widest, 2 * widest, 2, config)]
            widest *= 2
            last.append(HalvingConv(widest))
        self.down_block_4 = nn.ModuleList(last)
        self.mid_block = nn.ModuleList(
            [
                ResidualBlock(widest, widest, groups),
                WindowAttention(widest, groups, config.window),
                ResidualBlock(widest, widest, groups),
            ]
        )
        self.norm_out = GroupNorm(groups, widest)
        self.conv_out = nn.Conv2d(widest, config.code_length, 3, padding=1)

    def trunk(self, pixels: Tensor, means: Means = own_means) -> Tensor:
        """Map pixels (1, 3, H, W) in [0, 1] to features (1, 2 encoder_width, h, w)."""
        x = self.conv_in(pixels.to(self.conv_in.weight.dtype))
        for level in range(_LEVELS - 1):
            x = _through(self.get_submodule(f"down_block_{level}").children(), x, means)
        features: Tensor = x
        return features

    def head(self, features: Tensor, means: Means = own_means) -> Tensor:
        """Map the trunk's features to vectors, float32 (1, code_length, h, w)."""
        x = _through([*self.down_block_4, *self.mid_block], features, means)
        vectors: Tensor = self.conv_out(F.silu(self.norm_out(x, means))).float()
        return vectors

    def forward(self, pixels: Tensor) -> Tensor:
        """Map pixels to vectors, in one piece."""
        return self.head(self.trunk(pixels))


class ConditionDecoder(nn.Module):
    """Code words on the tokens' grid to a condition for each patch of 16x16 pixels."""

    def __init__(self, config: ConditionSizes) -> None:
        super().__init__()
        width, groups = config.width, config.groups
        self.conv_in = nn.Conv2d(config.code_length, width, 3, padding=1)
        if config.stride == LARGEST_STRIDE:
            layers: list[nn.Module] = []
            for _ in range(2):
                layers += [*_attended(width, width, 1, config), Doubling(width, groups)]
            layers += _attended(width, width, 1, config)
        else:
            layers = _attended(width, width, config.decoder_attentions, config)
        self.block = nn.ModuleList([*layers, ResidualBlock(width, width, groups)])
        self.norm_out = GroupNorm(groups, width)
        self.conv_out = _to_patches(config)
        self.ada = Doubling(width, groups) if config.stride > PATCH else None

    def forward(self, words: Tensor, means: Means = own_means) -> Tensor:
        """Map words (1, code_length, h, w) to the condition (1, width, H/16, W/16)."""
        x = self.conv_in(words.to(self.conv_in.weight.dtype))
        x = _through(self.block, x, means)
        x = F.silu(self.norm_out(x, means))
        for layer in self.conv_out if isinstance(self.conv_out, nn.ModuleList) else [self.conv_out]:
            x = layer(x, means) if isinstance(layer, ResidualBlock) else layer(x)
        condition: Tensor = x if self.ada is None else self.ada(x, means)
        return condition


def _attended(width_in: int, width: int, count: int, config: ConditionSizes) -> list[nn.Module]:
    """Return residual blocks, each followed by attention."""
    layers: list[nn.Module] = []
    for each in range(count):
        layers.append(ResidualBlock(width if each else width_in, width, config.groups))
        layers.append(WindowAttention(width, config.groups, config.window))
    return layers


def _to_patches(config: ConditionSizes) -> nn.Conv2d | nn.ModuleList:
    width = config.width
    if config.stride >= 16:
        return nn.Conv2d(width, width, 3, padding=1)
    if config.stride == 8:
        return nn.Conv2d(width, width, 3, stride=2, padding=1)
    return nn.ModuleList(
        [
            nn.Conv2d(width, width, 3, stride=2, padding=1),
            ResidualBlock(width, width, config.groups),
            nn.Conv2d(width, width, 3, stride=2, padding=1),
        ]
    )


class Doubling(nn.Module):
    """Every position four times, then a residual block."""

    def __init__(self, width: int, groups: int) -> None:
        super().__init__()
        self.block = ResidualBlock(width, width, groups)

    def forward(self, x: Tensor, means: Means = own_means) -> Tensor:
        """Map features (1, width, H, W) to (1, width, 2 H, 2 W)."""
        doubled = F.interpolate(x, scale_factor=2, mode="nearest")
        result: Tensor = self.block(doubled, means)
        return result


class ConditionCodec(nn.Module):
    """The encoder, the codebook and the decoder, under the names of the published weights."""

    def __init__(self, config: ConditionSizes) -> None:
        super().__init__()
        self.encoder = ConditionEncoder(config)
        self.bottleneck = nn.ModuleDict(
            {"embedding": nn.Embedding(1 << config.bits, config.code_length)}
        )
        self.decoder = ConditionDecoder(config)

    @property
    def codebook(self) -> Tensor:
        """The code words (2**bits, code_length)."""
        return self.bottleneck.get_parameter("embedding.weight")
