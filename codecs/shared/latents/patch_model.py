"""The embedded model: patch transform, latent denoiser and synthesis, from one folder."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from diffc.codecs.shared.declarations import PATCH as PATCH_KIND
from diffc.codecs.shared.diffusion.denoisers import Denoiser
from diffc.codecs.shared.diffusion.feature_reuse import FeatureReuse
from diffc.codecs.shared.diffusion.schedules import sigma_table
from diffc.codecs.shared.latents.denoiser import DenoiserConfig, LatentDenoiser
from diffc.codecs.shared.latents.patch_transform import PATCH
from diffc.codecs.shared.latents.pixels import PixelDecoder
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
DENOISER = "denoiser"
"""Table of a folder's configuration, and name of its file of weights."""

# tiles keep the widest layer's features under some 300 MB; the margin is the field of view
DENOISER_TILE, DENOISER_MARGIN = 160, 18


class PatchModel:
    """Pixels to latent, latent to pixels, and a denoiser between.

    Parameters
    ----------
    folder : Path
        Holds config.json, denoiser.safetensors and what `PixelDecoder` reads.
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
        denoiser = LatentDenoiser(DenoiserConfig(**config[DENOISER]))
        denoiser.load_state_dict(from_bytes(load_file(folder / f"{DENOISER}.safetensors")))
        to_device(denoiser, device).eval().requires_grad_(False)
        self.pixels = PixelDecoder(folder, config, device)
        self.transform = self.pixels.transform
        self.draws = self.pixels.draws
        self.channels = denoiser.config.channels
        # for codecs that tell it more than the noise level
        self.network: nn.Module = with_convolutions_in(denoiser, fast_dtype(device))
        self.channel_std = denoiser.channel_std
        self.sigmas = sigma_table(**config["sigmas"])
        self.denoiser = _tiled_denoiser(self.network)

    def walker(self, cache: int) -> Denoiser:
        """Return a denoiser for the steps of one walk, see `LatentModel.walker`."""
        return self.denoiser if cache == 1 else _tiled_denoiser(self.network, FeatureReuse(cache))

    def analyse(self, pixels: Tensor) -> Tensor:
        """Map pixels (1, 3, H, W) in [0, 1], sides multiples of `multiple`, to a latent."""
        return self.transform.analyse(2 * pixels - 1)

    def synthesise(self, latent: Tensor, sigma: float, realism: float, seed: int) -> Tensor:
        """Map a latent estimate to pixels (1, 3, H, W) in [0, 1], see `PixelDecoder.decode`."""
        return self.pixels.decode(latent, sigma, realism, seed)

    def reconstruct(self, latent: Tensor) -> Tensor:
        """Map a latent to the pixels (1, 3, H, W) in [0, 1] that it says: the adjoint alone."""
        return self.transform.synthesise(latent).add_(1).mul_(0.5).clamp_(0, 1)

    def tail(self, left: int) -> int:
        """Return how many evaluations finish a walk that has so many steps left.

        One more than the smoothest picture, for texture.
        """
        return 2


def _tiled_denoiser(network: nn.Module, reuse: FeatureReuse | None = None) -> Denoiser:
    def denoise(x: Tensor, sigma: Tensor) -> Tensor:
        if reuse is not None:
            reuse.next_evaluation()
        return in_tiles(
            lambda tile: network(_channels_last(tile), sigma, reuse=reuse),
            x,
            largest=DENOISER_TILE,
            margin=DENOISER_MARGIN,
            scale=1,
        )

    return denoise


def _channels_last(tile: Tensor) -> Tensor:
    return tile.contiguous(memory_format=torch.channels_last)


def load(folder: Path, device: str) -> PatchModel:
    """Return the model of a folder, read once in a process.

    Raises
    ------
    OSError
        If the folder holds no such model.
    """
    return load_once(PatchModel, folder, device)
