"""CoD's condition codec on a device: pixels to tokens and tokens to a condition, large ones in tiles."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diffc.codecs.shared.cod.condition import ConditionCodec
from diffc.codecs.shared.cod.sizes import PATCH, ConditionSizes
from diffc.codecs.shared.networks.blocks import to_device
from diffc.codecs.shared.tiling.picture_means import Means, with_picture_means
from diffc.codecs.shared.tokens.vector_quantiser import nearest, words

# in pixels: the encoder's convolutions see 151 pixels each way, given the means over the picture
TRUNK_TILE, TRUNK_MARGIN = 1152, 160
# in windows of attention: what lies further away than two of them counts for little
GRID_TILE, GRID_MARGIN = 8, 2
# the encoder's convolutions halve no further
_TRUNK_STRIDE = 32

Network = TypeVar("Network", bound=nn.Module)


class TokenEncoder:
    """Pixels to tokens.

    Parameters
    ----------
    codec : ConditionCodec
        Its encoder and codebook are moved to the device.
    config : ConditionSizes
        Of the codec.
    device : str
        Where it runs.
    dtype : torch.dtype
        Of the features.
    """

    def __init__(
        self, codec: ConditionCodec, config: ConditionSizes, device: str, dtype: torch.dtype
    ) -> None:
        self._config, self._device = config, device
        self._network = to_device(with_products_in(codec.encoder, dtype), device)
        self._codebook = codec.codebook.to(device)

    def vectors(self, pixels: Tensor) -> Tensor:
        """Map pixels (1, 3, H, W) in [0, 1], sides multiples of the configuration's, to vectors.

        They are float32, (1, code_length, rows, columns).
        """
        window = self._config.window
        stride = min(self._config.stride, _TRUNK_STRIDE)

        def trunk(blocks: Tensor, means: Means) -> Tensor:
            tile = F.pixel_shuffle(blocks.to(self._device), stride)
            return self._network.trunk(tile.contiguous(memory_format=torch.channels_last), means)

        features = with_picture_means(
            trunk,
            F.pixel_unshuffle(pixels, stride),
            largest=TRUNK_TILE // stride,
            margin=TRUNK_MARGIN // stride,
        )
        if window is None:
            return self._network.head(features)
        return with_picture_means(
            self._network.head,
            features,
            largest=GRID_TILE * window,
            margin=GRID_MARGIN * window,
            multiple=window,
        )

    def tokens(self, pixels: Tensor) -> Tensor:
        """Map such pixels to the indices of the nearest code words, int64 (rows, columns)."""
        return nearest(self.vectors(pixels), self._codebook)[0]


class TokenDecoder:
    """Tokens to a condition; see `TokenEncoder` for the parameters, with its decoder."""

    def __init__(
        self, codec: ConditionCodec, config: ConditionSizes, device: str, dtype: torch.dtype
    ) -> None:
        self._config, self._device = config, device
        self._network = to_device(with_products_in(codec.decoder, dtype), device)
        self._codebook = codec.codebook.to(device)

    def condition(self, tokens: Tensor) -> Tensor:
        """Map tokens, int64 (rows, columns), to a condition (1, width, H/16, W/16)."""
        stride, window = self._config.stride, self._config.window
        codes = words(tokens[None].to(self._device), self._codebook)
        if window is None:
            made: Tensor = self._network(codes.contiguous(memory_format=torch.channels_last))
            return made
        # patches of a tile hold several tokens, or tokens several patches
        several = max(1, PATCH // stride)

        def network(blocks: Tensor, means: Means) -> Tensor:
            tile = F.pixel_shuffle(blocks, several)
            made: Tensor = self._network(tile.contiguous(memory_format=torch.channels_last), means)
            return made

        return with_picture_means(
            network,
            F.pixel_unshuffle(codes, several),
            largest=GRID_TILE * window // several,
            margin=GRID_MARGIN * window // several,
            multiple=max(1, window // several),
            scale=max(1, stride // PATCH),
        )


def with_products_in(network: Network, dtype: torch.dtype) -> Network:
    """Convert the weights of convolutions and linear layers, and with them the features."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.to(dtype)
    return network
