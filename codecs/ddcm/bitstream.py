"""What a ``ddcm`` file says besides its payload: 4 bytes, 8 with a seed, more with a prompt."""

from __future__ import annotations

from dataclasses import dataclass

from diffc.codecs.shared.latents.bitstream import WalkParameters
from diffc.parameters import ByteReader

MOST_CHARACTERS = 200


@dataclass(frozen=True)
class DdcmParameters(WalkParameters):
    """Parameters of a file.

    Parameters
    ----------
    steps, coded_steps, time, acceleration
        See `WalkParameters`.
    seed : int
        Of the codebook.
    prompt : str
        What the model was told; empty for nothing.
    """

    seed: int
    prompt: str

    def pack(self) -> bytes:
        """Return the bytes in the file."""
        writer = self.write_walk()
        # a prompt is told from a seed by coming after one
        writer = writer.number(self.seed, 4) if self.prompt else writer.seed(self.seed)
        return writer.text(self.prompt).done()

    @classmethod
    def unpack(cls, data: bytes) -> DdcmParameters:
        """Read them.

        Raises
        ------
        OSError
            If no encoder wrote them.
        """
        reader = ByteReader(data)
        walk, acceleration = cls.read_walk(reader)
        seed = reader.seed(stored=reader.left > 0)
        return cls(*walk, seed, reader.text(MOST_CHARACTERS), acceleration=acceleration)
