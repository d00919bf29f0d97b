"""What a codec under test has to offer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from PIL import Image


@dataclass(frozen=True)
class Attempt:
    """A file, and how it came about.

    Parameters
    ----------
    data : bytes
        The real file.
    setting : str
        What was found, such as ``quality=34 scale=1/2``.
    """

    data: bytes
    setting: str


class Contender(Protocol):
    """A codec under test."""

    spec: str
    """As asked for, such as ``ddcm:steps=20``."""
    label: str
    """As shown in tables and curves."""
    extension: str
    """Of its files, with the dot."""

    def encode(self, image: Image.Image, limit: int) -> Attempt:
        """Return the best file of at most ``limit`` bytes, or the smallest one that can be made.

        Parameters
        ----------
        image : PIL.Image.Image
            RGB, without metadata.  It stays as it is.
        limit : int
            Most bytes of the file.
        """

    def decode(self, data: bytes, size: tuple[int, int] | None = None) -> Image.Image:
        """Return the RGB picture of a file.

        Parameters
        ----------
        data : bytes
            What `encode` made.
        size : tuple of int, optional
            Width and height of the original, which the picture must have; codecs whose files say
            it need not look.
        """


@runtime_checkable
class Identified(Protocol):
    """A contender that says what its files depend on besides the spec.

    A run is not gone on with after that has changed.
    """

    def identity(self) -> str:
        """Return the encoder's version and its model, the same on all machines."""


@runtime_checkable
class Repeatable(Protocol):
    """A contender that searches, and can repeat what it found: what is timed is that."""

    def encode_again(self, image: Image.Image, setting: str) -> bytes:
        """Return the file that `Contender.encode` found, by its setting and without the search."""
