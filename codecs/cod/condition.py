"""CoD's condition codec: pixels to vectors on a grid, and code words to a condition for patches."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor, nn
from torch.nn import functional as F

from diffc.codecs.cod.config import CodConfig
from diffc.codecs.cod.layers import GroupNorm, HalvingConv, ResidualBlock, WindowAttention
from diffc.codecs.shared.tiling.picture_means import Means, own_means

_LEVELS = 5


def _through(layers: Iterable[nn.Module], x: Tensor, means: Means) -> Tensor:
    for layer in layers:
        x = layer(x, means)
    return x


class ConditionEncoder(nn.Module):
    """Pixels to one vector for each token.

    It is in two parts, because a large picture needs tiles of different kinds for them: `trunk`
    is made of convolutions and halvings, `head` works on the tokens' grid and has attention.
    """

    def __init__(self, config: CodConfig) -> None:
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
        self.down_block_4 = nn.ModuleList(
            [
                ResidualBlock(2 * width, widest, groups),
                WindowAttention(widest, groups, config.window),
                ResidualBlock(widest, widest, groups),
                WindowAttention(widest, groups, config.window),
            ]
        )
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

    def __init__(self, config: CodConfig) -> None:
        super().__init__()
        width, groups = config.width, config.groups
        self.conv_in = nn.Conv2d(config.code_length, width, 3, padding=1)
        self.block = nn.ModuleList(
            [
                ResidualBlock(width, width, groups),
                WindowAttention(width, groups, config.window),
                ResidualBlock(width, width, groups),
                WindowAttention(width, groups, config.window),
                ResidualBlock(width, width, groups),
            ]
        )
        self.norm_out = GroupNorm(groups, width)
        self.conv_out = _to_patches(config)
        self.ada = _Doubling(width, groups) if config.stride == 32 else None

    def forward(self, words: Tensor, means: Means = own_means) -> Tensor:
        """Map words (1, code_length, h, w) to the condition (1, width, H/16, W/16)."""
        x = self.conv_in(words.to(self.conv_in.weight.dtype))
        x = _through(self.block, x, means)
        x = F.silu(self.norm_out(x, means))
        for layer in self.conv_out if isinstance(self.conv_out, nn.ModuleList) else [self.conv_out]:
            x = layer(x, means) if isinstance(layer, ResidualBlock) else layer(x)
        condition: Tensor = x if self.ada is None else self.ada(x, means)
        return condition


def _to_patches(config: CodConfig) -> nn.Conv2d | nn.ModuleList:
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


class _Doubling(nn.Module):
    def __init__(self, width: int, groups: int) -> None:
        super().__init__()
        self.block = ResidualBlock(width, width, groups)

    def forward(self, x: Tensor, means: Means = own_means) -> Tensor:
        doubled = F.interpolate(x, scale_factor=2, mode="nearest")
        result: Tensor = self.block(doubled, means)
        return result


class ConditionCodec(nn.Module):
    """The encoder, the codebook and the decoder, under the names of the published weights."""

    def __init__(self, config: CodConfig) -> None:
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
