"""Options of the ``perco`` encoder."""

from __future__ import annotations

from dataclasses import dataclass

from diffc.captions import check_caption
from diffc.codec import Settings


@dataclass(frozen=True)
class PercoSettings(Settings):
    """Options of the ``perco`` encoder.

    Parameters
    ----------
    caption : str, optional
        What the picture shows, at most 200 characters; ``auto`` asks a captioning model.  It is
        stored in the file and guides decoding where the model has a text encoder; the embedded
        one has none.
    seed : int
        Of the noise that decoding starts from, 0 to 2**32 - 1; 0 costs no bytes.
    """

    caption: str | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        """Check types and ranges."""
        super().__post_init__()
        check_caption(self.caption)
        if isinstance(self.seed, bool) or not isinstance(self.seed, int):
            raise ValueError(f"seed is a whole number, not {self.seed!r}: pass an int")
        if not 0 <= self.seed < 2**32:
            raise ValueError(f"seed is 0 to 2**32 - 1, not {self.seed}: choose one in that range")
