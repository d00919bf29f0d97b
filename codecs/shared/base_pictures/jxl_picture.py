"""Base pictures by JPEG XL (ISO/IEC 18181), through pillow-jxl-plugin, for those who ask for it.

A file is a bare codestream, kept without the two bytes that each begins with.  The plugin decodes all
that a file asks for as it opens it, so the size in the codestream's header is read here before.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from importlib import import_module

from PIL import Image

from diffc.codecs.shared.base_pictures.checks import check_request, check_size, plain
from diffc.errors import CodecNotAvailableError, FileError, OptionError
from diffc.parameters import ByteReader

_START = b"\xff\x0a"
_MISSING = "base 'jxl' needs pillow-jxl-plugin, which is not installed: pip install \"diffc[jxl]\""
# clause 18181-1, SizeHeader: bits of a side by selector, and width over height by ratio
_SIDE_BITS = (9, 13, 18, 30)
_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))


class JxlCoder:
    """JPEG XL pictures, lossy."""

    name: str = "jxl"
    identifier: int = 5
    # 100 would be lossless
    qualities: Sequence[int] = range(100)
    longest_side: int = 65535

    def encode(self, picture: Image.Image, quality: int) -> bytes:
        """Code a picture; see `BaseCoder`."""
        check_request(picture, quality, self.qualities)
        if not _plugin():
            raise OptionError(_MISSING)
        bare = picture.copy()
        bare.info.clear()
        buffer = io.BytesIO()
        try:
            bare.save(buffer, "JXL", quality=quality, effort=7, use_container=False)
        except (OSError, RuntimeError, ValueError) as error:
            raise OptionError(
                f"pillow-jxl-plugin cannot write this base ({error}): use another"
            ) from error
        file = buffer.getvalue()
        if not file.startswith(_START):
            raise OptionError(
                "this pillow-jxl-plugin writes more than a codestream, which base 'jxl' does not hold: "
                "install another version"
            )
        return file[len(_START) :]

    def decode(self, coded: bytes, size: tuple[int, int], *, grey: bool) -> Image.Image:
        """Return the picture of exactly `size`; see `BaseCoder`."""
        check_size(size, self.longest_side)
        if not coded:
            raise FileError("a jxl base picture is a codestream, this one is empty: it is damaged")
        found = size_in_header(coded)
        if found != size:
            raise FileError(
                f"the base picture has {found[0]}x{found[1]} pixels, not {size[0]}x{size[1]}: the "
                "file is damaged"
            )
        if not _plugin():
            raise CodecNotAvailableError(_MISSING)
        # whatever a library makes of damaged bytes, it is the file that is wrong
        try:
            with Image.open(io.BytesIO(_START + coded), formats=["JXL"]) as image:
                decoded = plain(image, "L" if grey else "RGB")
        except MemoryError:
            raise
        except Exception as error:
            raise FileError(
                f"the base picture does not decode as JPEG XL ({error}): it is damaged"
            ) from error
        if decoded.size != size:
            raise FileError(
                f"the base picture has {decoded.width}x{decoded.height} pixels, and its header says "
                f"{size[0]}x{size[1]}: the file is damaged"
            )
        return decoded

    def family(self, coded: bytes) -> str:
        """Return what its errors are like; see `BaseCoder`."""
        return self.name

    def file_of(self, coded: bytes, size: tuple[int, int] = (0, 0), *, grey: bool = False) -> bytes:
        """Return the file; see `BaseCoder`."""
        return _START + coded


def size_in_header(coded: bytes) -> tuple[int, int]:
    """Return width and height from the start of a codestream, behind its first two bytes.

    Raises
    ------
    FileError
        If it ends there.
    """
    # SizeHeader has at most 9 bytes
    reader = ByteReader(coded[:9])
    eighths = bool(reader.bits(1))
    height = _side(reader, eighths=eighths)
    ratio = reader.bits(3)
    if ratio:
        over, under = _RATIOS[ratio - 1]
        return height * over // under, height
    return _side(reader, eighths=eighths), height


def _side(reader: ByteReader, *, eighths: bool) -> int:
    if eighths:
        return 8 * (1 + reader.bits(5))
    return 1 + reader.bits(_SIDE_BITS[reader.bits(2)])


def _plugin() -> bool:
    """Return whether the plugin is here; importing it tells Pillow of the format."""
    try:
        import_module("pillow_jxl")
    except ImportError:
        return False
    return True
