"""Options of the ``relay`` encoder."""

from __future__ import annotations

from dataclasses import dataclass

from diffc.codec import Settings

SCALES = (1.0, 1.5, 2.0, 3.0)


@dataclass(frozen=True)
class RelaySettings(Settings):
    """Options of the ``relay`` encoder.

    Parameters
    ----------
    base : str
        Standard whose intra picture is the base: ``"av1"``, or ``"hevc"``, which needs pillow-heif
        to encode and to decode.
    scale : float, optional
        How many times smaller than the picture the base is: 1, 1.5, 2 or 3.  None chooses.
    speed : int, optional
        Of AV1's encoder, 0 to 10, as in Pillow's AVIF; less makes a better picture of the same
        bytes and takes longer.  None searches for a rate at 6 and codes what is kept at 4, bases of
        more than 2**18 pixels at 5, and of more than 2**22 at 6.
    seed : int
        Of the noise, 0 to 2**32 - 1; 0 costs no bytes.
    """

    base: str = "av1"
    scale: float | None = None
    speed: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        """Check types and ranges."""
        super().__post_init__()
        if self.base not in ("av1", "hevc"):
            raise ValueError(f"base is 'av1' or 'hevc', not {self.base!r}: choose one of them")
        if self.scale is not None and (isinstance(self.scale, bool) or self.scale not in SCALES):
            raise ValueError(f"scale is 1, 1.5, 2 or 3, not {self.scale!r}: choose one of them")
        speed = self.speed
        if speed is not None:
            if self.base != "av1":
                raise ValueError(f"speed is that of base 'av1', not of {self.base!r}: leave it out")
            if isinstance(speed, bool) or not isinstance(speed, int) or not 0 <= speed <= 10:
                raise ValueError(
                    f"speed is a whole number from 0 to 10, not {speed!r}: choose one in that range"
                )
        seed = self.seed
        if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**32:
            raise ValueError(
                f"seed is a whole number from 0 to {2**32 - 1}, not {seed!r}: choose one in that "
                "range"
            )
