"""What a file of the ``relay`` codec says beside its base picture, in 2 or 6 bytes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image

from diffc.codecs.relay.codec import SCALES
from diffc.errors import FileError
from diffc.parameters import ByteReader, ByteWriter

OTHER_CODEC = 2
"""Stands for a base by a codec of the registry, where others are numbered by their standard."""

# a step of the level is a 24th of an octave, 3 %
_LEVELS = 24
# rows whose errors are summed at a time, for memory
_ROWS = 256


@dataclass(frozen=True)
class RelayParameters:
    """What decoding is told.

    Parameters
    ----------
    base : int
        Identifier of the base picture's coder, or `OTHER_CODEC`.
    scale : float
        How many times smaller than the picture the base is, one of `SCALES`.
    grey : bool
        Whether the picture has no colour.
    level : float
        Root mean square error of the base for pixels in [-1, 1]; packed, it is rounded.
    seed : int
        Of the noise.
    """

    base: int
    scale: float
    grey: bool
    level: float
    seed: int

    def pack(self) -> bytes:
        """Return the bytes of the file."""
        code = min(max(round(-_LEVELS * math.log2(max(self.level, 1e-9))), 0), 255)
        writer = ByteWriter().bits(self.base, 3).bits(SCALES.index(self.scale), 2)
        writer.bits(self.grey, 1).bits(bool(self.seed), 1).bits(0, 1)
        return writer.number(code, 1).seed(self.seed).done()

    @classmethod
    def unpack(cls, data: bytes) -> RelayParameters:
        """Read them.

        Raises
        ------
        FileError
            If the bytes are none that `pack` writes.
        """
        reader = ByteReader(data)
        base, scale, grey, seeded = (reader.bits(count) for count in (3, 2, 1, 1))
        if reader.bits(1):
            raise FileError(
                f"relay's parameters {data[:8].hex()} are none of this version: the file is "
                "damaged, or update diffc"
            )
        level = 2.0 ** (-reader.number(1) / _LEVELS)
        seed = reader.seed(stored=bool(seeded))
        reader.done()
        return cls(base, SCALES[scale], bool(grey), level, seed)


def packed_length(seed: int) -> int:
    """Return how many bytes the parameters with a seed, or without one (0), take."""
    return len(RelayParameters(0, SCALES[0], False, 1.0, seed).pack())


def error_level(picture: Image.Image, base: Image.Image) -> float:
    """Return the root mean square error of a base picture, for pixels in [-1, 1].

    Parameters
    ----------
    picture, base : PIL.Image.Image
        Of one mode; the base is enlarged to the picture's size as the decoder does.
    """
    enlarged = base.resize(picture.size, Image.Resampling.BICUBIC)
    first, second = (np.asarray(each) for each in (picture, enlarged))
    total = 0
    # a sum of integers is the same in any order
    for top in range(0, len(first), _ROWS):
        ours, theirs = (each[top : top + _ROWS].astype(np.int32) for each in (first, second))
        total += int(np.square(ours - theirs).sum(dtype=np.int64))
    return math.sqrt(total / first.size) / 127.5
