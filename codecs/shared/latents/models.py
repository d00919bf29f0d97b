"""The models that a latent codec can walk in, behind one interface."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from torch import Tensor

from diffc.codecs.shared.diffusion.denoisers import Denoiser
from diffc.codecs.shared.latents import patch_model
from diffc.codecs.shared.stable_diffusion import pipeline
from diffc.models.identity import kind_of

KINDS = (patch_model.KIND, pipeline.KIND)


class LatentModel(Protocol):
    """Pixels to latent, latent to pixels, and a denoiser between."""

    fingerprint: bytes
    channels: int
    """Of the latent."""
    multiple: int
    """Pixels that sides are padded to multiples of."""
    positions: int
    """Positions of the latent along a side, for so many pixels."""
    keeps_lengths: bool
    """Whether a squared error in the latent is that for pixels in [-1, 1]."""
    sigmas: list[float]
    """Noise levels to walk along, rising."""

    @property
    def denoiser(self) -> Denoiser:
        """``denoised = denoiser(x, sigma)`` at the levels of `sigmas`."""

    def analyse(self, pixels: Tensor) -> Tensor:
        """Map pixels (1, 3, H, W) in [0, 1], sides multiples of ``multiple``, to a latent."""

    def synthesise(self, latent: Tensor, sigma: float) -> Tensor:
        """Map a latent estimate made at a noise level to pixels (1, 3, H, W) in [0, 1]."""

    def reconstruct(self, latent: Tensor) -> Tensor:
        """Map a latent to the pixels that it says, without what a network would add."""

    def tail(self, left: int) -> int:
        """Return how many evaluations finish a walk that has so many steps left."""


def takes_prompts(folder: Path) -> bool:
    """Tell whether a folder's model has a text encoder."""
    return kind_of(folder) == pipeline.KIND


def load(folder: Path, device: str, prompt: str) -> LatentModel:
    """Return the model of a folder, read once in a process; see the modules of its kind."""
    if takes_prompts(folder):
        return pipeline.load(folder, device, prompt)
    return patch_model.load(folder, device)
