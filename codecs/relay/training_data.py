"""Photographs beside what codecs make of them: the training data of the restoring network.

Each photo is coded by AV1 at several scales and qualities, by WebP and by HEVC or JPEG XL once; all
that is decoded into one file that is mapped into memory.  JPEG is coded as crops are drawn, for it
takes milliseconds.  Drawn pictures of text and flat graphics are coded as photos are.
"""

from __future__ import annotations

import io
import json
import math
import random
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from diffc.codecs.relay.network import FAMILIES, Condition
from diffc.codecs.relay.rate_search import base_size
from diffc.codecs.shared.base_pictures.av1_picture import Av1Coder
from diffc.codecs.training.graphics import draw

Pixels = NDArray[np.uint8]

INDEX = "pictures.json"
# (scale, lowest and highest quality, how often) of AV1: what a target of 0.02 to 0.4 bpp leads to
MIXTURE = ((1.0, 4, 50, 3), (1.5, 4, 55, 4), (2.0, 0, 55, 4), (3.0, 0, 50, 2))
LEAST_LEVEL = 2 ** (-255 / 24)
# of how many pixels both sides of what is kept are multiples, and how far a size is rounded
_MULTIPLE = 16
SCALES = (1.0, 0.6)
"""At which photos are shown: the smaller one is sharper."""
# the level of what does not come with one is estimated: off by this, as a logarithm
_UNSURE = 0.15


@dataclass(frozen=True)
class Entry:
    """One picture in the file: where it begins, its size; of a base, whose and how it was coded."""

    start: int
    height: int
    width: int
    photo: int = -1
    family: str = ""
    scale: float = 1.0
    level: float = 0.0


class Degraded:
    """The prepared data of a run."""

    def __init__(self, folder: Path) -> None:
        index = json.loads((folder / INDEX).read_text())
        self.photos = [Entry(**each) for each in index["photos"]]
        self.bases = [Entry(**each) for each in index["bases"]]
        self.graphics = set(index["graphics"])
        self._bytes = np.memmap(folder / "pictures.bin", dtype=np.uint8, mode="r")

    def array(self, entry: Entry) -> Pixels:
        """Return the pixels (height, width, 3) of a picture."""
        count = entry.height * entry.width * 3
        return self._bytes[entry.start : entry.start + count].reshape(entry.height, entry.width, 3)


def prepare(
    photos: Iterable[Tensor],
    folder: Path,
    *,
    families: Collection[str],
    variants: int,
    seed: int,
    drawings: int = 60,
) -> None:
    """Code all photos and write ``pictures.bin`` and ``pictures.json`` into the folder.

    Parameters
    ----------
    photos : iterable of Tensor
        uint8 (3, H, W).
    folder : Path
        Is made.
    families : collection of str
        Of `FAMILIES`; those of JPEG are coded later.
    variants : int
        Base pictures of AV1 of each photo.
    seed : int
        Of scales, qualities, and what is drawn.
    drawings : int
        How many pictures of text and graphics to add.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found: dict[str, list[dict[str, Any]]] = {"photos": [], "bases": []}
    graphics: list[int] = []
    part = folder / "pictures.part"
    with part.open("wb") as file:

        def write(pixels: Pixels, kind: str, **about: Any) -> None:
            height, width = pixels.shape[:2]
            found[kind].append(asdict(Entry(file.tell(), height, width, **about)))
            file.write(np.ascontiguousarray(pixels).tobytes())

        for number, image in enumerate(_pictures(photos, seed, drawings, graphics)):
            chooser = random.Random(f"{seed} {number}")
            original = np.asarray(image)
            write(original, "photos")
            for family, scale, decoded in _bases(image, families, chooser, variants):
                enlarged = decoded
                if scale != 1:
                    enlarged = decoded.resize(image.size, Image.Resampling.BICUBIC)
                level = _level(original, np.asarray(enlarged))
                about = {"photo": number, "family": family, "scale": scale, "level": level}
                write(np.asarray(decoded), "bases", **about)
    part.replace(folder / "pictures.bin")
    # last, for it says that all is there
    (folder / INDEX).write_text(json.dumps({**found, "graphics": graphics}))


def _pictures(
    photos: Iterable[Tensor], seed: int, drawings: int, graphics: list[int]
) -> Iterator[Image.Image]:
    """Yield photos, sides cut to multiples of 16, then drawings, and note the drawings' numbers."""
    number = 0
    for photo in photos:
        height, width = (side // _MULTIPLE * _MULTIPLE for side in photo.shape[1:])
        yield Image.fromarray(photo[:, :height, :width].permute(1, 2, 0).contiguous().numpy())
        number += 1
    for drawing in range(drawings):
        graphics.append(number)
        yield draw(random.Random(f"{seed} drawing {drawing}"), (768, 512))
        number += 1


def _bases(
    image: Image.Image, families: Collection[str], chooser: random.Random, variants: int
) -> Iterator[tuple[str, float, Image.Image]]:
    """Yield family, scale and decoded pictures; of the slower families one for every photo."""
    coder = Av1Coder(speed=6)
    weights = [each[3] for each in MIXTURE]
    for scale, lowest, highest, _ in chooser.choices(MIXTURE, weights, k=variants):
        quality = chooser.choice([q for q in Av1Coder.qualities if lowest <= q <= highest])
        size = base_size(image.size, scale)
        smaller = image.resize(size, Image.Resampling.LANCZOS)
        yield "av1", scale, coder.decode(coder.encode(smaller, quality), size, grey=False)
    if "webp" in families:
        yield "webp", 1.0, _through(image, "WEBP", quality=chooser.randint(0, 80), method=4)
    slow = [family for family in ("hevc", "jxl") if family in families]
    if not slow:
        return
    family = chooser.choice(slow)
    if family == "hevc":
        import pillow_heif

        pillow_heif.register_heif_opener()
        yield family, 1.0, _through(image, "HEIF", quality=chooser.randint(5, 55))
    else:
        import pillow_jxl  # noqa: F401 - registers the format

        yield family, 1.0, _through(image, "JXL", quality=chooser.randint(5, 75), effort=4)


def _through(image: Image.Image, name: str, **options: Any) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, name, **options)
    with Image.open(buffer) as opened:
        return opened.convert("RGB")


