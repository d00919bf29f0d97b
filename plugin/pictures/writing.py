"""Pictures written in any format that Pillow writes, with their metadata as far as it holds it."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from typing import Any

from PIL import Image, PngImagePlugin

from diffc.errors import DiffcWarning
from diffc.pictures.exif import xmp_of

_NAMES = {"exif": "EXIF", "icc_profile": "ICC profile", "xmp": "XMP"}
_XMP_TAG = 700
# where a format loses something, no more than a codec has lost
_QUALITY = 95


def picture_bytes(picture: Image.Image, name: str) -> bytes:
    """Return a file of a picture in a format of Pillow.

    What the format does not hold is left out with a warning: transparency, which is put on white,
    or any of EXIF, ICC profile and XMP.

    Raises
    ------
    OSError
        If the format holds no such picture.
    """
    plain = _suited(picture, name)
    kept = {key: picture.info[key] for key in _NAMES if picture.info.get(key)}
    if not _says_something(kept.get("exif")):
        kept.pop("exif", None)
    refused = [key for key in kept if not _fits(plain, name, {key: kept[key]})]
    held = {key: value for key, value in kept.items() if key not in refused}
    data = _saved(plain, name, held)
    lost = [_NAMES[key] for key in [*refused, *_missing(data, held)]]
    if lost:
        warnings.warn(
            f"the {name} file is without its {' and '.join(lost)}", DiffcWarning, stacklevel=2
        )
    return data


def _says_something(exif: bytes | None) -> bool:
    """Return whether EXIF has tags; turning the picture may have left none."""
    parsed = Image.Exif()
    try:
        parsed.load(exif or b"")
        return len(parsed) > 0
    # whatever it is, it is something
    except Exception:  # noqa: BLE001
        return True


def _suited(picture: Image.Image, name: str) -> Image.Image:
    error: Exception = OSError(f"{name} holds no such picture")
    for candidate in _candidates(picture):
        try:
            data = _saved(candidate, name, {})
        except (OSError, ValueError, KeyError) as refusal:
            error = refusal
            continue
        if candidate.has_transparency_data and not _is_transparent(data):
            continue
        if picture.has_transparency_data and not candidate.has_transparency_data:
            warnings.warn(
                f"a {name} file holds no transparency, so the picture is put on white: choose .png "
                "or .webp to keep it",
                DiffcWarning,
                stacklevel=3,
            )
        return candidate
    raise error


def _candidates(picture: Image.Image) -> Iterator[Image.Image]:
    yield picture
    if picture.mode == "LA":
        yield picture.convert("RGBA")
    if picture.mode.endswith("A"):
        white = Image.new("RGBA", picture.size, "white")
        white.alpha_composite(picture.convert("RGBA"))
        picture = white.convert(picture.mode[:-1])
        yield picture
    yield picture.convert("RGB")


def _is_transparent(data: bytes) -> bool:
    try:
        with Image.open(io.BytesIO(data)) as image:
            return image.has_transparency_data
    # a format that Pillow only writes
    except OSError:
        return True


def _fits(picture: Image.Image, name: str, metadata: dict[str, Any]) -> bool:
    try:
        _saved(picture, name, metadata)
    # whatever a format's writer makes of too much, or of what it cannot read
    except Exception:  # noqa: BLE001
        return False
    return True


def _saved(picture: Image.Image, name: str, metadata: dict[str, Any]) -> bytes:
    plain = picture.copy()
    plain.info = {}
    options = dict(metadata)
    if name == "PNG" and "xmp" in options:
        chunks = PngImagePlugin.PngInfo()
        text = bytes(options.pop("xmp")).decode("utf-8")
        chunks.add_itxt("XML:com.adobe.xmp", text)
        options["pnginfo"] = chunks
    if name == "TIFF" and "xmp" in options:
        exif = Image.Exif()
        exif.load(options.get("exif", b""))
        exif[_XMP_TAG] = options.pop("xmp")
        options["exif"] = exif
    out = io.BytesIO()
    plain.save(out, name, quality=_QUALITY, **options)
    return out.getvalue()


def _missing(data: bytes, metadata: dict[str, Any]) -> list[str]:
    """Return which metadata is not in a file that was to hold it."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            found = {
                "exif": bool(len(image.getexif())),
                "icc_profile": bool(image.info.get("icc_profile")),
                "xmp": bool(xmp_of(image)),
            }
    # a format that Pillow only writes
    except OSError:
        return list(metadata)
    return [key for key in metadata if not found[key]]
