"""The embedded model: patch transform, latent denoiser and synthesis, from one folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from diffc.codecs.shared.declarations import PATCH as PATCH_KIND
from diffc.codecs.shared.diffusion.denoisers import Denoiser
from diffc.codecs.shared.diffusion.schedules import sigma_table
from diffc.codecs.shared.latents.denoiser import DenoiserConfig, LatentDenoiser
from diffc.codecs.shared.latents.patch_transform import PATCH
from diffc.codecs.shared.latents.synthesis import Synthesis, SynthesisConfig
from diffc.codecs.shared.models import (
    config_of,
    fast_dtype,
    fingerprint,
    load_once,
    with_convolutions_in,
)
from diffc.codecs.shared.networks.blocks import to_device
from diffc.codecs.shared.tiling.exact import in_tiles
from diffc.models.byte_weights import from_bytes

KIND = PATCH_KIND.name

# tiles keep the widest layer's features under some 300 MB; the margins are the fields of view
DENOISER_TILE, DENOISER_MARGIN = 160, 18
_SYNTHESIS_TILE, _SYNTHESIS_MARGIN = 64, 8


class PatchModel:
    """Pixels to latent, latent to pixels, and a denoiser between.

    Parameters
    ----------
    folder : Path
        Holds config.json, denoiser.safetensors and synthesis.safetensors.
    device : str
        Where it runs.
    """

    # the denoiser halves the latent once, so pictures are padded to this multiple
    multiple = 2 * PATCH
    positions = 2
    # the transform is orthonormal
    keeps_lengths = True

    def __init__(self, folder: Path, device: str) -> None:
        config = config_of(folder)
        self.fingerprint = fingerprint(folder)
        self.device = device
        denoiser = LatentDenoiser(DenoiserConfig(**config["denoiser"]))
        sizes = {key: _tupled(value) for key, value in config["synthesis"].items()}
        synthesis = Synthesis(SynthesisConfig(**sizes))
        for network, name in ((denoiser, "denoiser"), (synthesis, "synthesis")):
            network.load_state_dict(from_bytes(load_file(folder / f"{name}.safetensors")))
            to_device(network, device).eval().requires_grad_(False)
        self.transform = synthesis.transform
        self.channels = denoiser.config.channels
        dtype = fast_dtype(device)
        self._synthesis = with_convolutions_in(synthesis, dtype)
        # for codecs that tell it more than the noise level
        self.network: nn.Module = with_convolutions_in(denoiser, dtype)
        self.channel_std = denoiser.channel_std
        self.sigmas = sigma_table(**config["sigmas"])
        self.denoiser = _tiled_denoiser(self.network)

    def analyse(self, pixels: Tensor) -> Tensor:
        """Map pixels (1, 3, H, W) in [0, 1], sides multiples of `multiple`, to a latent."""
        return self.transform.analyse(2 * pixels - 1)

    def synthesise(self, latent: Tensor, sigma: float) -> Tensor:
        """Map a latent estimate made at a noise level to pixels (1, 3, H, W) in [0, 1]."""

        def network(tile: Tensor) -> Tensor:
            level = torch.full((len(tile),), sigma, dtype=torch.float32, device=tile.device)
            made: Tensor = self._synthesis(_channels_last(tile), level)
            return made

        pixels = in_tiles(
            network, latent, largest=_SYNTHESIS_TILE, margin=_SYNTHESIS_MARGIN, scale=PATCH
        )
        return pixels.add_(1).mul_(0.5).clamp_(0, 1)

    def reconstruct(self, latent: Tensor) -> Tensor:
        """Map a latent to the pixels (1, 3, H, W) in [0, 1] that it says: the adjoint alone."""
        return self.transform.synthesise(latent).add_(1).mul_(0.5).clamp_(0, 1)

    def tail(self, left: int) -> int:
        """Return how many evaluations finish a walk that has so many steps left.

        One more than the smoothest picture, for texture.
        """
        return 2


def _tiled_denoiser(network: nn.Module) -> Denoiser:
    def denoise(x: Tensor, sigma: Tensor) -> Tensor:
        return in_tiles(
            lambda tile: network(_channels_last(tile), sigma),
            x,
            largest=DENOISER_TILE,
            margin=DENOISER_MARGIN,
            scale=1,
        )

    return denoise


def _channels_last(tile: Tensor) -> Tensor:
    return tile.contiguous(memory_format=torch.channels_last)


def _tupled(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def load(folder: Path, device: str) -> PatchModel:
    """Return the model of a folder, read once in a process.

    Raises
    ------
    OSError
        If the folder holds no such model.
    """
    return load_once(PatchModel, folder, device)
