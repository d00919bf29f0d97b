"""Pictures of any format that Pillow reads or writes, HEIC included, upright."""

from __future__ import annotations

import io
import sys
import warnings
from contextlib import nullcontext
from pathlib import Path
from typing import BinaryIO

from PIL import Image, ImageOps, UnidentifiedImageError

from diffc.container.diagnosis import diagnose
from diffc.errors import DiffcWarning
from diffc.file_io import STANDARD
from diffc.pictures.exif import exif_of, without_orientation, xmp_of, xmp_without_orientation
from diffc.pictures.metadata import orientation_of
from diffc.urls import is_url, open_url

_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_HEIF_EXTENSIONS = (".heic", ".heif", ".hif")


def open_input(source: str) -> BinaryIO:
    """Open a file or an address, or take standard input, for reading from any position.

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
    if is_url(source):
        with open_url(source) as file:
            return io.BytesIO(file.read())
    path = Path(source)
    return path.open("rb") if path.is_file() else io.BytesIO(path.read_bytes())


def read_picture(source: str | BinaryIO) -> Image.Image:
    """Read a picture, turned as its EXIF orientation says, with at most 8 bits a channel.

    Its ``info`` holds ``exif``, ``xmp`` and ``icc_profile`` whatever the format keeps them in.
    What is left out, such as further pictures of the file, is told by warnings.

    Parameters
    ----------
    source : str or binary file
        A path, ``-`` for standard input, or a file that can be read from any position.

    Raises
    ------
    OSError
        If it is missing or damaged, or of no format that is known here.
    ValueError
        If its values are of a range that 8 bits do not stand for.
    """
    with open_input(source) if isinstance(source, str) else nullcontext(source) as file:
        prefix = file.read(16)
        file.seek(0)
        reason = diagnose(prefix)
        if reason is not None:
            raise OSError(reason)
        try:
            with open_picture(file, prefix) as image:
                tell_of_others(image)
                found = metadata_of(image)
                image.load()
                plain = image.copy()
                plain.info.update(found)
                return upright(eight_bits(plain))
        except UnidentifiedImageError:
            raise OSError("it is no image of a format that Pillow reads: convert it") from None
        except (OSError, ValueError, MemoryError, Image.DecompressionBombError, Warning):
            raise
        # Pillow's plugins raise what they come upon in damaged files
        except Exception as error:
            raise OSError(f"the image is damaged ({error})") from error


def tell_of_others(image: Image.Image) -> None:
    """Warn of pictures in a file beside the first."""
    # the pictures of a Photoshop file are its layers, and the first is all of them together
    count = 1 if image.format == "PSD" else getattr(image, "n_frames", 1)
    if count > 1:
        warnings.warn(
            f"the first of {count} pictures in the file is kept", DiffcWarning, stacklevel=3
        )


def metadata_of(image: Image.Image) -> dict[str, bytes]:
    """Return EXIF and XMP of an open image that its ``info`` does not hold as such."""
    found = {}
    if xmp := xmp_of(image):
        found["xmp"] = xmp
    if "exif" in image.info:
        return found
    try:
        exif = exif_of(image)
    # of a file that ends early, loading tells
    except OSError:
        pass
    # EXIF is whatever the file's writer took for it
    except Exception as error:  # noqa: BLE001
        warnings.warn(
            f"the image's EXIF is damaged and ignored ({error})", DiffcWarning, stacklevel=3
        )
    else:
        if exif:
            found["exif"] = exif
    return found


def other_metadata(image: Image.Image) -> list[str]:
    """Return what an image's ``info`` says in words that no DIFFC file holds: comments, texts."""
    known = {"exif", "xmp", "icc_profile", "XML:com.adobe.xmp", "Raw profile type exif"}
    known |= {"compression"}
    return sorted(
        str(key)
        for key, value in image.info.items()
        if key not in known and (isinstance(value, str) or key in ("comment", "photoshop"))
    )


def eight_bits(image: Image.Image) -> Image.Image:
    """Return an image of integers of 16 bits, or of floats from 0 to 1, with 8 bits and a warning.

    Raises
    ------
    ValueError
        If the values are others: nobody knows what would be black and what white.
    """
    if image.mode.split(";")[0] not in ("I", "F"):
        return image
    import numpy as np

    values = np.asarray(image)
    low, high = float(values.min()), float(values.max())
    most = 1.0 if image.mode == "F" else 65535.0
    if not (low >= 0 and high <= most):
        raise ValueError(
            f"its values go from {low:g} to {high:g}, and grey is from 0 to {most:g} here: make an "
            "8-bit picture of it with another program"
        )
    what = "floats" if image.mode == "F" else "16 bits"
    warnings.warn(
        f"the picture has {what} a pixel, which are scaled to 8 bits", DiffcWarning, stacklevel=3
    )
    made = Image.fromarray(np.rint(values.astype(np.float64) * (255 / most)).astype(np.uint8))
    made.info = {key: value for key, value in image.info.items() if key != "transparency"}
    return made


def open_picture(file: BinaryIO, prefix: bytes) -> Image.Image:
    """Open a file that begins so, HEIC included.

    Raises
    ------
    OSError
        If it is of no format that is known here.
    ImportError
        If it is HEIC, and pillow-heif is missing.
    """
    try:
        return Image.open(file)
    except UnidentifiedImageError:
        # some of these brands are AVIF's as well, which Pillow reads
        if prefix[4:8] != b"ftyp" or prefix[8:12] not in _HEIF_BRANDS:
            raise
    _need_heif()
    file.seek(0)
    return Image.open(file)


# how to turn a picture for each orientation that EXIF knows
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def upright(image: Image.Image) -> Image.Image:
    """Return a copy of a picture, turned as its EXIF orientation says."""
    try:
        return ImageOps.exif_transpose(image)
    # EXIF is whatever the file's writer took for it
    except Exception as error:  # noqa: BLE001
        reason = error
    turn = _TURNS.get(orientation_of(image))
    made = image.copy() if turn is None else image.transpose(turn)
    made.info = dict(image.info)
    exif = made.info.get("exif", b"")
    if turn is None:
        warnings.warn(
            f"the image's EXIF is damaged and ignored ({reason})", DiffcWarning, stacklevel=2
        )
        made.info.pop("exif", None)
        return made
    # it can be read, but not be written anew
    if isinstance(exif, bytes):
        made.info["exif"] = without_orientation(exif)
    for key in ("xmp", "XML:com.adobe.xmp"):
        value = made.info.get(key)
        if isinstance(value, bytes):
            made.info[key] = xmp_without_orientation(value)
        elif isinstance(value, str):
            made.info[key] = xmp_without_orientation(value.encode()).decode()
    return made


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


def _need_heif() -> None:
    try:
        import pillow_heif
    except ImportError:
        raise ImportError(
            "HEIC files need pillow-heif, which is missing: pip install 'diffc[heif]'"
        ) from None
    pillow_heif.register_heif_opener()
