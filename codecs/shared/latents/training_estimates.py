"""Photographs beside the latent estimates that codecs end with: what the synthesis learns from."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from diffc.codecs.shared.latents.patch_transform import PATCH

# of a file; they are written one by one, so that a run goes on where it stopped
_SAMPLES = 200


@dataclass(frozen=True)
class Estimate:
    """One photograph's crop and its estimate.

    Parameters
    ----------
    pixels : Tensor
        uint8 (3, H, W).
    latent : Tensor
        (channels, H / 16, W / 16).
    sigma : float
        The noise level that the bits ended at.
    """

    pixels: Tensor
    latent: Tensor
    sigma: float


def record(folder: Path, estimates: Callable[[int], Iterator[Estimate]], count: int) -> None:
    """Write estimates, all of one size, until there are ``count``; those that are there stay.

    Parameters
    ----------
    folder : Path
        Made if it is not there.
    estimates : callable
        Returns those of a file, given its number.
    count : int
        Of all files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(len(_files(folder)), -(-count // _SAMPLES)):
        several = min(_SAMPLES, count - number * _SAMPLES)
        found = list(itertools.islice(estimates(number), several))
        tensors = {
            "pixels": torch.stack([each.pixels for each in found]),
            "latent": torch.stack([each.latent.half() for each in found]),
            "sigma": torch.tensor([each.sigma for each in found]),
        }
        part = folder / "estimates.part"
        save_file(tensors, part)
        os.replace(part, folder / f"estimates-{number:03d}.safetensors")


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("estimates-*.safetensors"))


class _Slices:
    """A file of which parts are read when they are needed."""

    def __init__(self, path: Path) -> None:
        file: Any = safe_open(path, framework="pt")
        self.latent, self.pixels = file.get_slice("latent"), file.get_slice("pixels")
        self.shape: tuple[int, int] = tuple(self.latent.get_shape()[2:])
        self.sigma: Tensor = file.get_tensor("sigma")


@dataclass(frozen=True)
class Batch:
    """Crops: photos (N, 3, size, size) in [-1, 1], latents (N, channels, size / 16, size / 16), levels (N,)."""

    photo: Tensor
    latent: Tensor
    sigma: Tensor

    def to(self, device: str) -> Batch:
        """Return the batch on a device."""
        return Batch(self.photo.to(device), self.latent.to(device), self.sigma.to(device))


class EstimateCrops:
    """Random crops of what `record` wrote, where patches begin.

    Parameters
    ----------
    folder : Path
        Of its files.
    size : int
        Side of a crop in pixels, a multiple of 16.
    generator : torch.Generator
        On the CPU.
    """

    def __init__(self, folder: Path, size: int, generator: torch.Generator) -> None:
        self.size, self.generator = size, generator
        self._places: list[tuple[_Slices, int]] = []
        for path in _files(folder):
            slices = _Slices(path)
            self._places += [(slices, index) for index in range(len(slices.sigma))]

    def batch(self, count: int) -> Batch:
        """Draw ``count`` crops."""
        found = [self._crop(self._below(len(self._places))) for _ in range(count)]
        photo, latent, sigma = (torch.stack(each) for each in zip(*found, strict=True))
        return Batch(photo.float().div_(127.5).sub_(1), latent.float(), sigma)

    def _crop(self, place: int) -> tuple[Tensor, Tensor, Tensor]:
        file, index = self._places[place]
        side = self.size // PATCH
        height, width = file.shape
        top, left = self._below(height - side + 1), self._below(width - side + 1)
        latent = file.latent[index : index + 1, :, top : top + side, left : left + side][0]
        rows = slice(PATCH * top, PATCH * (top + side))
        columns = slice(PATCH * left, PATCH * (left + side))
        photo = file.pixels[index : index + 1, :, rows, columns][0]
        return photo, latent, file.sigma[index]

    def _below(self, limit: int) -> int:
        return int(torch.randint(limit, (1,), generator=self.generator))
