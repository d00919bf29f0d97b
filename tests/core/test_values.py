"""What host libraries hand over: numbers, files, pictures and targets; and what means something else."""

from __future__ import annotations

import array
import ctypes
import io
import mmap
import os
import stat
import sys
import zipfile
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from codecs_for_tests import PlanesCodec
from PIL import Image

import diffc


@pytest.fixture
def data(photo: Image.Image) -> bytes:
    return diffc.encode(photo, backend="planes", quality=100)


@pytest.mark.parametrize(
    ("one", "same"),
    [
        ({"quality": np.float32(30)}, {"quality": 30}),
        ({"quality": np.int64(30)}, {"quality": 30}),
        ({"quality": np.array(30)}, {"quality": 30}),
        ({"quality": torch.tensor(30)}, {"quality": 30}),
        ({"quality": torch.tensor(30.0)}, {"quality": 30}),
        ({"quality": Decimal("30.5")}, {"quality": 30.5}),
        ({"bpp": Fraction(5, 2)}, {"bpp": 2.5}),
        ({"bpp": np.float64(2.5)}, {"bpp": 2.5}),
        ({"target_size": np.uint16(2000)}, {"target_size": 2000}),
        ({"target_size": 2000.0}, {"target_size": 2000}),
        ({"planes": np.uint8(3)}, {"planes": 3}),
        ({"planes": torch.tensor(3)}, {"planes": 3}),
        ({"backend": np.str_("planes")}, {}),
        ({"device": torch.device("cpu")}, {"device": "cpu"}),
        ({"alpha": np.True_}, {"alpha": "keep"}),
        ({"xmp": np.frombuffer(b"<x/>", np.uint8)}, {"xmp": "<x/>"}),
        ({"xmp": array.array("B", b"<x/>")}, {"xmp": b"<x/>"}),
    ],
)
def test_values_of_host_libraries_are_what_they_mean(
    photo: Image.Image, one: dict[str, Any], same: dict[str, Any]
) -> None:
    expected = diffc.encode(photo, **{"backend": "planes", **same})
    assert diffc.encode(photo, **{"backend": "planes", **one}) == expected
    out = io.BytesIO()
    photo.save(out, "DIFFC", **{"backend": "planes", **one})
    assert out.getvalue() == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"quality": np.True_}, "quality is a number from 0 to 100, not True"),
        ({"quality": np.array([30])}, "quality is a number from 0 to 100"),
        ({"quality": torch.tensor([30])}, "quality is a number from 0 to 100"),
        ({"quality": "30"}, "quality is a number from 0 to 100, not '30'"),
        ({"quality": 3 + 0j}, "quality is a number from 0 to 100"),
        ({"quality": np.float32("nan")}, "quality is a number from 0 to 100, not nan"),
        ({"bpp": Decimal("Infinity")}, "bpp is bits per pixel"),
        ({"target_size": np.float32(10.5)}, "target_size is a whole number of bytes"),
        ({"alpha": 1.5}, "alpha is 'keep' or 'drop', not 1.5"),
        ({"alpha": "yes"}, "alpha is 'keep' or 'drop', not 'yes'"),
        ({"lossless": True}, "'planes' is lossless with quality=100"),
        (
            {"lossless": np.True_, "backend": "relay"},
            "lossless=True asks for what codec 'relay' does",
        ),
        ({"codec": "ddcm"}, "pass backend='ddcm'"),
        ({"codec": "planes"}, "pass backend='planes'"),
        ({"append_images": (Image.new("L", (1, 1)),)}, "holds one picture, not 2"),
    ],
)
def test_values_that_mean_something_else_are_refused(
    photo: Image.Image, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        diffc.encode(photo, **{"backend": "planes", **options})
    with pytest.raises(ValueError, match=message):
        photo.save(io.BytesIO(), "DIFFC", **{"backend": "planes", **options})


def test_keywords_for_other_formats_do_not_ask_for_anything_here(photo: Image.Image) -> None:
    generic = {"codec": "aom", "lossless": False, "speed": 6, "append_images": [], "method": 4}
    for backend in ("planes", "relay"):
        plain, out = io.BytesIO(), io.BytesIO()
        photo.save(plain, "DIFFC", backend=backend, quality=3)
        photo.save(out, "DIFFC", backend=backend, quality=3, **(generic | {"speed": None}))
        assert out.getvalue() == plain.getvalue()
    photo.save(io.BytesIO(), "DIFFC", backend="planes", **generic)


def test_options_of_decoding_are_taken_alike(data: bytes) -> None:
    with diffc.decoding(steps=np.int32(3), realism=torch.tensor(0.5), device=torch.device("cpu")):
        diffc.decode(data)
    found = PlanesCodec.options
    assert found is not None
    assert (found.steps, found.realism, found.device) == (3, 0.5, "cpu")
    with pytest.raises(ValueError, match="steps is a whole number, not True"):
        diffc.decode(data, steps=np.True_)


def test_a_file_is_bytes_in_any_form(data: bytes, photo: Image.Image, tmp_path: Path) -> None:
    path = tmp_path / "a.diffc"
    path.write_bytes(data)
    numbers = np.frombuffer(data, np.uint8)
    with os.scandir(tmp_path) as found:
        entries = list(found)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        sources = [
            bytearray(data),
            memoryview(data),
            array.array("B", data),
            mapped,
            (ctypes.c_ubyte * len(data)).from_buffer_copy(data),
            numbers,
            numbers.view(np.int8),
            np.repeat(numbers, 2)[::2],
            numbers[:, None],
            torch.frombuffer(bytearray(data), dtype=torch.uint8),
            *entries,
        ]
        for source in sources:
            assert diffc.info(source) == diffc.info(data)
            assert diffc.decode(source).tobytes() == photo.tobytes()


def test_a_stream_is_read_from_where_its_file_begins(data: bytes, tmp_path: Path) -> None:
    expected = diffc.info(data)
    at_end = io.BytesIO()
    at_end.write(data)
    sniffed = io.BytesIO(data)
    sniffed.read(20)
    inside = io.BytesIO(b"12345" + data)
    inside.seek(5)
    for stream in (at_end, sniffed, inside):
        assert diffc.info(stream) == expected
    assert diffc.decode(at_end).size == expected.size
    # one after the other, without a thought of where the first has stopped
    assert diffc.info(at_end) == expected
    assert diffc.decode(at_end).size == expected.size
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.diffc", data)
    with zipfile.ZipFile(tmp_path / "a.zip") as archive, archive.open("a.diffc") as member:
        assert diffc.decode(member).size == expected.size
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert diffc.info(zipfile.Path(archive, "a.diffc")) == expected

    class Pipe:
        def __init__(self) -> None:
            self.read = io.BytesIO(data).read

    assert diffc.decode(Pipe()).size == expected.size  # type: ignore[call-overload]


class Upload:
    """A file of a web framework, whose methods are awaited."""

    async def read(self, size: int = -1) -> bytes:
        return b""


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (np.zeros((4, 4, 3), np.uint8), "bytes in one row"),
        (np.zeros(40, np.float32), "bytes in one row"),
        (np.zeros(40, bool), "bytes in one row"),
        (torch.zeros(40), "not a tensor of torch.float32"),
        (array.array("H", [1, 2]), "bytes in one row"),
        (io.StringIO("a"), "open as text"),
        (Upload(), "read here, not awaited"),
        (3.5, "bytes, a path or a file object, not float"),
    ],
)
def test_what_is_no_file_is_said_so(source: Any, message: str) -> None:
    for call in (diffc.info, diffc.decode):
        with pytest.raises(ValueError, match=message):
            call(source)


