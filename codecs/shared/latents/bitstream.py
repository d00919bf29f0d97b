"""What files of codecs that walk say of their walk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from diffc.codecs.shared.acceleration import EXACT, Acceleration
from diffc.errors import FileError
from diffc.parameters import ByteReader, ByteWriter


@dataclass(frozen=True)
class WalkParameters:
    """How much of a walk over all noise levels is coded; four bytes, or seven if it is accelerated.

    Parameters
    ----------
    steps, coded_steps : int
        Steps of the whole walk, and coded ones of these.
    time : int
        The place in the model's table of noise levels after them.
    acceleration : Acceleration
        Of the coded steps.
    """

    steps: int
    coded_steps: int
    time: int
    acceleration: Acceleration = field(default=EXACT, kw_only=True)

    def write_walk(self) -> ByteWriter:
        """Return a writer that has them."""
        # no walk has 0 steps: decoders that know of no acceleration refuse the file
        writer = self.acceleration.write(ByteWriter())
        writer.number(self.steps, 1).number(self.coded_steps, 1)
        return writer.number(self.time, 2)

    @staticmethod
    def read_walk(reader: ByteReader) -> tuple[tuple[int, int, int], Acceleration]:
        """Read what `write_walk` wrote.

        Raises
        ------
        OSError
            If more steps are coded than there are, or there are none.
        """
        steps, acceleration = reader.number(1), EXACT
        if steps == 0:
            acceleration = Acceleration.read(reader)
            steps = reader.number(1)
        coded_steps, time = reader.number(1), reader.number(2)
        if not coded_steps <= steps or steps == 0:
            raise FileError(
                f"a walk codes at most {steps} steps, not {coded_steps}: the file is damaged"
            )
        return (steps, coded_steps, time), acceleration

    def places(self, grid: Sequence[int]) -> list[int]:
        """Return where the coded steps start, one after another, and where the last one ends.

        Parameters
        ----------
        grid : sequence of int
            Places of the whole walk in the model's table, falling.

        Raises
        ------
        OSError
            If the last step ends at no place between its neighbours.
        """
        if not self.coded_steps:
            return [grid[0]]
        first, last = grid[self.coded_steps - 1], grid[self.coded_steps]
        if not last <= self.time < first:
            raise FileError(
                f"a walk of {self.steps} steps ends step {self.coded_steps} between times {first} "
                f"and {last}, not at {self.time}: the file is damaged"
            )
        return [*grid[: self.coded_steps], self.time]
