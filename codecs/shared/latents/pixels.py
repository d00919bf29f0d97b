"""From latent estimates to pixels, with bounded memory: the networks of synthesis in tiles."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional as F

from diffc.codecs.shared.latents.patch_transform import PATCH, PatchTransform
from diffc.codecs.shared.latents.synthesis import (
    DetailConfig,
    Synthesis,
    SynthesisConfig,
    SynthesisDetail,
)
from diffc.codecs.shared.models import fast_dtype, with_convolutions_in
from diffc.codecs.shared.networks.blocks import to_device
from diffc.codecs.shared.tiling.exact import in_tiles
from diffc.models.byte_weights import from_bytes
from diffc.noise.streams import Purpose, random_normals

SYNTHESIS, DETAIL = "synthesis", "detail"
"""Tables of a folder's configuration, and names of its files of weights."""
# tiles keep the widest layer's features under some 300 MB; the margin is the field of view
TILE, MARGIN = 64, 8
# rows of latent positions whose noise is made at a time
_ROWS = 8


class PixelDecoder:
    """Pixels from latent estimates, as faithful or as natural as asked.

    Parameters
    ----------
    folder : Path
        Holds ``synthesis.safetensors`` and, if there is such a table, ``detail.safetensors``.
    config : mapping
        The folder's configuration.
    device : str
        Where it runs.
    """

    transform: PatchTransform

    def __init__(self, folder: Path, config: Mapping[str, Any], device: str) -> None:
        synthesis, detail = read_networks(folder, config)
        self.transform = synthesis.transform
        dtype = fast_dtype(device)
        for network in (synthesis, detail):
            if network is not None:
                to_device(network, device).eval().requires_grad_(False)
        self.device = device
        self._synthesis = with_convolutions_in(synthesis, dtype)
        self._detail = None if detail is None else with_convolutions_in(detail, dtype)

    @property
    def draws(self) -> bool:
        """Whether there is a network for detail, so that realism makes a difference."""
        return self._detail is not None

    def decode(self, latent: Tensor, sigma: float, realism: float, seed: int) -> Tensor:
        """Map a latent estimate to pixels (1, 3, H, W) in [0, 1].

        Parameters
        ----------
        latent : Tensor
            The estimate (1, channels, rows, columns).
        sigma : float
            The noise level that the bits ended at.
        realism : float
            From 0, the picture of least squared error, to 1, the most natural one.
        seed : int
            Of the noise that detail is drawn from.
        """
        latents = [latent]
        if self._detail is not None and realism:
            latents.append(self._noise(seed, latent.shape[2], latent.shape[3]))

        def network(tile: Tensor, *noise: Tensor) -> Tensor:
            tile = tile.contiguous(memory_format=torch.channels_last)
            level = torch.full((len(tile),), sigma, dtype=torch.float32, device=tile.device)
            picture, features, inner = self._synthesis(tile, level)
            made: Tensor = picture
            for each in noise:
                assert self._detail is not None  # there is noise only for it
                white = F.pixel_shuffle(each, PATCH)
                strength = torch.full_like(level, realism)
                made = made + self._detail(picture, features, inner, level, white, strength)
            return made

        pixels = in_tiles(network, *latents, largest=TILE, margin=MARGIN, scale=PATCH)
        return pixels.add_(1).mul_(0.5).clamp_(0, 1)

    def _noise(self, seed: int, rows: int, columns: int) -> Tensor:
        """Return white noise of the picture, with the pixels of a patch as channels.

        Row y of the picture is the stream of index y, in which channel c begins at element c times
        the picture's width.
        """
        width = PATCH * columns
        shape = (1, 3 * PATCH**2, rows, columns)
        noise = torch.empty(shape, dtype=torch.float32, device=self.device)
        for top in range(0, rows, _ROWS):
            bottom = min(top + _ROWS, rows)
            indices = torch.arange(PATCH * top, PATCH * bottom)
            normals = random_normals(seed, Purpose.TEXTURE, 0, indices, 3 * width, self.device)
            pixels = normals.reshape(1, -1, 3, width).transpose(1, 2)
            noise[:, :, top:bottom] = F.pixel_unshuffle(pixels, PATCH)
        return noise


def read_networks(
    folder: Path, config: Mapping[str, Any]
) -> tuple[Synthesis, SynthesisDetail | None]:
    """Read the networks of a folder with a configuration, see `PixelDecoder`."""
    sizes = SynthesisConfig(**_tuples(config[SYNTHESIS]))
    synthesis = Synthesis(sizes)
    synthesis.load_state_dict(from_bytes(load_file(folder / f"{SYNTHESIS}.safetensors")))
    if DETAIL not in config:
        return synthesis, None
    detail = SynthesisDetail(DetailConfig(**_tuples(config[DETAIL])), sizes)
    detail.load_state_dict(from_bytes(load_file(folder / f"{DETAIL}.safetensors")))
    return synthesis, detail


def _tuples(table: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(each) if isinstance(each, list) else each for key, each in table.items()}
