"""CoD models on a device: pixels to tokens with either kind, and tokens to pixels with CoD-Lite."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from diffc.codecs.cod.folder import read_config, read_encoder, read_lite_config, read_network
from diffc.codecs.cod.one_step import folded
from diffc.codecs.shared.cod.tokens import TokenDecoder, TokenEncoder, with_products_in
from diffc.codecs.shared.models import fast_dtype
from diffc.codecs.shared.networks.blocks import to_device
from diffc.codecs.shared.tiling.picture_means import Means, with_picture_means

# in patches: each block sees one further
_PATCH_TILE = 192


class CodEncoder(TokenEncoder):
    """Pixels to tokens, with a network of either kind.

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
        codec = read_encoder(folder, self.config)
        super().__init__(codec, self.config, device, dtype or fast_dtype(device))


class CodDecoder:
    """Tokens to pixels with CoD-Lite; see `CodEncoder` for the parameters."""

    def __init__(self, folder: Path, device: str, dtype: torch.dtype | None = None) -> None:
        self.config = read_lite_config(folder)
        dtype = dtype or fast_dtype(device)
        network = read_network(folder, self.config)
        self._tokens = TokenDecoder(network.y_embedder, self.config, device, dtype)
        denoiser = with_products_in(folded(network), dtype)
        # colours are finer than bfloat16
        denoiser.leave.float()
        self._denoiser = to_device(denoiser, device)

    def condition(self, tokens: Tensor) -> Tensor:
        """Map tokens, int64 (rows, columns), to a condition (1, width, H/16, W/16)."""
        return self._tokens.condition(tokens)

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
