"""Damaged, foreign and hostile files through Pillow: refused, and never a picture."""

from __future__ import annotations

import io
import struct
import sys
import tracemalloc
import warnings
import zlib
from collections.abc import Callable

import codecs_for_tests  # noqa: F401 - registers codecs
import fuzz_pillow
import pytest
from PIL import Image, ImageFile, UnidentifiedImageError

import diffc
from diffc.container import MAGIC, Envelope, parse_header


def opened_and_loaded(data: bytes) -> Image.Image:
    with warnings.catch_warnings():
        # what diffc recognises as its own but cannot read is a warning, then the exception
        warnings.simplefilter("ignore", UserWarning)
        with Image.open(io.BytesIO(data)) as image:
            image.load()
            return image.copy()


@pytest.fixture
def small_files(photo: Image.Image, model: str) -> list[bytes]:
    tiny = photo.resize((6, 5))
    return [
        diffc.encode(tiny, model=model, quality=0),
        diffc.encode(tiny.convert("RGBA"), backend="planes", quality=70),
        diffc.encode(tiny.convert("L"), backend="whole", exif=b"Exif\0\0", xmp="<x/>"),
    ]


def test_every_truncation_is_refused(small_files: list[bytes]) -> None:
    for data in small_files:
        header_length = parse_header(data).header_length
        for end in range(len(data)):
            expected = UnidentifiedImageError if end < header_length else OSError
            with pytest.raises(expected) as caught:
                opened_and_loaded(data[:end])
            if end >= header_length:
                assert not isinstance(caught.value, UnidentifiedImageError)
                assert f"has {len(data)} bytes by its header, {end} are here" in str(caught.value)


