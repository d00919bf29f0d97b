"""Photos packed into a few safetensors files, so that a training run carries its data along."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

SHARD_BYTES = 56_000_000


def pack(photos: Iterable[Path], folder: Path) -> list[Path]:
    """Write the photos' own JPEG or PNG bytes into shards of at most `SHARD_BYTES` bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    shards: list[Path] = []
    pending: list[bytes] = []
    size = 0
    for photo in photos:
        data = photo.read_bytes()
        if pending and size + len(data) > SHARD_BYTES:
            shards.append(_write(pending, folder / f"photos-{len(shards):03d}.safetensors"))
            pending, size = [], 0
        pending.append(data)
        size += len(data)
    if pending:
        shards.append(_write(pending, folder / f"photos-{len(shards):03d}.safetensors"))
    return shards


def _write(files: list[bytes], path: Path) -> Path:
    ends = torch.tensor([len(data) for data in files]).cumsum(0)
    blob = torch.from_numpy(np.frombuffer(b"".join(files), dtype=np.uint8).copy())
    save_file({"blob": blob, "ends": ends}, path)
    return path


def photos(shards: Iterable[Path], *, scales: tuple[float, ...] = (1.0, 0.5)) -> Iterator[Tensor]:
    """Yield each photo as uint8 (3, H, W), at each scale whose short side is at least 160."""
    for shard in shards:
        with safe_open(shard, framework="pt") as file:
            blob, ends = file.get_tensor("blob").numpy(), file.get_tensor("ends").tolist()
        start = 0
        for end in ends:
            with Image.open(io.BytesIO(blob[start:end].tobytes())) as image:
                picture = image.convert("RGB")
            start = end
            for scale in scales:
                width, height = (round(side * scale) for side in picture.size)
                if min(width, height) >= 160:
                    resized = picture.resize((width, height), Image.Resampling.LANCZOS)
                    yield torch.from_numpy(np.asarray(resized).copy()).permute(2, 0, 1).contiguous()


class Crops:
    """Random square crops with flips, from photos held in memory."""

    def __init__(self, pictures: list[Tensor], size: int, generator: torch.Generator) -> None:
        self.pictures = [p for p in pictures if min(p.shape[1:]) >= size]
        if not self.pictures:
            raise ValueError(f"no photo is at least {size} pixels on both sides: use larger photos")
        areas = [float(p.shape[1] * p.shape[2]) for p in self.pictures]
        self.weights = torch.tensor(areas).sqrt()
        self.size = size
        self.generator = generator

    def batch(self, count: int) -> Tensor:
        """Return ``count`` crops, float32 (count, 3, size, size) in [-1, 1]."""
        chosen = torch.multinomial(self.weights, count, replacement=True, generator=self.generator)
        crops = []
        for index in chosen.tolist():
            picture = self.pictures[index]
            top = self._below(picture.shape[1] - self.size + 1)
            left = self._below(picture.shape[2] - self.size + 1)
            crop = picture[:, top : top + self.size, left : left + self.size]
            if self._below(2):
                crop = crop.flip(2)
            crops.append(crop)
        return torch.stack(crops).float().div_(127.5).sub_(1)

    def _below(self, limit: int) -> int:
        return int(torch.randint(limit, (1,), generator=self.generator))
