"""Opening through Pillow: what is recognised, what is read, and from what."""

from __future__ import annotations

import io
import pickle
import random
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import codecs_for_tests  # noqa: F401 - registers codecs
import pytest
from PIL import Image, ImageFile, UnidentifiedImageError

import diffc
from diffc.adapters.pillow import DiffcImageFile
from diffc.container import MAGIC, Envelope, parse_header


@pytest.fixture
def data(photo: Image.Image) -> bytes:
    return diffc.encode(photo, backend="planes", quality=100)


class CountingFile(io.BytesIO):
    """A file that knows how far it has been read."""

    furthest = 0

    def read(self, size: int | None = -1, /) -> bytes:
        piece = super().read(size)
        self.furthest = max(self.furthest, self.tell())
        return piece


class Stream:
    """A source that can only be read once, forwards."""

    def __init__(self, data: bytes) -> None:
        self._file = io.BytesIO(data)

    def read(self, size: int = -1) -> bytes:
        return self._file.read(size)


def test_registration_is_complete_and_idempotent() -> None:
    for _ in range(3):
        diffc.register()
        diffc.register(7)  # as a data loader's worker number
    assert Image.ID.count("DIFFC") == 1
    assert "DIFFC" in Image.OPEN
    assert "DIFFC" in Image.SAVE
    assert "DIFFC" in Image.SAVE_ALL
    assert Image.MIME["DIFFC"] == "image/x-diffc"
    assert Image.registered_extensions()[".diffc"] == "DIFFC"
    assert "diffc" in Image.DECODERS


def test_accept_is_true_for_the_magic_only() -> None:
    accept = Image.OPEN["DIFFC"][1]
    assert accept is not None
    assert accept(MAGIC + b"\x01" + bytes(11)) is True
    rng = random.Random(1)
    for _ in range(100_000):
        assert not accept(rng.randbytes(16))
    for length in range(16):
        assert not accept(bytes(length))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # a format that Pillow will drop
def test_other_formats_still_open_as_themselves(photo: Image.Image) -> None:
    accept = Image.OPEN["DIFFC"][1]
    assert accept is not None
    Image.init()
    tried = []
    for name in sorted(set(Image.SAVE) & set(Image.OPEN) - {"DIFFC"}):
        for mode in ("RGB", "L", "1"):
            buffer = io.BytesIO()
            try:
                photo.convert(mode).save(buffer, format=name)
            except (OSError, ValueError, KeyError, AttributeError, RuntimeError):
                continue  # a format that has not this mode, or needs a handler
            assert not accept(buffer.getvalue()[:16])
            buffer.seek(0)
            with Image.open(buffer) as image:
                assert image.format != "DIFFC"
            tried.append(name)
            break
    assert {"PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"} <= set(tried)


def test_opening_reads_the_header_alone(data: bytes) -> None:
    file = CountingFile(data)
    with Image.open(file) as image:
        assert file.furthest <= max(parse_header(data).header_length, 16)
        assert (image.format, image.size, image.mode) == ("DIFFC", (96, 64), "RGB")
        assert image.get_format_mimetype() == "image/x-diffc"
        assert image.info == {"diffc": {"codec": "planes", "generative": False}}
        assert file.furthest < len(data)
        image.load()
    assert file.furthest == len(data)


def test_a_file_of_an_unknown_codec_opens_and_names_it_when_loaded() -> None:
    envelope = Envelope(
        codec="nobody.knows",
        bitstream_version=3,
        mode="L",
        size=(40, 30),
        metadata={"xmp": b"<x/>", "caption": "eine rote Tür".encode()},
    )
    data = envelope.build(b"p", b"payload")
    with Image.open(io.BytesIO(data)) as image:
        assert (image.format, image.size, image.mode) == ("DIFFC", (40, 30), "L")
        assert image.info["xmp"] == b"<x/>"
        assert image.info["caption"] == "eine rote Tür"
        with pytest.raises(
            OSError, match=r"'nobody\.knows' is not installed: update diffc, or install"
        ):
            image.load()
        with pytest.raises(OSError, match=r"nobody\.knows"):
            image.load()  # and not a black picture the second time
    with Image.open(io.BytesIO(data)) as image:
        image.verify()
    assert diffc.info(data).codec == "nobody.knows"
    with pytest.raises(OSError, match=r"'nobody\.knows' is not installed"):
        diffc.decode(data)


def test_a_newer_bitstream_is_refused_by_name() -> None:
    data = Envelope(codec="planes", bitstream_version=2, mode="L", size=(2, 2)).build(b"", b"1")
    with Image.open(io.BytesIO(data)) as image, pytest.raises(OSError, match="version 2 of codec"):
        image.load()


@pytest.mark.parametrize("payload", [b"break", b"shape"])
def test_a_broken_codec_is_an_os_error(payload: bytes) -> None:
    data = Envelope(codec="whole", bitstream_version=1, mode="L", size=(2, 2)).build(b"", payload)
    with Image.open(io.BytesIO(data)) as image, pytest.raises(OSError, match="codec 'whole'"):
        image.load()


