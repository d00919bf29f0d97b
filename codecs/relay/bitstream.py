"""What a file of the ``relay`` codec says beside its base picture, in 2 or 6 bytes."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass

import numpy as np
from PIL import Image

from diffc.errors import FileError

SCALES = (1.0, 1.5, 2.0, 3.0)

# bits of the first byte: base (3), scale (2), grey, seed follows; then the level; then the seed
_FIELDS = struct.Struct(">BB")
_SEED = struct.Struct(">I")
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
        Identifier of the base picture's coder.
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
        first = self.base | SCALES.index(self.scale) << 3 | self.grey << 5 | bool(self.seed) << 6
        code = min(max(round(-_LEVELS * math.log2(max(self.level, 1e-9))), 0), 255)
        packed = _FIELDS.pack(first, code)
        return packed + _SEED.pack(self.seed) if self.seed else packed

    @classmethod
    def unpack(cls, data: bytes) -> RelayParameters:
        """Read them.

        Raises
        ------
        FileError
            If the bytes are none that `pack` writes.
        """
        if len(data) < _FIELDS.size:
            raise FileError(
                f"relay has 2 or 6 parameter bytes, not {len(data)}: the file is damaged"
            )
        first, code = _FIELDS.unpack_from(data)
        seeded = bool(first >> 6 & 1)
        if first >> 7 or len(data) != packed_length(seeded):
            raise FileError(
                f"relay's parameters {data[:8].hex()} are none of this version: the file is "
                "damaged, or update diffc"
            )
        seed = _SEED.unpack_from(data, _FIELDS.size)[0] if seeded else 0
        level = 2.0 ** (-code / _LEVELS)
        return cls(first & 7, SCALES[first >> 3 & 3], bool(first >> 5 & 1), level, seed)


def packed_length(seed: int | bool) -> int:
    """Return how many bytes the parameters with a seed, or without one (0), take."""
    return _FIELDS.size + (_SEED.size if seed else 0)


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