def _level(photo: Pixels, base: Pixels) -> float:
    error = photo.astype(np.float32) - base.astype(np.float32)
    return max(float(np.sqrt(np.square(error).mean())) / 127.5, LEAST_LEVEL)


@dataclass(frozen=True)
class Batch:
    """Crops: photos and bases (N, 3, size, size) in [-1, 1], and what is known of them."""

    photo: Tensor
    base: Tensor
    condition: Condition

    def to(self, device: str) -> Batch:
        """Return the batch on a device."""
        known = self.condition
        moved = (each.to(device) for each in (known.level, known.scale, known.family))
        return Batch(self.photo.to(device), self.base.to(device), Condition(*moved))


class DegradedCrops:
    """Random crops of photos and their bases, with flips, where blocks of 16 pixels begin.

    Parameters
    ----------
    data : Degraded
        Where they are from.
    size : int
        Side of a crop, a multiple of 16.
    generator : torch.Generator
        On the CPU.
    shares : mapping
        How often a crop is of which family.
    graphics : float
        The share of drawn pictures.

    Raises
    ------
    ValueError
        If a photo is smaller than a crop, or a family has no bases.
    """

    def __init__(
        self,
        data: Degraded,
        size: int,
        generator: torch.Generator,
        *,
        shares: Mapping[str, float],
        graphics: float = 0.06,
    ) -> None:
        self.data, self.size, self.generator, self.shares = data, size, generator, shares
        if min(min(photo.height, photo.width) for photo in data.photos) < size:
            raise ValueError(f"photos are at least {size} pixels on both sides: use larger ones")
        self._by_family: dict[str, list[Entry]] = {}
        for entry in data.bases:
            self._by_family.setdefault(entry.family, []).append(entry)
        self._weights = {
            family: self._shares(entries, graphics) for family, entries in self._by_family.items()
        }
        coded_here = {"jpeg-420", "jpeg-444", "other"}
        if missing := sorted(set(shares) - coded_here - set(self._by_family)):
            raise ValueError(f"the data has no bases of {missing[0]!r}: prepare it anew")
        photos = [Entry(p.start, p.height, p.width, n) for n, p in enumerate(data.photos)]
        self._photos, self._photo_weights = photos, self._shares(photos, graphics)

    def _shares(self, entries: list[Entry], graphics: float) -> Tensor:
        areas = [
            math.sqrt(self.data.photos[e.photo].height * self.data.photos[e.photo].width)
            for e in entries
        ]
        weights = torch.tensor(areas)
        drawn = torch.tensor([e.photo in self.data.graphics for e in entries])
        if drawn.any() and not drawn.all():
            weights[drawn] *= (
                graphics / (1 - graphics) * weights[~drawn].sum() / weights[drawn].sum()
            )
        return weights

    def batch(self, count: int) -> Batch:
        """Draw ``count`` crops."""
        names, shares = list(self.shares), torch.tensor(list(self.shares.values()))
        families = torch.multinomial(shares, count, replacement=True, generator=self.generator)
        drawn = [self._crop(names[index]) for index in families.tolist()]
        both = torch.stack([torch.from_numpy(each[0]) for each in drawn])  # (N, 2, H, W, 3)
        pixels = both.permute(1, 0, 4, 2, 3).float().div_(127.5).sub_(1)
        numbers = [FAMILIES.index(each[3]) for each in drawn]
        condition = Condition(
            torch.tensor([each[1] for each in drawn]),
            torch.tensor([each[2] for each in drawn]),
            torch.tensor(numbers),
        )
        photo, base = (x.contiguous(memory_format=torch.channels_last) for x in pixels)
        return Batch(photo, base, condition)

    def _crop(self, family: str) -> tuple[Pixels, float, float, str]:
        if family in self._by_family:
            entries, weights = self._by_family[family], self._weights[family]
        else:
            entries, weights = self._photos, self._photo_weights
        chosen = int(torch.multinomial(weights, 1, generator=self.generator))
        entry = entries[chosen]
        photo = self.data.array(self.data.photos[entry.photo])
        height, width = photo.shape[:2]
        top, left = (
            self._below((side - self.size) // _MULTIPLE + 1) * _MULTIPLE for side in (height, width)
        )
        rows, columns = slice(top, top + self.size), slice(left, left + self.size)
        level = entry.level
        if family in self._by_family:
            coded = self.data.array(entry)
            if entry.scale == 1:
                base = coded[rows, columns]
            else:
                high, wide = coded.shape[0] / height, coded.shape[1] / width
                box = (left * wide, top * high, (left + self.size) * wide, (top + self.size) * high)
                size = (self.size, self.size)
                base = np.asarray(
                    Image.fromarray(coded).resize(size, Image.Resampling.BICUBIC, box=box)
                )
        else:
            whole = self._jpeg(photo, family)
            level = _level(photo, whole)
            base = whole[rows, columns]
        if family != "av1":
            level *= math.exp(_UNSURE * float(torch.randn(1, generator=self.generator)))
        both = np.stack([photo[rows, columns], base])
        # blocks of 8 and 16 end where they began, so flips keep their grid
        if self._below(2):
            both = both[:, :, ::-1]
        if family not in self._by_family and self._below(4) == 0:
            both = both.transpose(0, 2, 1, 3)
        return np.ascontiguousarray(both), max(level, LEAST_LEVEL), entry.scale, family

    def _jpeg(self, photo: Pixels, family: str) -> Pixels:
        """Code a photo as JPEG; as "other" twice, with the grid shifted between."""
        image = Image.fromarray(photo)
        if family == "other":
            top, left = self._below(8), self._below(8)
            first = _through(image, "JPEG", quality=self._quality(), subsampling=2)
            if self._below(
                2
            ):  # pasted elsewhere, saved without loss: the grid is not where blocks begin
                shifted = Image.fromarray(np.roll(photo, (top, left), (0, 1)))
                moved = np.asarray(
                    _through(shifted, "JPEG", quality=self._quality(), subsampling=2)
                )
                return np.ascontiguousarray(np.roll(moved, (-top, -left), (0, 1)))
            shifted = Image.fromarray(np.roll(np.asarray(first), (top, left), (0, 1)))
            twice = np.asarray(
                _through(shifted, "JPEG", quality=self._quality() + 10, subsampling=2)
            )
            return np.ascontiguousarray(np.roll(twice, (-top, -left), (0, 1)))
        subsampling = 2 if family == "jpeg-420" else 0
        return np.asarray(_through(image, "JPEG", quality=self._quality(), subsampling=subsampling))

    def _quality(self) -> int:
        """Return a quality of JPEG: mostly 3 to 60, sometimes up to 92."""
        if self._below(6) == 0:
            return 50 + self._below(43)
        return round(3 * 20 ** float(torch.rand(1, generator=self.generator)))

    def _below(self, limit: int) -> int:
        return int(torch.randint(limit, (1,), generator=self.generator))
