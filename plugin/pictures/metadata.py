"""Metadata that the caller passes along: exif, ICC profile and XMP, as bytes."""

from __future__ import annotations

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


def _as_bytes(keyword: str, value: Any) -> bytes:
    if value is None:
        return b""
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    if keyword == "exif" and isinstance(value, Image.Exif):
        # getexif() of a picture without any gives an object without tags, which is not worth bytes
        data = value.tobytes()
        return b"" if data == Image.Exif().tobytes() else data
    if keyword == "xmp" and isinstance(value, str):
        return value.encode()
    accepted = {"exif": "bytes or a PIL.Image.Exif", "xmp": "bytes or a text"}.get(keyword, "bytes")
    raise ValueError(f"{keyword} is {accepted}, not {type(value).__name__}: pass that")
