"""EXIF of any source format: read as bytes, and its orientation changed without rewriting the rest."""

from __future__ import annotations

import re
import struct
from typing import Any

from PIL import Image

PREFIX = b"Exif\0\0"
_ORIENTATION = 0x112
_EXIF_BLOCK, _GPS_BLOCK, _INTEROPERABILITY_BLOCK = 0x8769, 0x8825, 0xA005
# tags of a TIFF that say how its pixels are stored, or hold what is kept apart: XMP, IPTC,
# Photoshop's blocks, the ICC profile
_OF_PIXELS = {
    *(254, 255, 256, 257, 258, 259, 262, 263, 264, 265, 266, 273, 274, 277, 278, 279, 280, 281),
    *(284, 288, 289, 290, 291, 292, 293, 297, 301, 317, 320, 321, 322, 323, 324, 325, 330, 332),
    *(333, 334, 336, 338, 339, 340, 341, 342, 343, 344, 347, 512, 513, 514, 515, 517, 518, 519),
    *(520, 521, 529, 530, 531, 532, 700, 33723, 34377, 34675, 34677, 37724, 50908),
}
_XMP_TAG = 700
_XMP_ORIENTATION = re.compile(rb"(tiff:Orientation(?:=\"|=\'|>)\s*)[2-8]")


def exif_of(image: Image.Image) -> bytes:
    """Return the EXIF of an image that is open still; empty if it has none.

    Raises
    ------
    Exception
        Of any type, if it cannot be read, or not be written again where its format needs that.
    """
    stored = image.info.get("exif")
    if isinstance(stored, bytes):
        return stored
    found = image.getexif()
    made = Image.Exif()
    for tag, value in found.items():
        if tag not in _OF_PIXELS and tag not in (_EXIF_BLOCK, _GPS_BLOCK):
            made[tag] = value
    for block in (_EXIF_BLOCK, _GPS_BLOCK):
        values = dict(found.get_ifd(block))
        if block == _EXIF_BLOCK:
            values.pop(_INTEROPERABILITY_BLOCK, None)
        if values:
            made.get_ifd(block).update(values)
    return made.tobytes() if len(made) or made.get_ifd(_GPS_BLOCK) else b""


def xmp_of(image: Image.Image) -> bytes:
    """Return the XMP of an image, wherever its format keeps it; empty if it has none."""
    tags: Any = getattr(image, "tag_v2", {})
    kept = (image.info.get("xmp"), image.info.get("XML:com.adobe.xmp"), tags.get(_XMP_TAG))
    found = next((each for each in kept if each), b"")
    return found.encode() if isinstance(found, str) else bytes(found)


def without_orientation(exif: bytes) -> bytes:
    """Return EXIF whose orientation is 1, changed in place: every other byte stays."""
    start = len(PREFIX) if exif.startswith(PREFIX) else 0
    order = {b"II": "<", b"MM": ">"}.get(exif[start : start + 2])
    if order is None:
        return exif
    made = bytearray(exif)
    try:
        (place,) = struct.unpack_from(order + "I", exif, start + 4)
        (count,) = struct.unpack_from(order + "H", exif, start + place)
        for entry in range(start + place + 2, start + place + 2 + 12 * count, 12):
            tag, kind = struct.unpack_from(order + "HH", exif, entry)
            if tag == _ORIENTATION and kind in (3, 4):
                struct.pack_into(order + {3: "H", 4: "I"}[kind], made, entry + 8, 1)
    except struct.error:
        return exif
    return bytes(made)


def xmp_without_orientation(xmp: bytes) -> bytes:
    """Return an XMP packet whose orientation is 1; every other byte stays."""
    return _XMP_ORIENTATION.sub(rb"\g<1>1", xmp)


def only_orientation(orientation: int) -> bytes:
    """Return EXIF that says nothing but how a picture is turned; empty if it is not."""
    made = Image.Exif()
    made[_ORIENTATION] = orientation
    return made.tobytes() if orientation != 1 else b""
