"""Coding and decoding as an augmentation, whichever library asks for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from diffc.api import decode, encode
from diffc.decode_options import with_changes
from diffc.encoding import check_options

if TYPE_CHECKING:
    import torch
    from PIL import Image

Range = float | Sequence[float]
_RATES = ("bpp", "quality", "target_size")


@dataclass(frozen=True)
class Recoding:
    """Pictures written as files and read again, at rates of a range; picklable.

    Parameters
    ----------
    bpp, quality : float or pair, optional
        The range of one of them, as `diffc.encode` takes it; a number is a range of one.
    options : dict
        Other options of `diffc.encode`.
    decoding : dict
        Options of `diffc.decoding`.

    Raises
    ------
    ValueError
        If not exactly one range is given, or its ends or an option cannot hold.
    """

    bpp: Range | None = None
    quality: Range | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    decoding: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check all of it before there is a picture."""
        if (self.bpp is None) == (self.quality is None):
            raise ValueError("the rate is a range of either bpp or quality: pass one of them")
        low, high = self.range
        if self.name == "bpp" and not 0 < low <= high < float("inf"):
            raise ValueError(f"bpp is above 0, the lower end first, not {low} to {high}")
        if self.name == "quality" and not 0 <= low <= high <= 100:
            raise ValueError(f"quality is 0 to 100, the lower end first, not {low} to {high}")
        if given := [name for name in _RATES if name in self.options]:
            raise ValueError(f"the rate is set by {self.name}: drop {given[0]}")
        check_options(self.options)
        with_changes(**self.decoding)

    @property
    def name(self) -> str:
        """What the range is of: ``bpp`` or ``quality``."""
        return "quality" if self.bpp is None else "bpp"

    @property
    def range(self) -> tuple[float, float]:
        """The range's ends."""
        given = self.quality if self.bpp is None else self.bpp
        ends = tuple(given) if isinstance(given, Sequence) else (given, given)
        if len(ends) != 2 or not all(isinstance(each, int | float) for each in ends):
            raise ValueError(f"{self.name} is a number or a pair of them, not {given!r}")
        return float(ends[0]), float(ends[1])  # type: ignore[arg-type]

    def pillow(self, image: Image.Image, rate: float) -> Image.Image:
        """Return a Pillow image as a file of a rate shows it."""
        return decode(self._file(image, rate), to="pil", **self.decoding)

    def tensor(self, image: torch.Tensor, rate: float) -> torch.Tensor:
        """Return a tensor (channels, height, width), floats in [0, 1] or uint8, likewise."""
        made = decode(self._file(image, rate), to="torch", **self.decoding)
        if not image.is_floating_point():
            made = made.mul(255).round()
        return made.to(device=image.device, dtype=image.dtype)

    def _file(self, image: Any, rate: float) -> bytes:
        return encode(image, **self.options, **{self.name: rate})
