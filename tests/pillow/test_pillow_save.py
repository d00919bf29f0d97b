"""Saving through Pillow: keywords, sinks, frames, and files kept as they are."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from codecs_for_tests import PlanesCodec
from PIL import Image, ImageCms

import diffc
from diffc.adapters.pillow import DiffcImageFile


class Sink:
    """A target that can only be written to, as a pipe or a network stream."""

    def __init__(self) -> None:
        self.data = b""

    def write(self, data: bytes) -> int:
        self.data += data
        return len(data)


def saved(image: Image.Image, **options: Any) -> bytes:
    sink = Sink()
    image.save(sink, format="DIFFC", **{"backend": "planes", **options})  # type: ignore[arg-type]
    return sink.data


def opened(data: bytes) -> DiffcImageFile:
    image = Image.open(io.BytesIO(data))
    assert isinstance(image, DiffcImageFile)
    return image


def test_saves_by_extension_and_by_format(photo: Image.Image, tmp_path: Path) -> None:
    expected = diffc.encode(photo, backend="planes")
    photo.save(tmp_path / "a.diffc", backend="planes")
    photo.save(str(tmp_path / "b.DIFFC"), backend="planes")
    photo.save(tmp_path / "c.bin", format="diffc", backend="planes")
    for name in ("a.diffc", "b.DIFFC", "c.bin"):
        assert (tmp_path / name).read_bytes() == expected
    assert saved(photo) == expected


def test_the_default_codec_saves_and_opens(photo: Image.Image, model: str) -> None:
    buffer = io.BytesIO()
    photo.save(buffer, format="DIFFC", model=model, bpp=0.6)
    assert len(buffer.getvalue()) <= 0.6 * 96 * 64 / 8
    with Image.open(buffer) as image:
        assert image.info["diffc"]["codec"] == "relay"
        assert image.tobytes() == diffc.decode(buffer.getvalue()).tobytes()


def test_quality_is_monotone_in_bytes(photo: Image.Image, model: str, ddcm_model: str) -> None:
    lengths = [len(saved(photo, quality=quality)) for quality in range(101)]
    assert lengths == sorted(lengths)
    assert lengths[0] < lengths[50] < lengths[100]
    assert lengths[50] == len(saved(photo))
    for backend, folder in (("relay", model), ("ddcm", ddcm_model)):
        lengths = [
            len(saved(photo, backend=backend, model=folder, quality=quality))
            for quality in (0, 1, 25, 50, 50.5, 75, 100)
        ]
        assert lengths == sorted(lengths)
        assert lengths[0] < lengths[-1]


def test_rates_are_ceilings_of_the_whole_file(photo: Image.Image) -> None:
    alpha = photo.copy()
    alpha.putalpha(photo.getchannel("R"))
    for image in (photo, alpha):
        for size in (8000, 9001):
            assert 0.95 * size <= len(saved(image, target_size=size, exif=b"e" * 99)) <= size
    assert 0.95 * 3072 <= len(saved(photo, bpp=4)) <= 3072


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bpp": 0.1, "quality": 50}, "one of bpp, target_size and quality"),
        ({"bpp": 0.1, "target_size": 50}, "one of bpp, target_size and quality"),
        ({"quality": 101}, "quality is a number from 0 to 100, not 101"),
        ({"quality": "high"}, "quality is a number from 0 to 100, not 'high'"),
        ({"quality": True}, "quality is a number"),
        ({"bpp": 0}, "bpp is bits per pixel, a number above 0"),
        ({"bpp": float("nan")}, "bpp is bits per pixel"),
        ({"target_size": 10.5}, "target_size is a whole number"),
        ({"target_size": 5}, "makes files of .* bytes .* of this image"),
        ({"bpp": 400}, "makes files of .* bytes .* of this image"),
        ({"target_size": 60, "exif": bytes(range(99))}, "including 1.. of metadata"),
        ({"backend": "Nobody"}, "a codec's name is"),
        ({"backend": "nobody"}, "'nobody' is not installed"),
        ({"backend": 3}, "a codec's name is"),
        ({"alpha": "straight"}, "alpha is 'keep' or 'drop'"),
        ({"progress": 3}, "progress is a function"),
        ({"planes": 9}, "planes is a whole number from 1 to 8"),
        ({"steps": 30}, "'steps' is not an option of codec 'planes'"),
        ({"qualty": 30}, "did you mean 'quality'"),
        ({"targetsize": 30}, "did you mean 'target_size'"),
        ({"plane": 3}, "did you mean 'planes'"),
        ({"exif": 3}, "exif is bytes or a PIL.Image.Exif, not int"),
        ({"icc_profile": "sRGB"}, "icc_profile is bytes, not str"),
        ({"xmp": 3.5}, "xmp is bytes or a text, not float"),
        ({"xmp": bytes((1 << 20) + 1)}, "xmp has at most 1048576 bytes"),
    ],
)
def test_a_bad_option_is_refused_before_anything_is_written(
    photo: Image.Image, tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    sink = Sink()
    with pytest.raises(ValueError, match=message):
        photo.save(sink, format="DIFFC", **{"backend": "planes", **options})  # type: ignore[arg-type]
    assert sink.data == b""
    with pytest.raises(ValueError, match=message):
        photo.save(tmp_path / "a.diffc", **{"backend": "planes", **options})
    assert not (tmp_path / "a.diffc").exists()


def test_keywords_of_other_formats_are_ignored(photo: Image.Image) -> None:
    generic = {
        "optimize": True,
        "progressive": True,
        "subsampling": 0,
        "dpi": (72, 72),
        "lossless": False,
        "method": 6,
        "compress_level": 9,
        "comment": b"x",
        "some_keyword_of_nobody": 1,
    }
    assert saved(photo, **generic) == saved(photo)


def test_none_means_not_given(photo: Image.Image) -> None:
    nothing = dict.fromkeys(
        ("bpp", "target_size", "quality", "exif", "icc_profile", "xmp", "alpha", "progress")
    )
    assert saved(photo, **nothing) == saved(photo)


def test_one_frame_may_be_saved_as_all_and_more_may_not(photo: Image.Image) -> None:
    assert saved(photo, save_all=True) == saved(photo)
    assert saved(photo, save_all=True, append_images=[]) == saved(photo)
    with pytest.raises(ValueError, match="holds one picture, not 2"):
        saved(photo, append_images=[photo])
    with pytest.raises(ValueError, match="holds one picture, not 3"):
        saved(photo, save_all=True, append_images=[photo, photo])
    animation = io.BytesIO()
    photo.save(animation, format="GIF", save_all=True, append_images=[photo.rotate(90)])
    with Image.open(animation) as moving:
        with pytest.raises(ValueError, match="holds one picture, not 2"):
            saved(moving, save_all=True)
        assert opened(saved(moving)).size == photo.size


def test_keep_copies_the_file_of_an_untouched_image(photo: Image.Image, model: str) -> None:
    alpha = photo.copy()
    alpha.putalpha(photo.getchannel("R"))
    exif = Image.Exif()
    exif[0x0112] = 6
    for data in (
        diffc.encode(alpha, backend="planes", quality=30, exif=exif),
        diffc.encode(photo, model=model, quality=10),
    ):
        with opened(data) as image:
            assert saved(image, backend=None, quality="keep") == data
        with opened(data) as image:
            image.load()
            assert saved(image, backend=None, quality="keep") == data
            assert saved(image, backend=None, quality="keep") == data
        with opened(data) as image:
            assert saved(image, backend=None, quality="keep", save_all=True, optimize=True) == data


def test_keep_does_not_encode(photo: Image.Image) -> None:
    data = diffc.encode(photo, backend="planes")
    before = PlanesCodec.encoded
    assert saved(opened(data), backend=None, quality="keep") == data
    assert PlanesCodec.encoded == before


def test_keep_works_onto_the_same_file(photo: Image.Image, tmp_path: Path) -> None:
    path = tmp_path / "a.diffc"
    diffc.save(photo, path, backend="planes", quality=40)
    data = path.read_bytes()
    with Image.open(path) as image:
        image.save(path, quality="keep")
    assert path.read_bytes() == data


def test_keep_of_a_changed_image_is_refused(photo: Image.Image) -> None:
    data = diffc.encode(photo.convert("L"), backend="planes")

    def thumbnail(image: Image.Image) -> None:
        image.thumbnail((20, 20))

    changes = [
        lambda image: image.putpixel((0, 0), 255 - image.getpixel((0, 0))),
        lambda image: image.paste(image.rotate(180)),
        lambda image: image.putalpha(128),
        lambda image: image.putpalette(list(range(256)) * 3),
        thumbnail,
    ]
    for change in changes:
        for load_first in (True, False):
            with opened(data) as image:
                if load_first:
                    image.load()
                change(image)
                with pytest.raises(ValueError, match="needs an unchanged image"):
                    saved(image, backend=None, quality="keep")


def test_keep_of_an_image_from_elsewhere_is_refused(photo: Image.Image, tmp_path: Path) -> None:
    with opened(diffc.encode(photo, backend="planes")) as image:
        for other in (photo, image.copy(), image.rotate(90), image.convert("L")):
            with pytest.raises(ValueError, match="needs an unchanged image"):
                saved(other, backend=None, quality="keep")
    with pytest.raises(ValueError, match="needs an unchanged image"):
        photo.save(tmp_path / "a.diffc", quality="keep")
    assert not (tmp_path / "a.diffc").exists()


@pytest.mark.parametrize("option", [{"bpp": 1}, {"alpha": "keep"}, {"backend": "planes"}])
def test_keep_with_an_option_that_asks_for_other_bytes_is_refused(
    photo: Image.Image, option: dict[str, Any]
) -> None:
    with (
        opened(diffc.encode(photo, backend="planes")) as image,
        pytest.raises(ValueError, match=f"copies the file as it is: drop '{next(iter(option))}'"),
    ):
        saved(image, **{"backend": None, "quality": "keep", **option})


def test_an_unchanged_image_saved_without_options_keeps_its_bytes(
    photo: Image.Image, tmp_path: Path
) -> None:
    data = diffc.encode(photo, backend="planes", quality=30, xmp="<x/>")
    before = PlanesCodec.encoded
    for load_first in (True, False):
        with opened(data) as image:
            if load_first:
                image.load()
            assert saved(image, backend=None, optimize=True, exif=None) == data
            assert diffc.encode(image, progress=lambda step, total: None) == data
            diffc.save(image, tmp_path / "a.diffc")
            assert (tmp_path / "a.diffc").read_bytes() == data
    with opened(data) as image:
        image.save(tmp_path / "a.diffc")
        image.save(tmp_path / "a.diffc", format="DIFFC", save_all=True)
    assert (tmp_path / "a.diffc").read_bytes() == data
    assert PlanesCodec.encoded == before
    with opened(data) as image:
        image.paste(image.rotate(180))
        assert diffc.info(saved(image, backend=None)).codec == "relay"
    options: list[dict[str, Any]] = [{"quality": 30}, {"bpp": 1}, {"alpha": False}, {"speed": 6}]
    for each in options:
        with opened(data) as image:
            assert diffc.info(saved(image, backend=None, **each)).codec == "relay"


def test_keep_may_change_metadata(photo: Image.Image) -> None:
    exif = Image.Exif()
    exif[0x010F] = "a maker"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    masked = photo.copy()
    masked.putalpha(photo.getchannel("R"))
    options: dict[str, Any] = {"backend": "planes", "quality": 20}
    for picture in (photo, masked):
        plain = diffc.encode(picture, **options)
        rich = diffc.encode(picture, exif=exif, xmp="<x/>", icc_profile=profile, **options)
        before = PlanesCodec.encoded

        def kept(data: bytes, **changes: Any) -> bytes:
            made = diffc.encode(opened(data), quality="keep", **changes)
            assert saved(opened(data), backend=None, quality="keep", **changes) == made
            return made

        # byte for byte what coding it with that metadata had made
        assert kept(plain, exif=exif, xmp="<x/>", icc_profile=profile) == rich
        assert kept(rich, exif=None, xmp=None, icc_profile=None) == plain
        assert kept(kept(rich, exif=b""), exif=exif) == rich
        again = opened(kept(rich, xmp=b"<y/>", exif=None))
        assert again.info["xmp"] == b"<y/>"
        assert again.info["icc_profile"] == profile.tobytes()
        assert "exif" not in again.info
        assert again.tobytes() == opened(plain).tobytes()
        assert PlanesCodec.encoded == before
        with pytest.raises(ValueError, match="icc_profile describes other colours"):
            kept(plain, icc_profile=bytes(16) + b"CMYK" + bytes(120))
        with pytest.raises(ValueError, match="exif is bytes"):
            kept(plain, exif=3)


def test_keep_of_a_damaged_file_is_refused(photo: Image.Image) -> None:
    data = diffc.encode(photo, backend="planes")
    with opened(data[:-1] + bytes([data[-1] ^ 1])) as image:
        with pytest.raises(OSError, match="damaged"):
            image.original()
        with pytest.raises(OSError, match="damaged"):
            saved(image, backend=None, quality="keep")
