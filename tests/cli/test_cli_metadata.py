"""Metadata, orientation and kinds of pictures on their way through the command line."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import codecs_for_tests  # noqa: F401 - registers codecs
import pytest
from PIL import Image, ImageCms, PngImagePlugin

import diffc
from diffc.cli import main as command
from diffc.cli.main import main

Run = Callable[..., tuple[int, str, str]]
XMP = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'><a tiff:Orientation=\"6\"/></x:xmpmeta>"
PLAIN_XMP = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'><a/></x:xmpmeta>"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: object) -> tuple[int, str, str]:
        code = main([str(each) for each in arguments])
        return code, *capsys.readouterr()

    return call


@pytest.fixture
def opened() -> Iterator[Callable[[Path], Image.Image]]:
    """Return a function that opens pictures, which are closed after the test."""
    with ExitStack() as stack:
        yield lambda path: stack.enter_context(Image.open(path))


@pytest.fixture
def encode(
    run: Run, opened: Callable[[Path], Image.Image]
) -> Callable[..., tuple[Image.Image, str]]:
    def call(path: Path, *flags: str) -> tuple[Image.Image, str]:
        code, _, err = run(
            "encode", path, "--backend", "planes", "--quality", "100", "--force", *flags
        )
        assert code == 0, err
        return opened(path.with_suffix(".diffc")), err

    return call


def exif(orientation: int = 1) -> Image.Exif:
    made = Image.Exif()
    made[0x010F] = "Maker"
    made[0x0112] = orientation
    made.get_ifd(0x8825)[1] = "N"
    made.get_ifd(0x8769)[0x9003] = "2026:01:02 03:04:05"
    return made


# Orientation 6, and a resolution as text, which Pillow reads and cannot write
STUBBORN = (
    b"Exif\0\0II*\0\x08\0\0\0"
    + struct.pack("<H", 2)
    + struct.pack("<HHII", 0x112, 3, 1, 6)
    + struct.pack("<HHI4s", 0x11A, 2, 3, b"72\0\0")
    + bytes(4)
)


@pytest.mark.parametrize("name", ["a.jpg", "a.tif", "a.png", "a.webp", "a.avif", "a.jp2", "a.heic"])
def test_exif_is_kept_whatever_the_format(
    encode: Any, opened: Any, photo: Image.Image, tmp_path: Path, name: str
) -> None:
    if name == "a.heic":
        pytest.importorskip("pillow_heif").register_heif_opener()
    path = tmp_path / name
    photo.save(path, exif=exif().tobytes())
    if not len(opened(path).getexif()):
        pytest.skip("this Pillow writes no EXIF there")
    made, err = encode(path, "--keep-metadata")
    found = made.getexif()
    assert found[0x010F] == "Maker"
    assert found.get_ifd(0x8825)[1] == "N"
    assert found.get_ifd(0x8769)[0x9003] == "2026:01:02 03:04:05"
    # tags of the file's strips are none of the picture's
    assert not {0x100, 0x111, 0x117} & set(found)
    assert "warning" not in err
    assert "exif" not in encode(path)[0].info


def test_exif_of_old_png_files_is_kept(encode: Any, photo: Image.Image, tmp_path: Path) -> None:
    block = exif().tobytes()
    text = f"\nexif\n{len(block):8}\n{block.hex()}\n"
    chunks = PngImagePlugin.PngInfo()
    chunks.add_text("Raw profile type exif", text, zip=True)
    photo.save(tmp_path / "a.png", pnginfo=chunks)
    assert encode(tmp_path / "a.png", "--keep-metadata")[0].getexif()[0x010F] == "Maker"


@pytest.mark.parametrize("name", ["a.jpg", "a.tif", "a.png", "a.webp", "a.avif"])
def test_xmp_is_kept_whatever_the_format(
    encode: Any, photo: Image.Image, tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    options: dict[str, Any] = {"xmp": PLAIN_XMP}
    if name == "a.png":
        options = {"pnginfo": PngImagePlugin.PngInfo()}
        options["pnginfo"].add_itxt("XML:com.adobe.xmp", PLAIN_XMP.decode())
    if name == "a.tif":
        options = {"tiffinfo": {700: PLAIN_XMP}}
    photo.save(path, **options)
    assert encode(path, "--keep-metadata")[0].info["xmp"] == PLAIN_XMP


@pytest.mark.parametrize("orientation", range(1, 9))
def test_phone_photos_stand_upright(
    encode: Any, photo: Image.Image, tmp_path: Path, orientation: int
) -> None:
    flat = tmp_path / "a.png"
    photo.save(flat, exif=exif(orientation))
    upright = encode(flat)[0]
    stubborn = tmp_path / "b.png"
    block = bytearray(STUBBORN)
    block[block.index(b"\x12\x01") + 8] = orientation
    photo.save(stubborn, exif=bytes(block))
    made, err = encode(stubborn, "--keep-metadata")
    assert made.size == upright.size == ((96, 64) if orientation < 5 else (64, 96))
    assert made.tobytes() == upright.tobytes()
    assert "warning" not in err
    assert made.getexif().get(0x112, 1) == 1
    assert made.getexif()[0x11A] == "72"
    by_xmp = tmp_path / "c.jpg"
    photo.save(by_xmp, xmp=XMP.replace(b"6", b"%d" % orientation), quality=95)
    made, _ = encode(by_xmp, "--keep-metadata")
    assert made.size == upright.size
    assert made.getexif().get(0x112, 1) == 1


def test_decoding_turns_what_cannot_be_rewritten(
    run: Run, photo: Image.Image, tmp_path: Path
) -> None:
    path = tmp_path / "a.diffc"
    diffc.save(photo, path, backend="planes", exif=STUBBORN)
    for name in ("a.png", "a.jpg", "a.bmp"):
        code, _, err = run("decode", path, "-o", tmp_path / name)
        assert code == 0, err
        with Image.open(tmp_path / name) as image:
            assert image.size == (64, 96)
            assert image.getexif().get(0x112, 1) == 1


@pytest.mark.parametrize(
    ("name", "lost"),
    [
        ("a.png", ""),
        ("a.tif", ""),
        ("a.jpg", ""),
        ("a.webp", ""),
        ("a.bmp", "EXIF and ICC profile and XMP"),
        ("a.gif", "EXIF"),
        ("a.ppm", "EXIF and ICC profile and XMP"),
    ],
)
def test_what_a_format_does_not_hold_is_told(
    run: Run, photo: Image.Image, tmp_path: Path, name: str, lost: str
) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    path = tmp_path / "a.diffc"
    diffc.save(photo, path, backend="planes", exif=exif(), xmp=PLAIN_XMP, icc_profile=profile)
    code, _, err = run("decode", path, "-o", tmp_path / name)
    assert code == 0
    assert (f"without its {lost}" in err) if lost else err == ""
    with Image.open(tmp_path / name) as image:
        image.load()
        if not lost:
            assert image.getexif()[0x010F] == "Maker"
            assert image.info["icc_profile"] == profile


def test_metadata_never_keeps_a_picture_from_being_written(
    run: Run, photo: Image.Image, tmp_path: Path
) -> None:
    path = tmp_path / "a.diffc"
    for metadata in (
        {"exif": b"Exif\0\0" + bytes(range(256)) * 400},
        {"xmp": bytes(range(256)) * 400},
        {"exif": b"nonsense", "xmp": b"\xff\xfe", "icc_profile": b"p" * 99},
    ):
        diffc.save(photo, path, backend="planes", **metadata)
        for name in ("a.jpg", "a.png", "a.tif", "a.webp", "a.avif"):
            code, _, err = run("decode", path, "-o", tmp_path / name, "--force")
            assert code == 0, err
            with Image.open(tmp_path / name) as image:
                image.load()
                assert image.size == photo.size


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
@pytest.mark.parametrize("name", ["a.jpg", "a.bmp", "a.ppm", "a.pcx", "a.png", "a.webp", "a.tif"])
def test_transparency_is_kept_or_put_on_white(
    run: Run, photo: Image.Image, tmp_path: Path, mode: str, name: str
) -> None:
    image = photo.convert(mode)
    image.putalpha(0)
    path = tmp_path / "a.diffc"
    diffc.save(image, path, backend="planes")
    code, _, err = run("decode", path, "-o", tmp_path / name)
    assert code == 0, err
    with Image.open(tmp_path / name) as made:
        if made.has_transparency_data:
            assert err == ""
            assert made.convert("RGBA").getchannel("A").getextrema() == (0, 0)
        else:
            assert "put on white" in err
            assert made.convert("L").getextrema()[0] >= 250


@pytest.mark.parametrize("name", ["a.gif", "a.tif", "a.webp", "a.png"])
def test_further_pictures_of_a_file_are_told_of(
    encode: Any, photo: Image.Image, tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    photo.save(path, save_all=True, append_images=[photo.rotate(90), photo.rotate(180)])
    assert "the first of 3 pictures in the file is kept" in encode(path)[1]


@pytest.mark.parametrize(
    ("mode", "scale", "name"),
    [("I;16", 257, "a.png"), ("I;16", 257, "a.tif"), ("I", 257, "a.tif"), ("F", 1 / 255, "a.tif")],
)
def test_deep_grey_is_scaled(
    encode: Any, photo: Image.Image, tmp_path: Path, mode: str, scale: float, name: str
) -> None:
    import numpy as np

    grey = np.asarray(photo.convert("L"))
    dtype = {"I;16": np.uint16, "I": np.int32, "F": np.float32}[mode]
    Image.fromarray((grey.astype(np.float64) * scale).astype(dtype)).save(tmp_path / name)
    made, err = encode(tmp_path / name)
    assert "scaled to 8 bits" in err
    assert (made.mode, np.array_equal(np.asarray(made), grey)) == ("L", True)


def test_words_that_are_not_kept_are_told(encode: Any, photo: Image.Image, tmp_path: Path) -> None:
    photo.save(tmp_path / "a.jpg", comment=b"a comment")
    assert "not kept: comment" in encode(tmp_path / "a.jpg", "--keep-metadata")[1]
    assert encode(tmp_path / "a.jpg")[1] == ""


# --- diffc metadata -------------------------------------------------------------------------------


@pytest.fixture
def coded(photo: Image.Image, tmp_path: Path) -> Path:
    path = tmp_path / "coded.diffc"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    diffc.save(
        photo,
        path,
        backend="planes",
        caption="a disc",
        exif=exif(6),
        xmp=PLAIN_XMP,
        icc_profile=profile,
    )
    return path


def test_metadata_are_shown(run: Run, coded: Path) -> None:
    code, out, err = run("metadata", coded)
    assert (code, err) == (0, "")
    assert [line.split()[0] for line in out.splitlines()[1:]] == ["exif", "icc", "xmp", "caption"]


def test_stripping_keeps_the_picture_and_how_it_stands(run: Run, opened: Any, coded: Path) -> None:
    before = opened(coded)
    pixels, profile = before.tobytes(), before.info["icc_profile"]
    code, out, err = run("metadata", coded, "--strip")
    assert (code, err) == (0, "")
    assert "of metadata" in out
    after = opened(coded)
    assert dict(after.getexif()) == {0x112: 6}
    assert "xmp" not in after.info
    assert (after.info["icc_profile"], after.info["caption"]) == (profile, "a disc")
    assert after.tobytes() == pixels


def test_metadata_are_taken_from_files_and_pictures(
    run: Run, opened: Any, coded: Path, photo: Image.Image, tmp_path: Path
) -> None:
    (tmp_path / "x.xmp").write_bytes(PLAIN_XMP + b" ")
    made = exif(6)
    made[0x010F] = "Another"
    photo.save(tmp_path / "donor.jpg", exif=made)
    out = tmp_path / "out.diffc"
    flags = ["--set-xmp", tmp_path / "x.xmp", "--set-exif", tmp_path / "donor.jpg", "-o", out]
    code, _, err = run("metadata", coded, *flags)
    assert (code, err) == (0, "")
    found = opened(out)
    assert found.getexif()[0x010F] == "Another"
    assert found.info["xmp"] == PLAIN_XMP + b" "
    assert found.tobytes() == opened(coded).tobytes()
    assert run("metadata", coded, *flags)[0] == 1
    assert run("metadata", coded, "--set-exif", coded, "-o", out, "--force")[0] == 0
    assert out.read_bytes() == coded.read_bytes()


def test_what_would_change_the_picture_is_told_or_refused(
    run: Run, coded: Path, photo: Image.Image, tmp_path: Path
) -> None:
    assert "turned otherwise now" in run("metadata", coded, "--drop-exif")[2]
    assert "taken for sRGB" in run("metadata", coded, "--drop-icc")[2]
    cmyk = tmp_path / "cmyk.icc"
    cmyk.write_bytes(bytes(16) + b"CMYK" + bytes(16) + b"acsp" + bytes(100))
    photo.save(tmp_path / "bare.png")
    (tmp_path / "empty").touch()
    before = coded.read_bytes()
    for flags, message in (
        (["--set-icc", cmyk], "describes other colours than a RGB file holds"),
        (["--set-icc", tmp_path / "bare.png"], "is a picture without ICC"),
        (["--set-exif", cmyk], "is neither EXIF nor a picture that has it"),
        (["--set-xmp", tmp_path / "empty"], "is empty"),
        (["--set-xmp", tmp_path / "none"], "No such file"),
    ):
        code, _, err = run("metadata", coded, *flags)
        assert code == 1
        assert message in err
        assert len(err.splitlines()) == 1
    assert coded.read_bytes() == before
    assert run("metadata", coded, "--set-xmp", "a", "--drop-xmp")[0] == 2
    coded.write_bytes(before[:-1])
    assert run("metadata", coded, "--strip")[0] == 1
    assert coded.read_bytes() == before[:-1]


def test_the_command_is_called_as_a_function(coded: Path) -> None:
    assert command(["metadata", str(coded)]) == 0
    assert io.BytesIO(coded.read_bytes()).read(1) == b"\xd1"
