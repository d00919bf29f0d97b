"""One file in, one file out: what the command line and the workers of a batch do with each."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO

from PIL import Image

from diffc.api import decode
from diffc.encoding import encode_image
from diffc.errors import DiffcWarning
from diffc.file_io import STANDARD
from diffc.pictures.metadata import orientation_of
from diffc.pictures.reading import open_input, other_metadata, read_picture, upright
from diffc.pictures.writing import picture_bytes
from diffc.sources import Source

# modes whose pixels stay in the space of their profile when they are saved
_PROFILE_KEPT = ("1", "L", "LA", "RGB", "RGBA", "P", "PA")


def encode_file(
    source: str | BinaryIO,
    options: dict[str, Any],
    *,
    keep_profile: bool = False,
    keep_metadata: bool = False,
) -> tuple[bytes, tuple[int, int]]:
    """Return a DIFFC file of a picture of any format, turned upright; and its size.

    Parameters
    ----------
    source : str or binary file
        A path, ``-`` for standard input, or a file.
    options : dict
        Keywords of `diffc.encode`.
    keep_profile : bool
        Leave the colours in the space of the picture's ICC profile, and store that.
    keep_metadata : bool
        Store EXIF and XMP.
    """
    if options.get("keep_original"):
        with _as_path(source) as path:
            return _with_original(path, options)
    image = read_picture(source)
    if keep_profile and image.info.get("icc_profile"):
        if image.mode not in _PROFILE_KEPT:
            raise ValueError(f"the profile of a {image.mode} picture cannot be kept: --icc convert")
        options = options | {"icc_profile": image.info["icc_profile"]}
    if keep_metadata:
        # turning the picture may have emptied its EXIF
        exif = image.info.get("exif") if len(image.getexif()) else None
        if others := other_metadata(image):
            warnings.warn(f"not kept: {', '.join(others)}", DiffcWarning, stacklevel=2)
        options = options | {"exif": exif, "xmp": image.info.get("xmp")}
    return encode_image(image, options, strict=True), image.size


@contextmanager
def _as_path(source: str | BinaryIO) -> Iterator[str]:
    """Give a file a path for a while: that of an image leads to its original."""
    if isinstance(source, str) and source != STANDARD and Path(source).is_file():
        yield source
        return
    with open_input(source) if isinstance(source, str) else nullcontext(source) as file:
        data = file.read()
    with TemporaryDirectory() as folder:
        path = Path(folder) / "original"
        path.write_bytes(data)
        yield str(path)


def _with_original(source: str, options: dict[str, Any]) -> tuple[bytes, tuple[int, int]]:
    """Return a file of a picture as it lies; an orientation is stored, and applies as before."""
    with Image.open(source) as image:
        if profile := image.info.get("icc_profile"):
            options = {"icc_profile": profile} | options
        if orientation_of(image) != 1:
            options = options | {"exif": image.info.get("exif")}
        return encode_image(image, options, strict=True), image.size


def decode_file(source: Source, format_: str, options: dict[str, Any]) -> tuple[bytes, Image.Image]:
    """Return a file of the picture of a DIFFC file, turned upright; and the picture.

    Parameters
    ----------
    source : bytes, path or file
        The DIFFC file.
    format_ : str
        Pillow's name of the format to write.
    options : dict
        Those of `diffc.decoding`.
    """
    picture = upright(decode(source, **options))
    return picture_bytes(picture, format_), picture


def transcode_file(
    source: Source, options: dict[str, Any], decode_options: dict[str, Any]
) -> tuple[bytes, tuple[int, int]]:
    """Return another DIFFC file of a DIFFC file's picture, with its metadata; and the size.

    Parameters
    ----------
    source : bytes, path or file
        The DIFFC file.
    options : dict
        Keywords of `diffc.encode`; what they say of metadata goes before the file's.
    decode_options : dict
        Those of `diffc.decoding`.
    """
    picture = decode(source, **decode_options)
    found = {name: picture.info.get(name) for name in ("exif", "icc_profile", "xmp")}
    return encode_image(picture, found | options, strict=True), picture.size
