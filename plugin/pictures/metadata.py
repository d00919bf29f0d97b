"""Metadata that the caller passes along: exif, ICC profile and XMP, as bytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from PIL import Image

from diffc.container.layout import METADATA_LIMIT

# our keyword -> name in the container; also the key in an opened image's info
KEYS = {"exif": "exif", "icc_profile": "icc", "xmp": "xmp"}


def take_metadata(options: dict[str, Any]) -> dict[str, bytes]:
    """Remove metadata keywords from options; return those that hold something.

    Raises
    ------
    ValueError
        If one has a wrong type, or more bytes than the format allows.
    """
    taken = {}
    for keyword, name in KEYS.items():
        data = _as_bytes(keyword, options.pop(keyword, None))
        if len(data) > METADATA_LIMIT:
            raise ValueError(
                f"{keyword} has at most {METADATA_LIMIT} bytes, not {len(data)}: strip it first"
            )
        if data:
            taken[name] = data
    return taken


# the colour spaces that the header of an ICC profile may name
_SPACES = {b"CMYK", b"GRAY", b"HLS ", b"HSV ", b"Lab ", b"Luv ", b"RGB ", b"XYZ ", b"YCbr", b"Yxy "}
_GREY_MODES = ("1", "L", "LA", "La")
_ORIENTATION = 0x112
# where Pillow looks for an orientation
_TURNING = ("exif", "Raw profile type exif", "xmp", "XML:com.adobe.xmp")


def space_of(profile: bytes) -> str:
    """Return the colour space that an ICC profile describes; empty if it names none."""
    space = profile[16:20]
    return space.decode().strip() if len(profile) >= 128 and space in _SPACES else ""


def profile_fits(profile: bytes, mode: str) -> bool:
    """Return whether a profile describes what a file holds of an image of a mode: grey or RGB."""
    return space_of(profile) in ("", "GRAY" if mode in _GREY_MODES else "RGB")


def orientation_of(image: Image.Image) -> int:
    """Return how an image is to be turned by its EXIF or XMP, 1 to 8; 1 where that is not known."""
    return orientation_in(image.info)


def orientation_in(metadata: Mapping[Any, Any]) -> int:
    """Return how a picture with this metadata is to be turned; see `orientation_of`."""
    # asked of another image: each remembers what it was when it was first asked
    stand_in = Image.new("1", (1, 1))
    stand_in.info = {key: metadata[key] for key in _TURNING if key in metadata}
    try:
        value = stand_in.getexif().get(_ORIENTATION, 1)
    # EXIF is whatever the file's writer took for it
    except Exception:  # noqa: BLE001
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _as_bytes(keyword: str, value: Any) -> bytes:
    if value is None:
        return b""
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    if keyword == "exif" and isinstance(value, Image.Exif):
        return _exif_bytes(value)
    if keyword == "xmp" and isinstance(value, str):
        return value.encode()
    if keyword == "icc_profile" and hasattr(value, "tobytes") and hasattr(value, "profile"):
        # of PIL.ImageCms
        return bytes(value.tobytes())
    try:
        view = memoryview(value)
    except TypeError:
        pass
    else:
        if view.itemsize == 1 and view.ndim == 1:
            return view.tobytes()
    accepted = {
        "exif": "bytes or a PIL.Image.Exif",
        "xmp": "bytes or a text",
    }.get(keyword, "bytes")
    raise ValueError(f"{keyword} is {accepted}, not {type(value).__name__}: pass that")


def _exif_bytes(exif: Image.Exif) -> bytes:
    try:
        data = exif.tobytes()
    # a tag's value may have a type that its format does not hold
    except Exception as error:
        raise ValueError(
            f"exif holds what cannot be written ({error}): delete that tag, or pass bytes"
        ) from error
    # getexif() of a picture without any gives an object without tags, which is not worth bytes
    return b"" if data == Image.Exif().tobytes() else data
