"""Base pictures for the relay stage: each photo coded by AV1 at several scales and qualities.

They are kept as coded (a few kilobytes each) and decoded when a run starts, so that a shard of
photos and a shard of bases are all that a machine needs.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from diffc.codecs.relay.rate_search import base_size
from diffc.codecs.shared.base_pictures.av1_picture import Av1Coder

# (scale, lowest and highest quality, how often): what a target of 0.02 to 0.4 bpp leads to
MIXTURE = (
    (1.0, 4, 50, 3),
    (1.5, 4, 55, 4),
    (2.0, 0, 55, 4),
    (3.0, 0, 50, 2),
)
BASES = "bases.safetensors"
CANDIDATES = 3
LEAST_LEVEL = 2 ** (-255 / 24)


@dataclass(frozen=True)
class Pair:
    """A photo, uint8 (3, H, W), sides multiples of 16, and one base picture of it.

    ``coded`` is the base as it was coded, ``scale`` times smaller; enlarged, bases of all photos
    would take twice the memory.  ``level`` is the root mean square of its error for pixels in
    [-1, 1].
    """

    photo: Tensor
    coded: Image.Image
    scale: float
    level: float

    def base(self, rows: slice, columns: slice) -> Tensor:
        """Return a part of the enlarged base, uint8 (3, rows, columns), as the decoder makes it."""
        high, wide = (
            x / y for x, y in zip(self.coded.size[::-1], self.photo.shape[1:], strict=True)
        )
        box = (columns.start * wide, rows.start * high, columns.stop * wide, rows.stop * high)
        size = (columns.stop - columns.start, rows.stop - rows.start)
        return _tensor(self.coded.resize(size, Image.Resampling.BICUBIC, box=box))


def encode_bases(photos: Iterator[Tensor], path: Path, *, variants: int, seed: int) -> None:
    """Write the base pictures of all photos, ``variants`` of each, into one safetensors file."""
    chooser, coder = random.Random(seed), Av1Coder()
    files: list[bytes] = []
    scales: list[float] = []
    for photo in photos:
        image = _multiple_of_16(photo)
        for scale, quality in _chosen(chooser, variants):
            smaller = image.resize(base_size(image.size, scale), Image.Resampling.LANCZOS)
            files.append(coder.encode(smaller, quality))
            scales.append(scale)
    ends = torch.tensor([len(data) for data in files]).cumsum(0)
    blob = torch.from_numpy(np.frombuffer(b"".join(files), dtype=np.uint8).copy())
    part = path.with_suffix(".part")
    save_file({"blob": blob, "ends": ends, "scales": torch.tensor(scales)}, part)
    part.replace(path)


def _chosen(chooser: random.Random, variants: int) -> Iterator[tuple[float, int]]:
    weights = [each[3] for each in MIXTURE]
    for scale, lowest, highest, _ in chooser.choices(MIXTURE, weights, k=variants):
        yield scale, chooser.choice([q for q in Av1Coder.qualities if lowest <= q <= highest])


def pairs(photos: Iterator[Tensor], path: Path) -> list[Pair]:
    """Decode all base pictures and set each beside its photo.

    Parameters
    ----------
    photos : iterator of Tensor
        The same, in the same order, as `encode_bases` got.
    path : Path
        What it wrote.
    """
    with safe_open(path, framework="pt") as file:
        blob, ends = file.get_tensor("blob").numpy(), file.get_tensor("ends").tolist()
        scales = file.get_tensor("scales").tolist()
    originals = [_multiple_of_16(photo) for photo in photos]
    variants = len(ends) // len(originals)
    if variants * len(originals) != len(ends):
        raise ValueError(f"{path} is of other photos: remove it, and it is made anew")
    found, start, coder = [], 0, Av1Coder()
    for index, image in enumerate(originals):
        photo = _tensor(image)
        for variant in range(index * variants, (index + 1) * variants):
            size = base_size(image.size, scales[variant])
            coded = coder.decode(blob[start : ends[variant]].tobytes(), size, grey=False)
            base = _tensor(coded.resize(image.size, Image.Resampling.BICUBIC))
            start = ends[variant]
            error = photo.float().sub_(base.float())
            # a flat photo may be coded exactly; files cannot say less
            level = max(float(error.square_().mean().sqrt()) / 127.5, LEAST_LEVEL)
            found.append(Pair(photo, coded, scales[variant], level))
    return found


def _multiple_of_16(photo: Tensor) -> Image.Image:
    height, width = (side // 16 * 16 for side in photo.shape[1:])
    return Image.fromarray(photo[:, :height, :width].permute(1, 2, 0).contiguous().numpy())


def _tensor(image: Image.Image) -> Tensor:
    return torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1).contiguous()


class PairCrops:
    """Random square crops of pairs, with flips."""

    def __init__(self, found: list[Pair], size: int, generator: torch.Generator) -> None:
        self.pairs = [pair for pair in found if min(pair.photo.shape[1:]) >= size]
        if not self.pairs:
            raise ValueError(f"no photo is at least {size} pixels on both sides: use larger photos")
        areas = [float(pair.photo[0].numel()) for pair in self.pairs]
        self.weights = torch.tensor(areas).sqrt()
        self.size = size
        self.generator = generator

    def batch(self, count: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return photos and bases (count, 3, size, size) in [-1, 1], levels and scales (count,)."""
        chosen = torch.multinomial(self.weights, count, replacement=True, generator=self.generator)
        photos, bases, levels, scales = [], [], [], []
        for index in chosen.tolist():
            pair = self.pairs[index]
            # skies and walls teach little: three times of four the worst coded of a few places
            places = [self._place(pair) for _ in range(CANDIDATES if self._below(4) else 1)]
            both = max(places, key=_error).float().div_(127.5).sub_(1)
            if self._below(2):
                both = both.flip(3)
            photos.append(both[0])
            bases.append(both[1])
            levels.append(pair.level)
            scales.append(pair.scale)
        return torch.stack(photos), torch.stack(bases), torch.tensor(levels), torch.tensor(scales)

    def _place(self, pair: Pair) -> Tensor:
        top = self._below(pair.photo.shape[1] - self.size + 1)
        left = self._below(pair.photo.shape[2] - self.size + 1)
        rows, columns = slice(top, top + self.size), slice(left, left + self.size)
        return torch.stack([pair.photo[:, rows, columns], pair.base(rows, columns)])

    def _below(self, limit: int) -> int:
        return int(torch.randint(limit, (1,), generator=self.generator))


def _error(both: Tensor) -> float:
    return float((both[0].float() - both[1].float()).square_().mean())
