"""The package's own functions: encode, decode, save, info, decoding."""

from __future__ import annotations

import dataclasses
import io
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from codecs_for_tests import PlanesCodec, SlowCodec
from PIL import Image

import diffc
from diffc.decode_options import decode_options


@pytest.fixture
def data(photo: Image.Image) -> bytes:
    return diffc.encode(photo, backend="planes", quality=100)


def test_every_kind_of_picture_gives_the_same_file(data: bytes, photo: Image.Image) -> None:
    array = np.array(photo)
    tensor = torch.from_numpy(array).permute(2, 0, 1) / 255
    with Image.open(io.BytesIO(data)) as opened:
        for image in (photo, array, tensor, tensor[None], opened):
            assert diffc.encode(image, backend="planes", quality=100) == data


def test_every_kind_of_source_gives_the_same_picture(
    data: bytes, photo: Image.Image, tmp_path: Path
) -> None:
    path = tmp_path / "a.diffc"
    path.write_bytes(data)
    file = io.BytesIO(data)
    for source in (data, bytearray(data), memoryview(data), path, str(path), file):
        assert diffc.decode(source).tobytes() == photo.tobytes()
    assert not file.closed
    with path.open("rb") as opened:
        assert diffc.info(opened) == diffc.info(data)


def test_every_kind_of_output_holds_the_same_picture(data: bytes, photo: Image.Image) -> None:
    picture = diffc.decode(data)
    assert (picture.mode, picture.info["diffc"]["codec"]) == ("RGB", "planes")
    array = diffc.decode(data, to="numpy")
    assert (array.dtype, array.shape) == (np.uint8, (64, 96, 3))
    array[0, 0] = 0  # writable
    tensor = diffc.decode(data, to="torch")
    assert (tensor.dtype, tensor.shape) == (torch.float32, (3, 64, 96))
    assert np.array_equal(tensor.mul(255).round().permute(1, 2, 0).numpy(), np.asarray(photo))
    grey = diffc.encode(photo.convert("LA"), backend="planes", quality=100)
    assert diffc.decode(grey, to="torch").shape == (2, 64, 96)
    assert diffc.decode(grey, to="numpy").shape == (64, 96, 2)


@pytest.mark.parametrize("to", ["PIL", "jax", None, 3])
def test_an_unknown_output_is_refused(data: bytes, to: Any) -> None:
    with pytest.raises(ValueError, match="to is 'pil', 'numpy' or 'torch'"):
        diffc.decode(data, to=to)


@pytest.mark.parametrize("source", [3, None, ["a"]])
def test_what_is_no_file_is_refused(source: Any) -> None:
    for read in (diffc.info, diffc.decode):
        with pytest.raises(ValueError, match="a file is bytes, a path or a file object, not"):
            read(source)


