"""The parameters of a ``perco`` file: how many tokens, how they are coded, and a seed."""

from __future__ import annotations

from dataclasses import dataclass

from diffc.parameters import ByteReader, ByteWriter

LARGEST = 1 << 28
LEAST_BYTES = 1


def parameter_bytes(count: int, seed: int) -> int:
    """Return how long the parameters of so many tokens are."""
    return len(PercoParameters(count, True, seed).pack())


def most_tokens(length: int, seed: int) -> int:
    """Return the largest number of tokens that parameters of so many bytes can say; -1 for none."""
    digits = length - len(ByteWriter().seed(seed).done())
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
        return ByteWriter().varint(number).seed(self.seed).done()

    @classmethod
    def unpack(cls, data: bytes) -> PercoParameters:
        """Read what `pack` made.

        Raises
        ------
        OSError
            If it made no such bytes.
        """
        reader = ByteReader(data)
        number = reader.varint(LARGEST << 2)
        seed = reader.seed(stored=bool(number & 1))
        reader.done()
        return cls(number >> 2, bool(number >> 1 & 1), seed)
