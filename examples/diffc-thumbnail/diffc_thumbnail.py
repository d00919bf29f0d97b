"""A complete codec for diffc: it keeps a small copy of the picture, and enlarges it again."""

from __future__ import annotations

import math
import struct
import zlib
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from diffc.codec import Codec, Coded, DecodeOptions, Encoded, Progress, Rate, Settings, no_progress
from diffc.errors import RateError

PARAMETERS = struct.Struct(">HB")  # longer side of the small copy, levels of each color less 1
LONGEST_SIDE = 1024


@dataclass(frozen=True)
class ThumbnailSettings(Settings):
    """Options of the encoder: ``levels`` of each color, 2 to 256."""

    levels: int = 32

    def __post_init__(self) -> None:
        """Check types and ranges."""
        super().__post_init__()
        if type(self.levels) is not int or not 2 <= self.levels <= 256:
            raise ValueError(f"levels is 2 to 256, not {self.levels!r}: choose one in that range")


class ThumbnailCodec(Codec):
    """Small copies of several sizes, of which the rate chooses one."""

    name = "thumbnail"
    description = "a small copy of the picture, enlarged again"
    settings_type = ThumbnailSettings

    def encode(
        self,
        image: Tensor,
        settings: ThumbnailSettings,
        rate: Rate,
        progress: Progress = no_progress,
    ) -> Encoded:
        """Take the largest small copy that the rate allows."""
        height, width = image.shape[1:]
        longest = min(max(width, height), LONGEST_SIDE)
        # a quarter of an octave between two sizes, down to one pixel
        octaves = math.ceil(4 * math.log2(longest)) if longest > 1 else 0
        sides = sorted({math.ceil(longest * 2 ** (-step / 4)) for step in range(octaves + 1)})
        copies: list[Encoded] = []
        for step, side in enumerate(sides):
            progress(step, len(sides))
            shape = small_shape((width, height), side)
            small = interpolate(image[None], shape, mode="area")[0]
            values = small.mul(settings.levels - 1).round().to(torch.uint8)
            payload = zlib.compress(values.contiguous().numpy().tobytes(), 9)
            # a larger copy in fewer bytes makes smaller ones useless: bytes rise with the side
            while copies and len(copies[-1].payload) >= len(payload):
                copies.pop()
            copies.append(Encoded(payload, PARAMETERS.pack(side, settings.levels - 1)))
        if rate.room is None:
            return copies[round(rate.quality / 100 * (len(copies) - 1))]
        room = rate.room(PARAMETERS.size, False)
        fitting = [copy for copy in copies if len(copy.payload) <= room]
        if not fitting:
            lowest, highest = (PARAMETERS.size + len(copies[end].payload) for end in (0, -1))
            raise RateError(lowest, highest)
        return fitting[-1]

    def decode(self, coded: Coded, options: DecodeOptions) -> Tensor:
        """Enlarge the small copy; believe nothing that has not been checked."""
        if len(coded.parameters) != PARAMETERS.size:
            raise OSError(f"thumbnail has 3 parameter bytes, not {len(coded.parameters)}: damaged")
        side, highest = PARAMETERS.unpack(coded.parameters)
        if not (1 <= side <= min(max(coded.size), LONGEST_SIDE) and highest):
            raise OSError(f"a copy of {side} pixels with {highest + 1} levels is none: damaged")
        height, width = small_shape(coded.size, side)
        length = 3 * height * width
        decompressor = zlib.decompressobj()
        try:
            # a small payload can inflate to any size: take no more than belongs here
            data = decompressor.decompress(coded.payload, length + 1)
        except zlib.error as error:
            raise OSError(f"the small copy does not decompress: {error}") from error
        if len(data) != length or not decompressor.eof or max(data) > highest:
            raise OSError(f"a small copy has {length} values up to {highest}, not these: damaged")
        values = torch.frombuffer(bytearray(data), dtype=torch.uint8).view(1, 3, height, width)
        shape = (coded.size[1], coded.size[0])
        large = interpolate(values.float().div(highest), shape, mode="bilinear")
        return large[0].clamp(0, 1)


def small_shape(size: tuple[int, int], side: int) -> tuple[int, int]:
    """Return height and width of a copy whose longer side is ``side``."""
    width, height = (max(1, round(side * each / max(size))) for each in size)
    return height, width
