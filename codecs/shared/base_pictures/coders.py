"""The coders that a base picture may be coded by, behind one small interface.

Each is the coding of a standard whose decoding is exact by specification, or nearly (JPEG), so a base
picture is the same on every machine, up to rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from PIL import Image

from diffc.codecs.shared.base_pictures.av1_picture import Av1Coder
from diffc.codecs.shared.base_pictures.hevc_picture import HevcCoder
from diffc.codecs.shared.base_pictures.jxl_picture import JxlCoder
from diffc.codecs.shared.base_pictures.whole_files import JpegCoder, WebpCoder
from diffc.errors import FileError, OptionError


class BaseDecoder(Protocol):
    """Shows coded pictures."""

    def decode(self, coded: bytes, size: tuple[int, int], *, grey: bool) -> Image.Image:
        """Return the picture, RGB or L if `grey`, of exactly `size` (width, height in pixels).

        Raises
        ------
        OSError
            The bytes are no such picture, or the decoder is not installed.
        """

    def family(self, coded: bytes) -> str:
        """Return what its errors are like: a name by which restoring networks know it.

        Raises
        ------
        OSError
            The bytes are no such picture.
        """

    def file_of(self, coded: bytes, size: tuple[int, int], *, grey: bool) -> bytes:
        """Return a file that other programs open.

        Raises
        ------
        OSError
            The bytes are no such picture.
        """


class BaseCoder(BaseDecoder, Protocol):
    """Codes a picture, with what its decoder knows anyway left out.

    Attributes
    ----------
    name : str
        What callers choose it by.
    identifier : int
        What files name it by, 0 to 255; never given to another coder.
    qualities : sequence of int
        Settings from the smallest picture to the largest, each another than the one before.
    longest_side : int
        Of a picture, in pixels.
    """

    name: str
    identifier: int
    qualities: Sequence[int]
    longest_side: int

    def encode(self, picture: Image.Image, quality: int) -> bytes:
        """Code a picture without file boxes.

        Parameters
        ----------
        picture : Image.Image
            Of mode RGB or L.
        quality : int
            One of `qualities`; the size rises with it, with few and small exceptions.

        Raises
        ------
        OptionError
            The picture or quality is wrong, or this installation cannot encode.
        """


# 2 stands for codecs that are no standard's
_CODERS: tuple[BaseCoder, ...] = (
    Av1Coder(),
    HevcCoder(),
    JpegCoder(),
    WebpCoder(),
    JxlCoder(),
)


def base_coder(name_or_identifier: str | int) -> BaseCoder:
    """Return a coder by its name, which a caller gave, or its identifier, which a file gave.

    Raises
    ------
    OptionError
        No coder has this name.
    FileError
        No coder has this identifier.
    """
    for coder in _CODERS:
        if name_or_identifier in (coder.name, coder.identifier):
            return coder
    if isinstance(name_or_identifier, str):
        *names, last = (coder.name for coder in _CODERS)
        names_or = f"{', '.join(names)} or {last}"
        raise OptionError(f"a base picture is coded by {names_or}, not {name_or_identifier!r}")
    raise FileError(
        f"a base picture is coded by number 0 to 5, not {name_or_identifier}: the file is damaged "
        "or newer than this diffc"
    )
