"""Bases that are whole files: JPEG and WebP, and JPEG files kept to the byte."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from jpeg_files import KINDS, SIZE, jpeg
from photograph import drawn
from PIL import Image

import diffc
from diffc.cli.main import main
from diffc.codecs.shared.base_pictures.jpeg_file import read_coefficients, read_jpeg_header
from diffc.codecs.shared.base_pictures.whole_files import JpegCoder
from diffc.container import Envelope, parse_header

MAKERS: dict[str, Any] = {
    name: lambda q, o=options: jpeg(q, **o) for name, options in KINDS.items()
}
del MAKERS["half colour"]


def _by_opencv(quality: int, *flags: int) -> bytes:
    pixels = np.asarray(drawn(SIZE, "RGB"))[:, :, ::-1]
    return bytes(cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality, *flags])[1])


def _with_exif(quality: int) -> bytes:
    exif = Image.Exif()
    exif[0x010E] = "a description " * 40
    return jpeg(quality, exif=exif.tobytes())


MAKERS |= {
    "opencv": _by_opencv,
    "opencv, progressive": lambda q: _by_opencv(q, cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
    "opencv, restarts": lambda q: _by_opencv(q, cv2.IMWRITE_JPEG_RST_INTERVAL, 2),
    "exif": _with_exif,
    "trailing data": lambda q: jpeg(q) + b"what a camera adds" * 9,
    "thumbnail": lambda q: jpeg(
        q, exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0" + jpeg(20, size=(32, 24))
    ),
    "comment": lambda q: jpeg(q, comment=b"said by somebody"),
    "much of nothing": lambda q: jpeg(q) + bytes(200_000),
}


@pytest.mark.parametrize("quality", [5, 30, 70, 90])
@pytest.mark.parametrize("kind", MAKERS)
def test_the_original_comes_back_to_the_byte(kind: str, quality: int, tmp_path: Path) -> None:
    path = tmp_path / "old.jpg"
    path.write_bytes(MAKERS[kind](quality))
    with Image.open(path) as image:
        data = diffc.encode(image, keep_original=True)
    assert diffc.extract(data) == path.read_bytes()


@pytest.mark.parametrize("kind", ["plain", "full colour", "grey", "progressive sides"])
def test_opening_shows_it_restored(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "old.jpg"
    path.write_bytes(MAKERS[kind](15))
    with Image.open(path) as image:
        data = diffc.encode(image, keep_original=True)
    with diffc.decoding(realism=0):
        made = diffc.decode(data)
    wanted = diffc.restore(path, realism=0)
    assert made.mode == wanted.mode
    # the file says the error in steps of 3 %
    difference = np.abs(np.asarray(made, float) - np.asarray(wanted, float))
    assert difference.max() <= 8
    assert difference.mean() < 0.2


def test_it_has_one_size(tmp_path: Path) -> None:
    path = tmp_path / "old.jpg"
    path.write_bytes(jpeg(30))
    with Image.open(path) as image:
        size = len(diffc.encode(image, keep_original=True))
        assert size <= len(path.read_bytes()) + 60
        assert len(diffc.encode(image, keep_original=True, target_size=size)) == size
        with pytest.raises(ValueError, match=f"{size}"):
            diffc.encode(image, keep_original=True, backend="relay", target_size=size - 1)


def test_a_picture_without_its_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="keeps the JPEG file that an image was opened from"):
        diffc.encode(drawn(SIZE, "RGB"), keep_original=True)
    path = tmp_path / "old.jpg"
    path.write_bytes(jpeg(30))
    with Image.open(path) as image:
        image.paste(0, (0, 0, 9, 9))
        with pytest.raises(ValueError, match="not as it was there"):
            diffc.encode(image, keep_original=True)
        with pytest.raises(ValueError, match="leave base and scale out"):
            diffc.encode(image, keep_original=True, base="webp")


def test_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "old.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    path.write_bytes(jpeg(30, exif=exif.tobytes()))
    assert main(["encode", str(path), "--keep-original"]) == 0
    packed = path.with_suffix(".diffc")
    with Image.open(packed) as image:
        assert image.getexif()[0x0112] == 6
    before = path.read_bytes()
    assert main(["extract", str(packed)]) == 1  # there is a file
    assert main(["extract", str(packed), "-f"]) == 0
    assert path.read_bytes() == before
    assert f"{path}: {len(before)} bytes" in capsys.readouterr().out


@pytest.mark.parametrize("base", ["jpeg", "webp", "jxl"])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_bases_of_whole_files(base: str, mode: str) -> None:
    if base == "jxl":
        pytest.importorskip("pillow_jxl")
    picture = drawn((240, 160), mode)
    data = diffc.encode(picture, backend="relay", base=base, bpp=0.4)
    assert len(data) * 8 <= 0.4 * 240 * 160
    made = diffc.decode(data)
    assert (made.size, made.mode) == (picture.size, mode)
    inside = Image.open(io.BytesIO(diffc.extract(data)))
    assert inside.format == base.upper()
    lengths = [len(diffc.encode(picture, backend="relay", base=base, quality=q)) for q in (10, 90)]
    assert lengths[0] < lengths[1]


def test_a_jpeg_base_is_consistent_with_what_is_shown() -> None:
    data = diffc.encode(drawn((240, 160), "RGB"), backend="relay", base="jpeg", scale=1, quality=40)
    file = diffc.extract(data)
    tables = Image.open(io.BytesIO(file)).quantization
    buffer = io.BytesIO()
    diffc.decode(data, realism=1).save(buffer, "JPEG", qtables=tables, subsampling=2)
    pairs = [read_coefficients(each, read_jpeg_header(each)) for each in (buffer.getvalue(), file)]
    for ours, theirs in zip(*pairs, strict=True):
        assert np.array_equal(ours.levels, theirs.levels)


def test_av1_comes_out_as_avif() -> None:
    data = diffc.encode(drawn(SIZE, "RGB"), backend="relay", quality=40)
    assert Image.open(io.BytesIO(diffc.extract(data))).format == "AVIF"


def test_a_codec_that_holds_no_file_says_so() -> None:
    data = diffc.encode(drawn(SIZE, "RGB"), backend="ddcm", target_size=300)
    with pytest.raises(OSError, match="holds no file of another format"):
        diffc.extract(data)


def _rebuilt(data: bytes, payload: bytes) -> bytes:
    header = parse_header(data)
    envelope = Envelope(
        codec=header.codec,
        bitstream_version=header.bitstream_version,
        mode=header.mode,
        size=header.size,
        fingerprint=header.fingerprint,
    )
    return envelope.build(header.parameters, payload)


@pytest.mark.parametrize(
    "damage",
    [
        lambda file: file[: len(file) // 3],
        lambda file: b"\xff\xd8" + bytes(50),
        lambda file: b"",
        lambda file: b"x" + file,
        lambda file: b"\x78\x9c" + bytes(20),
        lambda file: jpeg(30, size=(40, 40)),
        lambda file: JpegCoder().keep(file)[:-9] if len(file) > 5000 else file[:90],
    ],
)
def test_damaged_originals_are_refused(damage: Any, tmp_path: Path) -> None:
    path = tmp_path / "old.jpg"
    path.write_bytes(_with_exif(30))
    with Image.open(path) as image:
        data = diffc.encode(image, keep_original=True)
    with pytest.raises(OSError, match=r"\w"):
        diffc.decode(_rebuilt(data, damage(path.read_bytes())))


def test_what_inflates_to_too_much_is_refused() -> None:
    import zlib

    bomb = zlib.compress(b"\xff\xd8" + bytes(50_000_000), 9)
    with pytest.raises(OSError, match="does not inflate to a file"):
        JpegCoder().file_of(bomb)