def test_pictures_of_host_libraries(photo: Image.Image) -> None:
    pixels = np.asarray(photo)
    tensor = torch.from_numpy(pixels.copy()).permute(2, 0, 1)
    expected = diffc.encode(photo, backend="planes")

    class Lazy:
        def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray[Any, Any]:
            return pixels

    for picture in (tensor, tensor[None], pixels[None], Lazy(), memoryview(pixels.copy())):
        assert diffc.encode(picture, backend="planes") == expected
    mask = np.asarray(photo.convert("L")) > 90
    expected = diffc.encode(Image.fromarray(mask), backend="planes")
    for picture in (mask, torch.from_numpy(mask)[None]):
        assert diffc.encode(picture, backend="planes") == expected
    assert diffc.encode_batch(torch.stack([tensor, tensor]), backend="planes", quality=9) == 2 * [
        diffc.encode(photo, backend="planes", quality=9)
    ]


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_what_decode_returns_is_encoded_again(photo: Image.Image, mode: str) -> None:
    image = photo.convert(mode)
    if mode.endswith("A"):
        image.putalpha(photo.getchannel("R"))
    data = diffc.encode(image, backend="planes", quality=100)
    for to in ("pil", "numpy", "torch"):
        again: Any = diffc.decode(data, to=to)  # type: ignore[call-overload]
        assert diffc.encode(again, backend="planes", quality=100) == data


