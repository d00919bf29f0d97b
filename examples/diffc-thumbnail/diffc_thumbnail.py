"""A complete codec for diffc: it keeps a small copy of the picture, and enlarges it again."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from diffc import codec
from diffc.codec import Coded, Encoded, Picture, Rate
from diffc.parameters import ByteReader, ByteWriter


@dataclass(frozen=True)
class Thumbnail(codec.Codec):
    """Small copies of several sizes, of which the rate chooses one."""

    name, bitstream_version = "thumbnail", 1
    description = "a small copy of the picture, enlarged again"
    traits = codec.Traits(generative=False)
    levels: int = codec.option(32, low=2, high=256, help="levels of each colour")

    def encode(
        self, picture: Picture, rate: Rate, progress: codec.Progress = codec.no_progress
    ) -> Encoded:
        """Take the largest small copy that the rate allows."""
        sides = range(1, min(max(picture.size), 1024) + 1)
        return rate.largest(sides, lambda side: self._copy(picture, side))

    def _copy(self, picture: Picture, side: int) -> Encoded:
        small = interpolate(picture.pixels[None], shape_of(picture.size, side), mode="area")
        values = small.mul(self.levels - 1).round().to(torch.uint8).contiguous()
        parameters = ByteWriter().number(side, 2).number(self.levels - 1, 1).done()
        return Encoded(zlib.compress(values.numpy().tobytes(), 9), parameters)

    @classmethod
    def decode(cls, coded: Coded, options: codec.DecodeOptions) -> Tensor:
        """Enlarge the small copy; believe nothing that has not been checked."""
        reader = ByteReader(coded.parameters)
        side, highest = reader.number(2), reader.number(1)
        reader.done()
        coded.require(1 <= side <= max(coded.size) and highest > 0, f"no copy has {side} pixels")
        height, width = shape_of(coded.size, side)
        inflater = zlib.decompressobj()
        try:
            # a small payload can inflate to any size: take no more than belongs here
            data = inflater.decompress(coded.payload, 3 * height * width + 1)
        except zlib.error as error:
            raise OSError(f"the small copy does not decompress: {error}") from error
        whole = len(data) == 3 * height * width and inflater.eof and max(data) <= highest
        coded.require(whole, f"a copy of {width}x{height} has values of 0 to {highest}, not these")
        small = torch.frombuffer(bytearray(data), dtype=torch.uint8).view(1, 3, height, width)
        large = interpolate(small.float().div(highest), coded.size[::-1], mode="bilinear")
        return large[0].clamp(0, 1)


def shape_of(size: tuple[int, int], side: int) -> tuple[int, int]:
    """Return height and width of a copy whose longer side is ``side``."""
    width, height = (max(1, round(side * each / max(size))) for each in size)
    return height, width
