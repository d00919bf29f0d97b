"""What a ``posterior`` file says besides its payload: 5 bytes, 9 with a seed."""

from __future__ import annotations

from dataclasses import dataclass

from diffc.codecs.posterior.candidates import KINDS
from diffc.codecs.posterior.plans import MOST_BITS
from diffc.codecs.shared.latents.bitstream import WalkParameters
from diffc.errors import FileError
from diffc.parameters import ByteReader

FEWEST_CHUNK_BITS = 8


@dataclass(frozen=True)
class PosteriorParameters(WalkParameters):
    """Parameters of a file.

    Parameters
    ----------
    steps, coded_steps, time, acceleration
        See `WalkParameters`.
    chunk_bits : int
        Bits of an index at most.
    kind : str
        Of the candidates.
    seed : int
        Of candidates and noise.
    """

    chunk_bits: int
    kind: str
    seed: int

    def pack(self) -> bytes:
        """Return the bytes in the file."""
        writer = self.write_walk().number(KINDS.index(self.kind) << 5 | self.chunk_bits, 1)
        return writer.seed(self.seed).done()

    @classmethod
    def unpack(cls, data: bytes) -> PosteriorParameters:
        """Read them.

        Raises
        ------
        OSError
            If no encoder wrote them.
        """
        reader = ByteReader(data)
        walk, acceleration = cls.read_walk(reader)
        kind, chunk_bits = divmod(reader.number(1), 1 << 5)
        seed = reader.seed(stored=reader.left > 0)
        reader.done()
        if kind >= len(KINDS) or not FEWEST_CHUNK_BITS <= chunk_bits <= MOST_BITS:
            raise FileError(
                f"posterior has {len(KINDS)} kinds of candidates and {FEWEST_CHUNK_BITS} to "
                f"{MOST_BITS} bits for each, not number {kind} with {chunk_bits}: the file is "
                "damaged"
            )
        return cls(*walk, chunk_bits, KINDS[kind], seed, acceleration=acceleration)
