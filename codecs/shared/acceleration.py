"""What makes the evaluations of a large network cheaper and its answers other ones, and how files say it.

Loads neither numpy nor torch.
"""

from __future__ import annotations

from dataclasses import dataclass

from diffc.codec import option
from diffc.decode_options import MOST_CACHE, PRECISIONS
from diffc.errors import FileError
from diffc.parameters import ByteReader, ByteWriter


@dataclass(frozen=True)
class Acceleration:
    """How a walk's evaluations are made cheaper.

    Parameters
    ----------
    cache : int
        The network runs whole at every so many steps, see
        `diffc.codecs.shared.diffusion.feature_reuse`; 1 is at each of them.
    precision : str, optional
        Number format of the weights of linear layers, one of `PRECISIONS`; None is the network's own.
    """

    cache: int = 1
    precision: str | None = None

    def write(self, writer: ByteWriter) -> ByteWriter:
        """Append it; `EXACT` takes no bytes, and all else three, of which the first is 0.

        What follows must not begin with a byte of 0.
        """
        if self == EXACT:
            return writer
        place = 0 if self.precision is None else 1 + PRECISIONS.index(self.precision)
        return writer.number(0, 1).number(self.cache, 1).number(place, 1)

    @classmethod
    def read(cls, reader: ByteReader) -> Acceleration:
        """Read what `write` wrote behind the byte of 0.

        Raises
        ------
        OSError
            If no encoder wrote it.
        """
        cache, place = reader.number(1), reader.number(1)
        known = 1 <= cache <= MOST_CACHE and place <= len(PRECISIONS) and (cache, place) != (1, 0)
        if not known:
            raise FileError(
                f"a walk keeps features for 1 to {MOST_CACHE} steps and has weights in one of "
                f"{len(PRECISIONS) + 1} formats, not for {cache} in number {place}: the file is "
                "damaged, or update diffc"
            )
        return cls(cache, PRECISIONS[place - 1] if place else None)


EXACT = Acceleration()
"""Nothing is cheaper."""


def cache_option() -> int:
    """Declare the option ``cache``."""
    return option(
        1,
        low=1,
        high=MOST_CACHE,
        help="the whole network runs at every so many steps only, and its outer layers between them; "
        "kept in the file",
    )


def precision_option() -> str | None:
    """Declare the option ``precision``."""
    return option(
        None,
        choices=PRECISIONS,
        help="weights of linear layers of a model of diffusers, in a byte each; kept in the file, "
        'needs the extra "quantised"',
    )