def test_every_flipped_bit_is_refused(small_files: list[bytes]) -> None:
    for data in small_files:
        header_length = parse_header(data).header_length
        for position in range(8 * len(data)):
            damaged = bytearray(data)
            damaged[position // 8] ^= 1 << position % 8
            if position // 8 < header_length:
                with pytest.raises(UnidentifiedImageError):
                    opened_and_loaded(bytes(damaged))
            else:
                with pytest.raises(OSError, match="the file is damaged, copy it again"):
                    opened_and_loaded(bytes(damaged))
            with pytest.raises(OSError, match=r"."):
                diffc.decode(bytes(damaged))


def test_bytes_behind_the_end_are_refused(small_files: list[bytes]) -> None:
    for data in small_files:
        with pytest.raises(OSError, match="ends with its payload"):
            opened_and_loaded(data + b"\n")


def test_partial_pictures_of_a_progressive_codec(
    photo: Image.Image, ddcm_model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = diffc.encode(photo.resize((48, 32)), backend="ddcm", model=ddcm_model, quality=30)
    header_length = parse_header(data).header_length
    for end in range(header_length, len(data)):
        with pytest.raises(OSError, match="by its header"):
            opened_and_loaded(data[:end])
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    pictures = set()
    for end in range(header_length, len(data), 3):
        try:
            pictures.add(opened_and_loaded(data[:end]).tobytes())
        except OSError:
            continue
    assert len(pictures) > 1
    with pytest.raises(UnidentifiedImageError):
        opened_and_loaded(data[: header_length - 1])


def test_the_default_codec_gives_no_partial_pictures(
    photo: Image.Image, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = diffc.encode(photo.resize((48, 32)), model=model, quality=30)
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    for end in range(parse_header(data).header_length, len(data)):
        with pytest.raises(OSError, match=r"truncated.*decodes whole files only"):
            opened_and_loaded(data[:end])
    assert opened_and_loaded(data).size == (48, 32)


def huge(codec: str = "planes") -> bytes:
    side = 1 << 31
    return Envelope(codec=codec, bitstream_version=1, mode="RGB", size=(side, side)).build(b"", b"")


@pytest.mark.parametrize("codec", ["planes", "nobody"])
@pytest.mark.parametrize("open_", [lambda data: Image.open(io.BytesIO(data)), diffc.decode])
def test_a_huge_size_is_refused_before_anything_is_allocated(
    codec: str, open_: Callable[[bytes], Image.Image]
) -> None:
    data = huge(codec)
    with pytest.raises(Image.DecompressionBombError):
        open_(data)  # imports what it needs
    tracemalloc.start()
    try:
        with pytest.raises(Image.DecompressionBombError):
            open_(data)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_a_large_size_is_a_warning(photo: Image.Image, monkeypatch: pytest.MonkeyPatch) -> None:
    data = diffc.encode(photo, backend="planes")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 96 * 64 - 1)
    with pytest.warns(Image.DecompressionBombWarning), Image.open(io.BytesIO(data)) as image:
        image.load()
    with pytest.warns(Image.DecompressionBombWarning) as caught:
        diffc.decode(data)
    assert caught[0].filename == __file__
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 96 * 64 // 2 - 1)
    with pytest.raises(Image.DecompressionBombError):
        diffc.decode(data)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert diffc.decode(data).size == (96, 64)


def research_stream() -> bytes:
    caption = zlib.compress(b"a red door")
    return struct.pack("<IHHH", len(caption), 512, 768, 20) + caption + bytes(range(100))


def newer_file(data: bytes) -> bytes:
    return data[: len(MAGIC)] + bytes([data[len(MAGIC)] + 1]) + data[len(MAGIC) + 1 :]


def unreadable_files() -> list[tuple[bytes, str]]:
    data = diffc.encode(Image.new("L", (2, 2)), backend="planes")
    return [
        (research_stream(), "a stream of the DiffC research code"),
        (newer_file(data), r"newer container version 2.*update diffc"),
        (data.replace(b"\r\n", b"\n", 1), "line ends were changed"),
        (data[:16].decode("latin-1").encode(), "read and written as text"),
    ]


@pytest.mark.parametrize(("data", "reason"), unreadable_files())
def test_a_file_that_only_looks_like_ours_is_named(data: bytes, reason: str) -> None:
    with (
        pytest.warns(UserWarning, match=reason),
        pytest.raises(UnidentifiedImageError),
    ):
        Image.open(io.BytesIO(data))
    for read in (diffc.info, diffc.decode):
        with pytest.raises(OSError, match=reason):
            read(data)


def test_the_checksum_comes_before_the_codec() -> None:
    data = bytearray(
        Envelope(codec="nobody", bitstream_version=1, mode="L", size=(2, 2)).build(b"", b"payload")
    )
    data[-1] ^= 1
    with pytest.raises(OSError, match="the file is damaged"):
        opened_and_loaded(bytes(data))


def test_other_bytes_are_not_identified() -> None:
    for data in (b"", b"\xd1", MAGIC, bytes(100), b"\x89PNG\r\n\x1a\n", b"text\n" * 9):
        with pytest.raises(UnidentifiedImageError):
            Image.open(io.BytesIO(data))
        for read in (diffc.info, diffc.decode):
            with pytest.raises(OSError, match=r"."):
                read(data)


def test_the_fuzzer_finds_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["fuzz_pillow.py", "--executions", "4000", "--seed", "3"])
    assert fuzz_pillow.main() == 0
    out = capsys.readouterr().out
    assert out.startswith("4000 executions, ")
    assert not out.startswith("4000 executions, 0 pictures")


def test_the_fuzzer_tells_what_it_finds(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(data: bytes, way: int) -> bytes:
        raise KeyError(way)

    monkeypatch.setattr(fuzz_pillow, "execute", broken)
    monkeypatch.setattr(sys, "argv", ["fuzz_pillow.py", "--executions", "3"])
    assert fuzz_pillow.main() == 1
    assert "3 unexpected exceptions" in capsys.readouterr().out
    monkeypatch.setattr(fuzz_pillow, "execute", lambda data, way: b"a picture")
    monkeypatch.setattr(sys, "argv", ["fuzz_pillow.py", "--executions", "50"])
    assert fuzz_pillow.main() == 1
