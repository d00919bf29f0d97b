"""Base pictures that are whole files of JPEG or WebP, through Pillow.

A JPEG may be any encoder's own, kept to the byte; it is deflated where that is shorter, as it is with
large metadata or a preview inside.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Sequence
from typing import Any

from PIL import Image, UnidentifiedImageError, features

from diffc.codecs.shared.base_pictures.checks import check_request, check_size, plain
from diffc.codecs.shared.base_pictures.jpeg_file import read_jpeg_header
from diffc.errors import CodecNotAvailableError, FileError, OptionError

_START = 0xFF
# what inflates to more is kept as it is: a short file must not become a long one
_MOST_INFLATED, _ANY = 16, 1 << 16


class JpegCoder:
    """JPEG files: progressive, 4:2:0 where Pillow writes them; any that its decoder shows."""

    name: str = "jpeg"
    identifier: int = 3
    qualities: Sequence[int] = range(1, 96)
    longest_side: int = 65500

    def encode(self, picture: Image.Image, quality: int) -> bytes:
        """Code a picture; see `BaseCoder`."""
        check_request(picture, quality, self.qualities)
        return _written(picture, "JPEG", quality=quality, progressive=True, optimize=True)

    def decode(self, coded: bytes, size: tuple[int, int], *, grey: bool) -> Image.Image:
        """Return the picture of exactly `size`; see `BaseCoder`."""
        check_size(size, self.longest_side)
        return _read(self.file_of(coded), "JPEG", size, self.longest_side, grey=grey)

    def family(self, coded: bytes) -> str:
        """Return what its errors are like; see `BaseCoder`."""
        return "jpeg-420" if read_jpeg_header(self.file_of(coded)).subsampled else "jpeg-444"

    def keep(self, file: bytes) -> bytes:
        """Return what stands for a file; `file_of` gives it back."""
        deflated = zlib.compress(file, 9)
        small = len(file) <= _most_inflated(deflated)
        return deflated if len(deflated) < len(file) and small else file

    def file_of(self, coded: bytes, size: tuple[int, int] = (0, 0), *, grey: bool = False) -> bytes:
        """Return the file; see `BaseCoder`."""
        if not coded:
            raise FileError("a JPEG base picture is a file, this one is empty: the file is damaged")
        if coded[:1] == bytes([_START]):
            return coded
        inflater = zlib.decompressobj()
        try:
            file = inflater.decompress(coded, _most_inflated(coded))
        except zlib.error as error:
            raise FileError(f"the JPEG inside does not inflate ({error}): it is damaged") from error
        if not inflater.eof or inflater.unused_data or file[:1] != bytes([_START]):
            raise FileError("the JPEG inside does not inflate to a file: it is damaged")
        return file


class WebpCoder:
    """WebP files, lossy."""

    name: str = "webp"
    identifier: int = 4
    qualities: Sequence[int] = range(101)
    longest_side: int = 16383

    def encode(self, picture: Image.Image, quality: int) -> bytes:
        """Code a picture; see `BaseCoder`."""
        check_request(picture, quality, self.qualities)
        if not features.check("webp"):
            raise OptionError(
                "base 'webp' needs a Pillow with WebP, this one is built without: "
                "install Pillow from its wheels"
            )
        return _written(picture.convert("RGB"), "WEBP", quality=quality, method=6)

    def decode(self, coded: bytes, size: tuple[int, int], *, grey: bool) -> Image.Image:
        """Return the picture of exactly `size`; see `BaseCoder`."""
        if not features.check("webp"):
            raise CodecNotAvailableError(
                "base 'webp' needs a Pillow with WebP, this one is built without: "
                "install Pillow from its wheels"
            )
        return _read(coded, "WEBP", size, self.longest_side, grey=grey)

    def family(self, coded: bytes) -> str:
        """Return what its errors are like; see `BaseCoder`."""
        return self.name

    def file_of(self, coded: bytes, size: tuple[int, int] = (0, 0), *, grey: bool = False) -> bytes:
        """Return the file; see `BaseCoder`."""
        return coded


def _most_inflated(deflated: bytes) -> int:
    return _MOST_INFLATED * len(deflated) + _ANY


def _written(picture: Image.Image, name: str, **options: Any) -> bytes:
    bare = picture.copy()
    bare.info.clear()
    buffer = io.BytesIO()
    try:
        bare.save(buffer, name, **options)
    except (OSError, ValueError) as error:
        raise OptionError(
            f"Pillow cannot write this base as {name} ({error}): use another"
        ) from error
    return buffer.getvalue()


def _read(
    file: bytes, name: str, size: tuple[int, int], longest: int, *, grey: bool
) -> Image.Image:
    check_size(size, longest)
    if not file:
        raise FileError(f"a {name} base picture is a file, this one is empty: the file is damaged")
    try:
        with Image.open(io.BytesIO(file), formats=[name]) as image:
            if image.size != size:
                raise FileError(
                    f"the base picture has {image.width}x{image.height} pixels, not "
                    f"{size[0]}x{size[1]}: the file is damaged"
                )
            return plain(image, "L" if grey else "RGB")
    except FileError:
        raise
    except UnidentifiedImageError as error:
        raise FileError(f"the base picture is no {name} file: it is damaged") from error
    # whatever a library makes of damaged bytes, it is the file that is wrong
    except (OSError, ValueError, SyntaxError, TypeError) as error:
        raise FileError(f"the base picture does not decode as {name}: {error}") from error