def test_a_missing_file_is_a_missing_file(tmp_path: Path) -> None:
    for read in (diffc.info, diffc.decode):
        with pytest.raises(FileNotFoundError):
            read(tmp_path / "none.diffc")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bpp": 1, "quality": 3}, "one of bpp, target_size and quality sets the rate, not bpp=1"),
        ({"optimize": True}, "'optimize' is not an option: the options are"),
        ({"some_keyword_of_nobody": 1}, "is not an option: the options are"),
        ({"qualty": 1}, "did you mean 'quality'"),
        ({"shade": 1.0}, "'shade' is not an option of codec 'planes'"),
        ({"atoms": 1}, "'atoms' is not an option of codec 'planes'"),
        ({"scale": 2}, "'scale' is not an option of codec 'planes'"),
        ({"model": 3}, "model is a text"),
        ({"planes": 0}, "planes is a whole number from 1 to 8, not 0"),
        ({"quality": "keep"}, "'keep' copies the file as it is: drop 'backend'"),
    ],
)
def test_bad_options_are_refused_by_all_that_encodes(
    photo: Image.Image, tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    before = PlanesCodec.encoded
    with pytest.raises(ValueError, match=message):
        diffc.encode(photo, backend="planes", **options)
    with pytest.raises(ValueError, match=message):
        diffc.save(photo, tmp_path / "a.diffc", backend="planes", **options)
    assert PlanesCodec.encoded == before
    assert list(tmp_path.iterdir()) == []


def test_a_loaded_codecs_options_are_known_to_the_others(photo: Image.Image) -> None:
    assert diffc.encode(photo, backend="whole", shade=1.0)
    with pytest.raises(ValueError, match="'planes' is not an option of codec 'whole'"):
        diffc.encode(photo, backend="whole", planes=3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scale": 0}, "scale is 1, 1.5, 2 or 3, not 0"),
        ({"scale": True}, "scale is 1, 1.5, 2 or 3, not True"),
        ({"seed": -1}, "seed is a whole number from 0 to 4294967295, not -1"),
        ({"base": 3}, "base is a text, not 3"),
        ({"steps": 30}, "'steps' is not an option of codec 'relay'"),
    ],
)
def test_the_default_codec_checks_its_options(
    photo: Image.Image, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        diffc.encode(photo, **options)


def test_the_same_call_gives_the_same_bytes(photo: Image.Image, model: str) -> None:
    calls: list[Callable[[], bytes]] = [
        lambda: diffc.encode(photo, model=model, bpp=0.5),
        lambda: diffc.encode(photo.convert("RGBA"), backend="planes", target_size=2000),
    ]
    for call in calls:
        with ThreadPoolExecutor(3) as pool:
            results = [pool.submit(call) for _ in range(3)]
        assert {result.result() for result in results} == {call()}


def test_progress_is_reported(photo: Image.Image, model: str) -> None:
    seen: list[tuple[int, int]] = []
    data = diffc.encode(photo, model=model, quality=20, progress=lambda *step: seen.append(step))
    assert seen
    assert all(0 <= step <= total for step, total in seen)
    seen.clear()
    diffc.decode(data, progress=lambda *step: seen.append(step))
    assert seen[-1][0] == seen[-1][1]


def test_info_says_what_the_file_says(photo: Image.Image, model: str) -> None:
    image = photo.convert("RGBA")
    data = diffc.encode(image, model=model, bpp=0.8, xmp="<x/>")
    found = diffc.info(data)
    assert (found.size, found.mode, found.codec) == ((96, 64), "RGBA", "relay")
    assert found.bitstream_version == 1
    assert found.model is not None
    assert len(bytes.fromhex(found.model)) == 4
    assert found.file_bytes == len(data)
    assert found.bpp == pytest.approx(8 * len(data) / (96 * 64))
    assert found.metadata_bytes.keys() == {"xmp", "alpha"}
    assert 0 < found.payload_bytes < len(data)
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.codec = "other"  # type: ignore[misc]


def test_a_small_file_stays_small(photo: Image.Image) -> None:
    for image in (photo, photo.convert("L")):
        found = diffc.info(diffc.encode(image, backend="planes"))
        assert found.file_bytes - found.payload_bytes - len("planes") <= 24


def test_save_writes_what_encode_returns(data: bytes, photo: Image.Image, tmp_path: Path) -> None:
    for path in (tmp_path / "a.diffc", str(tmp_path / "b.other"), tmp_path / ("ü" * 120)):
        diffc.save(photo, path, backend="planes", quality=100)
        assert Path(path).read_bytes() == data
        diffc.save(np.array(photo), path, backend="planes", quality=100)
        assert Path(path).read_bytes() == data
    assert len(list(tmp_path.iterdir())) == 3


def test_a_failed_save_leaves_the_old_file_alone(
    photo: Image.Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.diffc"
    path.write_bytes(b"old")
    with pytest.raises(ValueError, match="of this image"):
        diffc.save(photo, path, backend="planes", target_size=3)

    def full(*arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    for name in ("fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(os, name, full)
            with pytest.raises(OSError, match="No space left"):
                diffc.save(photo, path, backend="planes")
        assert path.read_bytes() == b"old"
        assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(FileNotFoundError):
        diffc.save(photo, tmp_path / "none" / "a.diffc", backend="planes")


def test_save_follows_links_and_writes_to_pipes(
    data: bytes, photo: Image.Image, tmp_path: Path
) -> None:
    link, target, pipe = tmp_path / "link", tmp_path / "target", tmp_path / "pipe"
    target.write_bytes(b"old")
    link.symlink_to(target)
    diffc.save(photo, link, backend="planes", quality=100)
    assert link.is_symlink()
    assert target.read_bytes() == data

    os.mkfifo(pipe)
    received: list[bytes] = []
    reader = threading.Thread(target=lambda: received.append(pipe.read_bytes()), daemon=True)
    reader.start()
    diffc.save(photo, pipe, backend="planes", quality=100)
    reader.join(30)
    assert received == [data]
    assert pipe.is_fifo()


def test_keep_needs_no_codec_and_decodes_nothing(photo: Image.Image, tmp_path: Path) -> None:
    data = diffc.encode(photo, backend="slow")
    before = SlowCodec.decoded
    with Image.open(io.BytesIO(data)) as image:
        assert diffc.encode(image, quality="keep") == data
        diffc.save(image, tmp_path / "a.diffc", quality="keep")
    assert (tmp_path / "a.diffc").read_bytes() == data
    assert SlowCodec.decoded == before
    for other in (photo, np.array(photo), None):
        with pytest.raises(ValueError, match="needs an unchanged image"):
            diffc.encode(other, quality="keep")
    with Image.open(io.BytesIO(data)) as image, pytest.raises(ValueError, match="drop 'optimize'"):
        diffc.encode(image, quality="keep", optimize=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": -1}, "steps is 0 to 1000, not -1"),
        ({"steps": 1001}, "steps is 0 to 1000, not 1001"),
        ({"steps": 1.5}, "steps is a whole number, not 1.5"),
        ({"steps": True}, "steps is a whole number, not True"),
        ({"device": 0}, "device is a name"),
        ({"progress": 1}, "progress is a function"),
    ],
)
def test_bad_decode_options_are_refused(data: bytes, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message), diffc.decoding(**options):
        pass
    with pytest.raises(ValueError, match=message):
        diffc.decode(data, **options)


def test_decoding_nests_and_ends_with_its_block(
    data: bytes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    plain = decode_options()
    with diffc.decoding(steps=4, model=tmp_path):
        with diffc.decoding(device="cpu") as options:
            assert options == decode_options()
            assert (options.steps, options.device, options.model) == (4, "cpu", str(tmp_path))
            diffc.decode(data, steps=7)
            assert PlanesCodec.options is not None
            assert (PlanesCodec.options.steps, PlanesCodec.options.device) == (7, "cpu")
        assert decode_options().device is None
    assert decode_options() == plain
    with pytest.raises(RuntimeError), diffc.decoding(steps=4):
        raise RuntimeError
    assert decode_options() == plain
    assert not plain.allow_download
    monkeypatch.setenv("DIFFC_ALLOW_DOWNLOAD", "1")
    assert decode_options().allow_download


def test_a_wrong_device_is_the_callers_error(data: bytes) -> None:
    with pytest.raises(ValueError, match="device is one that is here"):
        diffc.decode(data, device="nowhere")


def test_a_missing_model_is_named(photo: Image.Image, model: str, tmp_path: Path) -> None:
    data = diffc.encode(photo, model=model, quality=0)
    found = diffc.info(data).model
    assert found is not None
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("DIFFC_MODELS")
        with pytest.raises(OSError, match=f"fingerprint {found}"):
            diffc.decode(data)
        with (
            Image.open(io.BytesIO(data)) as image,
            pytest.raises(OSError, match=f"fingerprint {found}"),
        ):
            image.load()
        expected = diffc.decode(data, model=model).tobytes()
        with diffc.decoding(model=model), Image.open(io.BytesIO(data)) as image:
            assert image.tobytes() == expected
