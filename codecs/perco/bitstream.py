"""The parameters of a ``perco`` file: how many tokens, how they are coded, and a seed."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass

from diffc.entropy import varint
from diffc.errors import FileError

LARGEST = 1 << 28
LEAST_BYTES = 1
_SEED = struct.Struct(">I")


def parameter_bytes(count: int, seed: int) -> int:
    """Return how long the parameters of so many tokens are."""
    return len(PercoParameters(count, True, seed).pack())


def most_tokens(length: int, seed: int) -> int:
    """Return the largest number of tokens that parameters of so many bytes can say; -1 for none."""
    digits = length - (_SEED.size if seed else 0)
    return min((1 << 7 * digits) - 1 >> 2, LARGEST - 1) if digits > 0 else -1


@dataclass(frozen=True)
class PercoParameters:
    """What stands before the payload.

    Parameters
    ----------
    count : int
        Tokens, those of the whole picture first; 0 to `LARGEST` - 1.
    modelled : bool
        Coded by the index model rather than packed.
    seed : int
        Of the noise.
    """

    count: int
    modelled: bool
    seed: int

    def pack(self) -> bytes:
        """Return one varint, count * 4 + modelled * 2 + seeded, and the seed if it is not 0."""
        number = self.count << 2 | self.modelled << 1 | bool(self.seed)
        return varint.encode(number) + (_SEED.pack(self.seed) if self.seed else b"")

    @classmethod
    def unpack(cls, data: bytes) -> PercoParameters:
        """Read what `pack` made.

        Raises
        ------
        OSError
            If it made no such bytes.
        """
        stream = io.BytesIO(data)
        try:
            number = varint.read(stream.read, LARGEST << 2)
        except FileError as error:
            raise OSError(f"perco's parameters are damaged ({error}): get the file anew") from error
        rest = stream.read()
        if len(rest) != (_SEED.size if number & 1 else 0):
            raise OSError(
                f"perco has {_SEED.size} bytes of seed or none, not {len(rest)}: the file is damaged"
            )
        seed = _SEED.unpack(rest)[0] if rest else 0
        return cls(number >> 2, bool(number >> 1 & 1), seed)
