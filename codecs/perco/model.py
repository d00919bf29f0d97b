"""The model of ``perco``: tokens and their conditions, beside the denoiser of another folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from diffc.codec import DecodeOptions
from diffc.codecs.perco.codec import TOKENS
from diffc.codecs.perco.control import ControlConfig, TokenControl
from diffc.codecs.perco.index_model import IndexModel
from diffc.codecs.perco.sequence import TokenLayout
from diffc.codecs.perco.tokeniser import (
    MULTIPLE,
    Condition,
    TokenConfig,
    TokenNetwork,
    Tokens,
)
from diffc.codecs.shared import models
from diffc.codecs.shared.diffusion.denoisers import Denoiser, guided
from diffc.codecs.shared.latents import patch_model
from diffc.codecs.shared.latents.denoiser import LatentDenoiser
from diffc.codecs.shared.latents.patch_model import (
    DENOISER_MARGIN,
    DENOISER_TILE,
    PatchModel,
)
from diffc.codecs.shared.latents.patch_transform import PATCH
from diffc.codecs.shared.latents.pixels import SYNTHESIS, PixelDecoder
from diffc.codecs.shared.models import (
    config_of,
    fast_dtype,
    fingerprint,
    with_convolutions_in,
)
from diffc.codecs.shared.networks.blocks import to_device
from diffc.codecs.shared.tiling.exact import in_tiles
from diffc.models.byte_weights import from_bytes

KIND = TOKENS.name
WEIGHTS, INDEX_WEIGHTS = "tokens.safetensors", "index.safetensors"


class TokenModel:
    """Pixels to tokens, tokens to a condition, and a denoiser under it.

    Parameters
    ----------
    folder : Path
        Holds config.json, tokens.safetensors, index.safetensors and what `PixelDecoder` reads; the
        configuration names, by its fingerprint, the folder of the denoiser, whose synthesis is used
        where the folder has none.
    device : str
        Where it runs.
    patch : PatchModel, optional
        The model whose denoiser it is, if it is none that can be found by its fingerprint.
    """

    multiple = MULTIPLE * PATCH

    def __init__(self, folder: Path, device: str, patch: PatchModel | None = None) -> None:
        config = config_of(folder)
        self.fingerprint = fingerprint(folder)
        self.device = device
        if patch is None:
            wanted = bytes.fromhex(config["shared"])
            shared = models.folder_with(wanted, DecodeOptions(), patch_model.KIND)
            patch = patch_model.load(shared, device)
        self.patch = patch
        # estimates from tokens are further from photographs than those of walks
        own = SYNTHESIS in config
        self._pixels = PixelDecoder(folder, config, device) if own else self.patch.pixels
        denoiser = self.patch.network
        assert isinstance(denoiser, LatentDenoiser)
        sizes = TokenConfig(**config["tokens"])
        self.config = sizes
        self._denoiser = denoiser
        self._network = TokenNetwork(sizes)
        self._control = TokenControl(ControlConfig(**config["control"]), sizes, denoiser.config)
        weights = from_bytes(load_file(folder / WEIGHTS))
        for name, network in (("tokens", self._network), ("control", self._control)):
            prefix = f"{name}."
            network.load_state_dict(
                {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}
            )
            to_device(network, device).eval().requires_grad_(False)
            with_convolutions_in(network, fast_dtype(device))
        self.index = IndexModel.load(folder / INDEX_WEIGHTS, sizes.vocabularies)
        self._std = denoiser.channel_std.to(device)[None, :, None, None]

    def layout(self, width: int, height: int) -> TokenLayout:
        """Return the grids of tokens for a picture's size in pixels."""
        rows, columns = (-(-side // self.multiple) * MULTIPLE for side in (height, width))
        return TokenLayout.of(self.config, rows, columns)

    def analyse(self, pixels: Tensor) -> Tokens:
        """Map pixels (1, 3, H, W) in [0, 1], sides multiples of `multiple`, to tokens."""
        latent = self.patch.analyse(pixels) / self._std
        latent = latent.contiguous(memory_format=torch.channels_last)
        _, tokens = self._network.analyse(latent)
        return tokens

    def condition(self, tokens: Tokens, present: Sequence[Tensor]) -> Condition:
        """Return what tokens say, where they are ``present``: bool (1, h, w) for each grid."""
        return self._network.synthesise(tokens, present)

    def mean(self, condition: Condition) -> Tensor:
        """Return the mean of the latent (1, channels, h, w)."""
        return condition.mean * self._std

    def denoiser(self, condition: Condition, guidance: float) -> Denoiser:
        """Return a denoiser of noisy latents (1, channels, h, w) under a condition."""

        def conditional(x: Tensor, sigma: Tensor) -> Tensor:
            def network(tile: Tensor, features: Tensor) -> Tensor:
                control = self._control(features, condition.embedding, sigma)
                made: Tensor = self._denoiser(tile, sigma, control=control)
                return made

            return self._tiled(network, x, condition.features)

        def unconditional(x: Tensor, sigma: Tensor) -> Tensor:
            return self._tiled(lambda tile: self._denoiser(tile, sigma), x)

        return guided(conditional, unconditional, guidance)

    def synthesise(self, latent: Tensor, sigma: float, realism: float, seed: int) -> Tensor:
        """Map a latent estimate to pixels (1, 3, H, W) in [0, 1], see `PixelDecoder.decode`."""
        return self._pixels.decode(latent, sigma, realism, seed)

    def _tiled(self, network: object, *latents: Tensor) -> Tensor:
        assert callable(network)
        return in_tiles(
            lambda *tiles: network(*(_channels_last(tile) for tile in tiles)),
            *latents,
            largest=DENOISER_TILE,
            margin=DENOISER_MARGIN,
            scale=1,
        )


def _channels_last(tile: Tensor) -> Tensor:
    return tile.contiguous(memory_format=torch.channels_last)
