"""Pictures of any format that Pillow reads or writes, HEIC included, upright."""

from __future__ import annotations

import io
import sys
import warnings
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image, ImageOps, UnidentifiedImageError

from diffc.container.diagnosis import diagnose
from diffc.file_io import STANDARD

_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_HEIF_EXTENSIONS = (".heic", ".heif", ".hif")
_FROM_INFO = ("exif", "icc_profile", "xmp")


def open_input(source: str) -> BinaryIO:
    """Open a file, or take standard input, for reading from any position.

    Raises
    ------
    OSError
        If it is missing, or standard input is empty.
    """
    if source == STANDARD:
        data = sys.stdin.buffer.read()
        if not data:
            raise OSError("standard input is empty: pipe a file into it")
        return io.BytesIO(data)
    path = Path(source)
    return path.open("rb") if path.is_file() else io.BytesIO(path.read_bytes())


def read_picture(source: str) -> Image.Image:
    """Read a picture, turned as its EXIF orientation says.

    Raises
    ------
    OSError
        If it is missing or damaged, or of no format that is known here.
    """
    with open_input(source) as file:
        prefix = file.read(16)
        file.seek(0)
        reason = diagnose(prefix)
        if reason is not None:
            raise OSError(reason)
        try:
            with _opened(file, prefix) as image:
                image.load()
                return upright(image)
        except UnidentifiedImageError:
            raise OSError("it is no image of a format that Pillow reads: convert it") from None
        except (OSError, ValueError, MemoryError, Image.DecompressionBombError, Warning):
            raise
        # Pillow's plugins raise what they come upon in damaged files
        except Exception as error:
            raise OSError(f"the image is damaged ({error})") from error


def _opened(file: BinaryIO, prefix: bytes) -> Image.Image:
    try:
        return Image.open(file)
    except UnidentifiedImageError:
        # some of these brands are AVIF's as well, which Pillow reads
        if prefix[4:8] != b"ftyp" or prefix[8:12] not in _HEIF_BRANDS:
            raise
    _need_heif()
    file.seek(0)
    return Image.open(file)


def upright(image: Image.Image) -> Image.Image:
    """Return a copy of a picture, turned as its EXIF orientation says."""
    try:
        return ImageOps.exif_transpose(image)
    # EXIF is whatever the file's writer took for it
    except Exception as error:  # noqa: BLE001
        warnings.warn(f"the image's EXIF is damaged and ignored ({error})", stacklevel=2)
        copied = image.copy()
        copied.info.pop("exif", None)
        return copied


def writable_format(target: str) -> str:
    """Return Pillow's name of the format that a file's extension stands for.

    Raises
    ------
    ValueError
        If it stands for none that can be written here.
    """
    if target == STANDARD:
        return "PNG"
    extension = Path(target).suffix.lower()
    if extension in _HEIF_EXTENSIONS:
        _need_heif()
    Image.init()
    name = Image.EXTENSION.get(extension)
    if name is None or name not in Image.SAVE or name == "DIFFC":
        raise ValueError(
            f"{target} does not end as a format that Pillow writes: choose .png, .jpg or another"
        )
    return name


def picture_bytes(picture: Image.Image, name: str) -> bytes:
    """Return a file of a picture with its metadata, as far as the format holds it."""
    out = io.BytesIO()
    kept: dict[str, Any] = {key: picture.info[key] for key in _FROM_INFO if key in picture.info}
    # where a format loses something, no more than the codec has lost
    picture.save(out, name, quality=95, **kept)
    return out.getvalue()


def _need_heif() -> None:
    try:
        import pillow_heif
    except ImportError:
        raise ImportError(
            "HEIC files need pillow-heif, which is missing: pip install 'diffc[heif]'"
        ) from None
    pillow_heif.register_heif_opener()