def test_save_takes_the_targets_of_pillow(
    data: bytes, photo: Image.Image, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    options: dict[str, Any] = {"backend": "planes", "quality": 100}
    buffer = io.BytesIO()
    diffc.save(photo, buffer, format="diffc", **options)
    assert buffer.getvalue() == data
    diffc.save(photo, os.fsencode(tmp_path / "a.diffc"), **options)
    assert (tmp_path / "a.diffc").read_bytes() == data
    for buffering in (0, -1):
        with (tmp_path / "b.diffc").open("wb", buffering=buffering) as file:
            diffc.save(photo, file, **options)
        assert (tmp_path / "b.diffc").read_bytes() == data


def test_a_stream_without_a_buffer_may_take_parts(data: bytes, photo: Image.Image) -> None:
    class Slow(io.RawIOBase):
        taken = b""

        def writable(self) -> bool:
            return True

        def write(self, piece: Any) -> int:
            self.taken += bytes(piece[:100])
            return min(100, len(piece))

    slow = Slow()
    diffc.save(photo, slow, backend="planes", quality=100)
    assert slow.taken == data


def test_targets_are_looked_at_before_the_work(photo: Image.Image, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"old")
    closed = io.BytesIO()
    closed.close()
    before = PlanesCodec.encoded
    wrong: list[tuple[Any, type[Exception], str]] = [
        (tmp_path / "none" / "a.diffc", FileNotFoundError, "none/a.diffc"),
        (tmp_path, IsADirectoryError, tmp_path.name),
        (tmp_path / "file" / "a.diffc", NotADirectoryError, "file/a.diffc"),
        ("", FileNotFoundError, "No such file"),
        (3, ValueError, "a target is a path or a file object, not int"),
        (None, ValueError, "a target is a path or a file object, not NoneType"),
        (io.StringIO(), ValueError, "open as text"),
        (closed, ValueError, "the file is closed"),
        ((tmp_path / "file").open("rb"), ValueError, "open for reading"),
    ]
    for target, error, message in wrong:
        with pytest.raises(error, match=message):
            diffc.save(photo, target, backend="planes")
    wrong[-1][0].close()
    with pytest.raises(ValueError, match="format is 'DIFFC' here, not 'PNG'"):
        diffc.save(photo, tmp_path / "a.png", format="PNG")
    assert PlanesCodec.encoded == before
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


@pytest.mark.skipif(sys.platform == "win32", reason="permissions are others there")
def test_a_replaced_file_keeps_its_permissions(photo: Image.Image, tmp_path: Path) -> None:
    path, link, fresh = tmp_path / "a.diffc", tmp_path / "link", tmp_path / "fresh.diffc"
    path.write_bytes(b"old")
    link.symlink_to(path)
    for mode in (0o600, 0o664, 0o640):
        path.chmod(mode)
        diffc.save(photo, link, backend="planes")
        assert stat.S_IMODE(path.stat().st_mode) == mode
        assert link.is_symlink()
    usual = os.umask(0o027)
    try:
        diffc.save(photo, fresh, backend="planes")
    finally:
        os.umask(usual)
    assert stat.S_IMODE(fresh.stat().st_mode) == 0o640


@pytest.mark.parametrize("value", [255, 0, 7])
@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_a_constant_alpha_costs_next_to_nothing(photo: Image.Image, mode: str, value: int) -> None:
    image = photo.resize((640, 480)).convert(mode)
    image.putalpha(value)
    plain = diffc.encode(image, alpha=False, backend="planes", quality=1)
    data = diffc.encode(image, backend="planes", quality=1)
    assert len(data) - len(plain) <= 6
    assert diffc.info(plain).mode == mode[:-1]
    again = diffc.decode(data)
    assert again.mode == mode
    assert again.getchannel("A").getextrema() == (value, value)
    assert diffc.encode(image, alpha=True, backend="planes", quality=1) == data
