"""Exif, XMP and ICC profiles: stored when passed, as they were passed."""

from __future__ import annotations

import io
from typing import Any

import codecs_for_tests  # noqa: F401 - registers codecs
import pytest
from PIL import Image, ImageCms, ImageOps

import diffc
from diffc.container import METADATA_LIMIT
from diffc.errors import DiffcWarning

XMP = "<x:xmpmeta xmlns:x='adobe:ns:meta/'>eine rote Tür</x:xmpmeta>"


def reopened(image: Image.Image, **options: Any) -> Image.Image:
    return Image.open(io.BytesIO(diffc.encode(image, backend="planes", **options)))


@pytest.fixture
def exif() -> Image.Exif:
    made = Image.Exif()
    made[0x0112] = 6  # orientation
    made[0x010F] = "a maker"
    made.get_ifd(0x8825)[0x0001] = "N"  # within the block for GPS
    return made


def test_what_is_passed_comes_back(photo: Image.Image, exif: Image.Exif) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for given in (exif, exif.tobytes(), bytearray(exif.tobytes()), memoryview(exif.tobytes())):
        again = reopened(photo, exif=given, xmp=XMP, icc_profile=profile)
        assert again.info["exif"] == exif.tobytes()
        assert again.info["xmp"] == XMP.encode()
        assert again.info["icc_profile"] == profile
    found = again.getexif()
    assert (found[0x0112], found[0x010F]) == (6, "a maker")
    assert found.get_ifd(0x8825)[0x0001] == "N"
    assert reopened(photo, xmp=XMP.encode()).info["xmp"] == XMP.encode()


def test_orientation_is_kept_and_applies(photo: Image.Image, exif: Image.Exif) -> None:
    again = reopened(photo, exif=exif, quality=100)
    assert again.size == photo.size
    upright = ImageOps.exif_transpose(again)
    assert upright.tobytes() == photo.transpose(Image.Transpose.ROTATE_270).tobytes()


def test_nothing_is_taken_from_the_image_itself(photo: Image.Image, exif: Image.Exif) -> None:
    plain = diffc.encode(photo, backend="planes")
    photo.info.update(exif=exif.tobytes(), xmp=XMP.encode(), comment=b"c", dpi=(72, 72))
    with pytest.warns(DiffcWarning, match=r"turned by its EXIF \(orientation 6\), and none is"):
        assert diffc.encode(photo, backend="planes") == plain


@pytest.mark.parametrize("nothing", [None, b"", bytearray(), Image.Exif()])
def test_nothing_stores_nothing(photo: Image.Image, nothing: Any) -> None:
    plain = diffc.encode(photo, backend="planes")
    assert diffc.encode(photo, backend="planes", exif=nothing) == plain
    assert diffc.encode(photo, backend="planes", exif=photo.getexif(), xmp="") == plain


def test_info_reports_metadata_apart_from_the_payload(photo: Image.Image, exif: Image.Exif) -> None:
    plain = diffc.info(diffc.encode(photo, backend="planes"))
    assert plain.metadata_bytes == {}
    rich = diffc.info(diffc.encode(photo, backend="planes", exif=exif, xmp=XMP))
    assert rich.metadata_bytes == {"exif": len(exif.tobytes()), "xmp": len(XMP.encode())}
    assert rich.payload_bytes == plain.payload_bytes
    assert rich.file_bytes > plain.file_bytes


def test_a_caption_is_kept(photo: Image.Image) -> None:
    data = diffc.encode(photo, backend="planes", caption="eine rote Tür")
    assert diffc.info(data).caption == "eine rote Tür"
    assert Image.open(io.BytesIO(data)).info["caption"] == "eine rote Tür"
    assert diffc.decode(data).info["caption"] == "eine rote Tür"


@pytest.mark.parametrize("keyword", ["exif", "icc_profile", "xmp"])
def test_metadata_is_capped(photo: Image.Image, keyword: str) -> None:
    again = reopened(photo, **{keyword: bytes(METADATA_LIMIT)})
    assert again.info[keyword] == bytes(METADATA_LIMIT)
    with pytest.raises(ValueError, match=f"{keyword} has at most 1048576 bytes, not 1048577"):
        reopened(photo, **{keyword: bytes(METADATA_LIMIT + 1)})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"exif": "text"}, "exif is bytes or a PIL.Image.Exif, not str: pass that"),
        ({"exif": {1: 2}}, "exif is bytes or a PIL.Image.Exif, not dict"),
        ({"xmp": Image.Exif()}, "xmp is bytes or a text, not Exif"),
        ({"xmp": "\ud800"}, "surrogates not allowed"),
        ({"icc_profile": "sRGB"}, "icc_profile is bytes, not str"),
    ],
)
def test_what_is_no_metadata_is_refused(
    photo: Image.Image, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        reopened(photo, **options)
