"""Codecs without weights, and what worker processes run; importable by name from tests.

The codec ``planes`` stores an RGB picture bit plane by bit plane, the highest first, and cuts that
where the rate ends: any number of bytes is reachable, all of them are lossless, a prefix decodes.
"""

from __future__ import annotations

import io
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

import diffc
from diffc import registry
from diffc.codec import (
    Codec,
    Coded,
    DecodeOptions,
    Encoded,
    ModelKind,
    Picture,
    Progress,
    Rate,
    Traits,
    no_progress,
    option,
)
from diffc.errors import OptionError, RateError


@dataclass(frozen=True)
class BitPlanes(Codec):
    """Bit planes, cut anywhere; keeps the options that it was last called with."""

    description = "bit planes, for tests"
    encoded: ClassVar[int] = 0
    options: ClassVar[DecodeOptions | None] = None

    def encode(self, picture: Picture, rate: Rate, progress: Progress = no_progress) -> Encoded:
        type(self).encoded += 1
        values = picture.pixels.mul(255).round().to(torch.uint8).numpy().reshape(-1)
        bits = np.unpackbits(values[:, None], axis=1).T[: getattr(self, "planes", 8)]
        stream = np.packbits(bits.reshape(-1)).tobytes()
        length = round(len(stream) * rate.quality / 100)
        if rate.bounded:
            room = rate.room()
            if room < 0 or len(stream) < 0.95 * room:
                raise RateError(0, len(stream))
            length = min(room, len(stream))
        progress(1, 1)
        return Encoded(stream[:length])

    @classmethod
    def decode(cls, coded: Coded, options: DecodeOptions) -> Tensor:
        cls.options = options
        if options.device == "nowhere":
            raise OptionError("device is one that is here, not 'nowhere': use 'cpu'")
        width, height = coded.size
        count = 3 * width * height
        bits = np.unpackbits(np.frombuffer(coded.payload, np.uint8))
        if len(bits) >= 8 * count + 8:
            raise OSError(f"planes has at most {count} bytes, not {len(coded.payload)}: damaged")
        planes = np.zeros(8 * count, np.uint8)
        planes[: len(bits)] = bits[: 8 * count]
        values = np.packbits(planes.reshape(8, count).T, axis=1)
        options.progress(1, 1)
        return torch.from_numpy(values.reshape(3, height, width)).to(torch.float32).div_(255)


@diffc.register_codec("planes")
@dataclass(frozen=True)
class PlanesCodec(BitPlanes):
    """Bit planes with options: how many of eight are stored at most, and a text."""

    name = "planes"
    traits = Traits(
        generative=False, lossless=True, continuous_rate=True, progressive=True, caption=True
    )

    planes: int = option(8, low=1, high=8, help="bit planes of eight that are stored at most")
    caption: str | None = option(None, longest=200, help="a text")


@diffc.register_codec("slow")
class SlowCodec(BitPlanes):
    """Planes that take their time, so that threads meet; counts what it decodes."""

    name = "slow"
    traits = Traits(generative=False, continuous_rate=True, progressive=True)
    decoded: ClassVar[int] = 0
    together: ClassVar[int] = 0
    most_together: ClassVar[int] = 0
    _lock: ClassVar[threading.Lock] = threading.Lock()

    @classmethod
    def decode(cls, coded: Coded, options: DecodeOptions) -> Tensor:
        with cls._lock:
            cls.decoded += 1
            cls.together += 1
            cls.most_together = max(cls.most_together, cls.together)
        time.sleep(0.2)
        with cls._lock:
            cls.together -= 1
        return super().decode(coded, options)


@diffc.register_codec("whole")
@dataclass(frozen=True)
class WholeCodec(BitPlanes):
    """Planes of whole files only, with an option of its own; breaks if told to by the payload."""

    name = "whole"
    traits = Traits(generative=False)

    shade: float = option(0.5, help="what no other codec has")

    @classmethod
    def decode(cls, coded: Coded, options: DecodeOptions) -> Tensor:
        if coded.payload == b"break":
            raise KeyError("a bug of the codec")
        if coded.payload == b"shape":
            return torch.zeros(3, 1, 1)
        return super().decode(coded, options)


def register_simple(patch: pytest.MonkeyPatch) -> None:
    """Make a codec known for one test, whose models are of kind ``simple`` and can be converted."""

    class SimpleCodec(WholeCodec):
        name = "simple"
        kinds = (ModelKind("simple", converter="fake_hub:write_simple"),)

    patch.setattr(registry, "_registered", dict(registry._registered))
    diffc.register_codec("simple", SimpleCodec)


def reencoded(path: str) -> tuple[str | None, tuple[int, ...], bytes]:
    """Open, decode and encode again, as a pool's worker does; a file of any codec."""
    with Image.open(path) as image:
        pixels = image.tobytes()
        buffer = io.BytesIO()
        image.save(buffer, format="DIFFC", quality="keep")
        assert buffer.getvalue() == Path(path).read_bytes()
        return image.format, image.size, pixels


def seed_worker(number: int) -> None:
    """Seed torch in a worker of a DataLoader by its number."""
    torch.manual_seed(number)


class Pictures(Dataset[Tensor]):
    """A data set of files."""

    def __init__(self, paths: list[str]) -> None:
        self.paths = paths

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Tensor:
        with Image.open(self.paths[index]) as image:
            return torch.from_numpy(np.array(image))