def test_an_option_that_cannot_hold_is_the_callers_error(data: bytes) -> None:
    with (
        Image.open(io.BytesIO(data)) as image,
        diffc.decoding(device="nowhere"),
        pytest.raises(ValueError, match="device is one that is here"),
    ):
        image.load()


def sources(data: bytes, folder: Path) -> dict[str, Any]:
    path = folder / "a.diffc"
    path.write_bytes(data)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as writer:
        writer.writestr("a.diffc", data)
    fsspec = pytest.importorskip("fsspec")
    remote = fsspec.filesystem("memory")
    remote.pipe_file("/a.diffc", data)
    return {
        "text": str(path),
        "path": path,
        "bytes": io.BytesIO(data),
        "file": path.open("rb"),
        "buffered": io.BufferedReader(io.BytesIO(data)),
        "stream": Stream(data),
        "zip": zipfile.ZipFile(archive).open("a.diffc"),
        "fsspec": remote.open("/a.diffc", "rb"),
    }


def test_opens_from_every_kind_of_source(data: bytes, photo: Image.Image, tmp_path: Path) -> None:
    for name, source in sources(data, tmp_path).items():
        with Image.open(source) as image:
            assert image.format == "DIFFC", name
            assert image.tobytes() == photo.tobytes(), name
        if name in ("bytes", "file", "buffered", "zip", "fsspec"):
            assert not source.closed, name
            source.close()


def test_an_own_file_is_closed_after_loading(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.diffc"
    path.write_bytes(data)
    image = Image.open(path)
    assert isinstance(image, DiffcImageFile)
    file = image.fp
    assert file is not None
    assert not file.closed
    image.load()
    assert file.closed
    assert image.fp is None
    image.close()
    image.close()


def test_an_image_closed_before_loading_says_so(data: bytes) -> None:
    with Image.open(io.BytesIO(data)) as image:
        pass
    with pytest.raises(ValueError, match="closed before its pixels were loaded"):
        image.load()
    image = Image.open(io.BytesIO(data))
    image.close()
    with pytest.raises(ValueError, match="closed"):
        image.load()


def test_a_file_that_changed_after_opening_is_refused(data: bytes, photo: Image.Image) -> None:
    file = io.BytesIO(data)
    with Image.open(file) as image:
        file.seek(0)
        file.truncate()
        file.write(diffc.encode(photo.resize((10, 10)), backend="planes"))
        with pytest.raises(OSError, match="not the one that was opened"):
            image.load()


@pytest.mark.parametrize("step", [1, 7, 16, 1000])
def test_the_incremental_parser_takes_any_pieces(
    data: bytes, photo: Image.Image, step: int
) -> None:
    data = data if step > 1 else diffc.encode(photo.resize((9, 7)), backend="planes", quality=100)
    parser = ImageFile.Parser()
    for start in range(0, len(data), step):
        parser.feed(data[start : start + step])
    image = parser.close()
    assert image.format == "DIFFC"
    assert image.tobytes() == diffc.decode(data).tobytes()


def test_the_incremental_parser_takes_random_pieces(data: bytes, photo: Image.Image) -> None:
    rng = random.Random(5)
    parser, position = ImageFile.Parser(), 0
    while position < len(data):
        step = rng.randrange(1, 900)
        parser.feed(data[position : position + step])
        position += step
    assert parser.close().tobytes() == photo.tobytes()


def test_the_incremental_parser_refuses_a_part(data: bytes) -> None:
    parser = ImageFile.Parser()
    parser.feed(data[:-1])
    with pytest.raises(OSError, match=r"by its header"):
        parser.close()


def test_modes_open_in_a_process_that_imported_no_other_plugin(
    photo: Image.Image, tmp_path: Path, model: str
) -> None:
    expected = []
    for mode in ("LA", "L", "RGB", "RGBA"):
        path = tmp_path / f"{mode}.diffc"
        diffc.save(photo.resize((16, 16)).convert(mode), path, model=model, quality=20)
        expected.append((mode, (16, 16), diffc.decode(path).tobytes()))
    script = (
        "import sys, pickle, diffc; from PIL import Image; images = map(Image.open, sys.argv[1:]);"
        "found = [(im.mode, im.size, im.tobytes()) for im in images];"
        "sys.stdout.buffer.write(pickle.dumps(found))"
    )
    paths = [str(tmp_path / f"{mode}.diffc") for mode, _, _ in expected]
    made = subprocess.run(
        [sys.executable, "-W", "error", "-c", script, *paths], check=True, capture_output=True
    )
    assert pickle.loads(made.stdout) == expected


def test_the_allow_list_of_formats_works(data: bytes) -> None:
    with Image.open(io.BytesIO(data), formats=["DIFFC"]) as image:
        assert image.format == "DIFFC"
    with pytest.raises(UnidentifiedImageError):
        Image.open(io.BytesIO(data), formats=["PNG"])


def test_direct_construction_raises_only_syntax_errors() -> None:
    rng = random.Random(2)
    for _ in range(3000):
        data = MAGIC + b"\x01" + rng.randbytes(rng.randrange(60))
        with pytest.raises(SyntaxError):
            DiffcImageFile(io.BytesIO(data))
