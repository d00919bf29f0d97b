"""What a ``ddcm`` file says besides its payload: 4 bytes, 8 with a seed, more with a prompt."""

from __future__ import annotations

from dataclasses import dataclass

from diffc.errors import FileError
from diffc.parameters import ByteReader, ByteWriter

MOST_CHARACTERS = 200


@dataclass(frozen=True)
class DdcmParameters:
    """Parameters of a file.

    Parameters
    ----------
    steps, coded_steps, time : int
        Steps of the whole walk, coded ones of these, and the time after them.
    seed : int
        Of the codebook.
    prompt : str
        What the model was told; empty for nothing.
    """

    steps: int
    coded_steps: int
    time: int
    seed: int
    prompt: str

    def pack(self) -> bytes:
        """Return the bytes in the file."""
        writer = ByteWriter().number(self.steps, 1).number(self.coded_steps, 1)
        writer.number(self.time, 2)
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
        steps, coded_steps, time = reader.number(1), reader.number(1), reader.number(2)
        seed = reader.seed(stored=reader.left > 0)
        if not coded_steps <= steps or steps == 0:
            raise FileError(
                f"ddcm codes at most {steps} steps, not {coded_steps}: the file is damaged"
            )
        return cls(steps, coded_steps, time, seed, reader.text(MOST_CHARACTERS))
