"""What a ``dither`` file says besides its payload: 6 bytes, 10 with a seed."""

from __future__ import annotations

from dataclasses import dataclass

from diffc.errors import FileError
from diffc.parameters import ByteReader, ByteWriter

STEPS_PER_OCTAVE = 128
FINEST, COARSEST = -4, 5
"""Logarithms to base 2 of the smallest and the largest step of the quantiser."""
STEP_COUNT = (COARSEST - FINEST) * STEPS_PER_OCTAVE + 1
MASKED = 15
"""Channels that have a bit of their own; one more stands for all others."""
NO_CHANNELS, ALL_CHANNELS = 0, (1 << MASKED + 1) - 1
_STEP_BITS = 12


def step_of(index: int) -> float:
    """Return the step of the quantiser for an index, 0 for the largest."""
    return float(2 ** (COARSEST - index / STEPS_PER_OCTAVE))


@dataclass(frozen=True)
class DitherParameters:
    """Parameters of a file.

    Parameters
    ----------
    step : int
        Index of the quantiser's step, see `step_of`.
    time : int
        The place in the model's table of noise levels where denoising starts.
    dithered : int
        Which channels have dither, see `diffc.codecs.dither.quantiser.shared_dither`.
    components : bool
        Whether the channels are predicted as principal components of patches.
    seed : int
        Of the dither.
    """

    step: int
    time: int
    dithered: int
    components: bool
    seed: int

    def pack(self) -> bytes:
        """Return the bytes in the file."""
        writer = ByteWriter().number(self.components << _STEP_BITS | self.step, 2)
        writer.number(self.time, 2).number(self.dithered, 2)
        return writer.seed(self.seed).done()

    @classmethod
    def unpack(cls, data: bytes) -> DitherParameters:
        """Read them.

        Raises
        ------
        OSError
            If no encoder wrote them.
        """
        reader = ByteReader(data)
        first, time, dithered = reader.number(2), reader.number(2), reader.number(2)
        seed = reader.seed(stored=reader.left > 0)
        reader.done()
        components, step = divmod(first, 1 << _STEP_BITS)
        if components > 1 or step >= STEP_COUNT:
            raise FileError(
                f"dither has {STEP_COUNT} steps and 2 predictors, not number {step} of "
                f"{components}: the file is damaged"
            )
        return cls(step, time, dithered, bool(components), seed)
