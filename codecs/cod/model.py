"""CoD-Lite models on a device: pixels to tokens and tokens to pixels, large pictures in tiles."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diffc.codecs.cod.config import PATCH
from diffc.codecs.cod.folder import read_config, read_network
from diffc.codecs.cod.one_step import folded
from diffc.codecs.shared.models import fast_dtype
from diffc.codecs.shared.networks.blocks import to_device
from diffc.codecs.shared.tiling.picture_means import Means, with_picture_means
from diffc.codecs.shared.tokens.vector_quantiser import nearest, words

# in pixels: the encoder's convolutions see 151 pixels each way, given the means over the picture
_TRUNK_TILE, _TRUNK_MARGIN = 1152, 160
# in windows of attention: what lies further away than two of them counts for little
_GRID_TILE, _GRID_MARGIN = 8, 2
# in patches: each block sees one further
_PATCH_TILE = 192


Network = TypeVar("Network", bound=nn.Module)


class CodEncoder:
    """Pixels to tokens.

    Parameters
    ----------
    folder : Path
        See `diffc.codecs.cod.folder`.
    device : str
        Where it runs.
    dtype : torch.dtype, optional
        Of the features; None is what the device is fast with.
    """

    def __init__(self, folder: Path, device: str, dtype: torch.dtype | None = None) -> None:
        self.config = read_config(folder)
        self._device = device
        codec = read_network(folder, self.config, encoder=True).y_embedder
        self._network = _with_products_in(codec.encoder, dtype or fast_dtype(device))
        to_device(self._network, device)
        self._codebook = codec.codebook.to(device)

    def vectors(self, pixels: Tensor) -> Tensor:
        """Map pixels (1, 3, H, W) in [0, 1], sides multiples of the configuration's, to vectors.

        They are float32, (1, code_length, rows, columns).
        """
        stride, window = self.config.stride, self.config.window

        def trunk(blocks: Tensor, means: Means) -> Tensor:
            tile = F.pixel_shuffle(blocks.to(self._device), stride)
            return self._network.trunk(tile.contiguous(memory_format=torch.channels_last), means)

        features = with_picture_means(
            trunk,
            F.pixel_unshuffle(pixels, stride),
            largest=_TRUNK_TILE // stride,
            margin=_TRUNK_MARGIN // stride,
        )
        return with_picture_means(
            self._network.head,
            features,
            largest=_GRID_TILE * window,
            margin=_GRID_MARGIN * window,
            multiple=window,
        )

    def tokens(self, pixels: Tensor) -> Tensor:
        """Map such pixels to the indices of the nearest code words, int64 (rows, columns)."""
        return nearest(self.vectors(pixels), self._codebook)[0]


class CodDecoder:
    """Tokens to pixels; see `CodEncoder` for the parameters."""

    def __init__(self, folder: Path, device: str, dtype: torch.dtype | None = None) -> None:
        self.config = read_config(folder)
        self._device = device
        dtype = dtype or fast_dtype(device)
        network = read_network(folder, self.config, encoder=False)
        self._condition = to_device(_with_products_in(network.y_embedder.decoder, dtype), device)
        self._codebook = network.y_embedder.codebook.to(device)
        denoiser = _with_products_in(folded(network), dtype)
        # colours are finer than bfloat16
        denoiser.leave.float()
        self._denoiser = to_device(denoiser, device)

    def condition(self, tokens: Tensor) -> Tensor:
        """Map tokens, int64 (rows, columns), to a condition (1, width, H/16, W/16)."""
        stride, window = self.config.stride, self.config.window
        # patches of a tile hold several tokens, or tokens several patches
        several = max(1, PATCH // stride)

        def network(blocks: Tensor, means: Means) -> Tensor:
            tile = F.pixel_shuffle(blocks, several)
            made: Tensor = self._condition(
                tile.contiguous(memory_format=torch.channels_last), means
            )
            return made

        codes = words(tokens[None].to(self._device), self._codebook)
        return with_picture_means(
            network,
            F.pixel_unshuffle(codes, several),
            largest=_GRID_TILE * window // several,
            margin=_GRID_MARGIN * window // several,
            multiple=max(1, window // several),
            scale=max(1, stride // PATCH),
        )

    def picture(self, tokens: Tensor) -> Tensor:
        """Map tokens, int64 (rows, columns), to a picture (1, 3, H, W), float32, about [-1, 1]."""
        condition = self.condition(tokens)

        def network(part: Tensor, means: Means) -> Tensor:
            return _channels_first(self._denoiser.patches(_channels_last(part), means))

        patches = with_picture_means(
            network, condition, largest=_PATCH_TILE, margin=self.config.patch_blocks
        )
        return self._denoiser.pixels(_channels_last(condition), _channels_last(patches))


def _channels_last(features: Tensor) -> Tensor:
    return features.permute(0, 2, 3, 1).contiguous()


def _channels_first(features: Tensor) -> Tensor:
    return features.permute(0, 3, 1, 2)


def _with_products_in(network: Network, dtype: torch.dtype) -> Network:
    """Convert the weights of convolutions and linear layers, and with them the features."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.to(dtype)
    return network
