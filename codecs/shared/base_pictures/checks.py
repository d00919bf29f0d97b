"""What the coders of base pictures check alike, before they encode and after they decode."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image

from diffc.errors import FileError, OptionError


def check_request(picture: Image.Image, quality: int, qualities: Sequence[int]) -> None:
    """Check what a caller wants encoded.

    Raises
    ------
    OptionError
        The picture is neither RGB nor L, or the quality is none of the coder's.
    """
    if picture.mode not in ("RGB", "L"):
        raise OptionError(f"a base picture is RGB or L, not {picture.mode}: convert it")
    if quality not in qualities:
        raise OptionError(
            f"a base picture's quality is {qualities[0]} to {qualities[-1]}, not {quality!r}: "
            "choose one of them"
        )


def check_size(size: tuple[int, int], longest: int) -> None:
    """Check a size that a file asks for, before anything is allocated for it.

    Raises
    ------
    FileError
        A side has no pixels, or more than `longest`.
    """
    if not all(1 <= side <= longest for side in size):
        raise FileError(
            f"a side of a base picture has 1 to {longest} pixels, not {size[0]} x {size[1]}: "
            "the file is damaged"
        )


def plain(picture: Image.Image, mode: str) -> Image.Image:
    """Return a decoded picture in a mode, as a plain image without what its file class carries."""
    converted = picture.convert(mode)
    converted.info.clear()
    return converted
