"""The adapters to numcodecs and zarr."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from codecs_for_tests import PlanesCodec
from PIL import Image

import diffc
from diffc.container import Envelope

pytest.importorskip("zarr")
import numcodecs
import zarr

from diffc.adapters.chunks import picture_shape
from diffc.adapters.numcodecs import Diffc
from diffc.adapters.zarr import DiffcCodec

assert PlanesCodec.name == "planes"
LOSSLESS = {"backend": "planes", "quality": 100}


@pytest.fixture
def pixels(photo: Image.Image) -> np.ndarray[Any, Any]:
    return np.array(photo)


def create(store: Any, data: np.ndarray[Any, Any], chunks: tuple[int, ...], **options: Any) -> Any:
    """Write an array of zarr's format 3."""
    codec = DiffcCodec(**options)
    return zarr.create_array(
        store, data=data, chunks=chunks, serializer=codec, compressors=None, overwrite=True
    )


def test_both_are_found_by_their_name() -> None:
    assert numcodecs.get_codec({"id": "diffc", "bpp": 1}) == Diffc(bpp=1)
    assert zarr.registry.get_codec_class("diffc") is DiffcCodec
    assert DiffcCodec.from_dict(DiffcCodec(bpp=1, speed=9).to_dict()) == DiffcCodec(speed=9, bpp=1)
    assert hash(DiffcCodec(bpp=1)) == hash(DiffcCodec(bpp=1))
    assert pickle.loads(pickle.dumps(DiffcCodec(bpp=1))) == DiffcCodec(bpp=1)


@pytest.mark.parametrize("channels", [None, 1, 2, 3, 4])
def test_numcodecs_has_its_round_trip(photo: Image.Image, channels: int | None) -> None:
    mode = {None: "L", 1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[channels]
    array = np.array(photo.convert(mode))
    if channels == 1:
        array = array[..., None]
    codec = Diffc(**LOSSLESS)
    data = codec.encode(array)
    assert diffc.info(data).mode == mode
    assert np.array_equal(codec.decode(data).reshape(array.shape), array)
    out = np.empty_like(array)
    codec.decode(data, out)
    assert np.array_equal(out, array)
    config = json.loads(json.dumps(codec.get_config()))
    assert config == {"id": "diffc", **LOSSLESS}
    assert numcodecs.get_codec(config) == codec


@pytest.mark.parametrize("chunks", [(64, 96, 3), (32, 32, 3), (33, 50, 3)])
def test_an_array_is_chunks_of_pictures(
    tmp_path: Path, pixels: np.ndarray[Any, Any], chunks: tuple[int, ...]
) -> None:
    create(tmp_path / "a.zarr", pixels, chunks, **LOSSLESS)
    found = zarr.open_array(tmp_path / "a.zarr", mode="r")
    assert np.array_equal(found[:], pixels)
    assert np.array_equal(found[10:40, 5:50], pixels[10:40, 5:50])
    first = (tmp_path / "a.zarr" / "c" / "0" / "0" / "0").read_bytes()
    assert diffc.info(first).size == (chunks[1], chunks[0])
    metadata = json.loads((tmp_path / "a.zarr" / "zarr.json").read_text())
    assert metadata["codecs"] == [{"name": "diffc", "configuration": LOSSLESS}]


def test_a_stack_of_pictures_is_read_one_by_one(pixels: np.ndarray[Any, Any]) -> None:
    stack = np.stack([pixels, pixels[::-1], np.zeros_like(pixels)])
    store = zarr.storage.MemoryStore()
    made = create(store, stack, (1, 64, 96, 3), **LOSSLESS)
    assert np.array_equal(made[:], stack)
    assert np.array_equal(made[1, ..., 0], stack[1, ..., 0])
    assert made.nchunks_initialized == 2  # zeros are no chunk
    made[2] = pixels
    assert np.array_equal(made[2], pixels)
    grey = create(store, stack[..., 0], (1, 64, 96), **LOSSLESS)
    assert np.array_equal(grey[:], stack[..., 0])


def test_shards_and_compressors_go_with_it(pixels: np.ndarray[Any, Any]) -> None:
    stack = np.stack([pixels, pixels[::-1]])
    made = zarr.create_array(
        zarr.storage.MemoryStore(),
        data=stack,
        chunks=(1, 64, 96, 3),
        shards=(2, 64, 96, 3),
        serializer=DiffcCodec(**LOSSLESS),
    )
    assert np.array_equal(made[:], stack)


def test_format_2_uses_the_codec_of_numcodecs(tmp_path: Path, pixels: np.ndarray[Any, Any]) -> None:
    zarr.create_array(
        tmp_path / "a.zarr",
        data=pixels,
        chunks=(32, 96, 3),
        compressors=Diffc(**LOSSLESS),
        filters=None,
        zarr_format=2,
    )
    assert np.array_equal(zarr.open_array(tmp_path / "a.zarr", mode="r")[:], pixels)
    metadata = json.loads((tmp_path / "a.zarr" / ".zarray").read_text())
    assert metadata["compressor"] == {"id": "diffc", **LOSSLESS}


def test_it_is_lossy_and_small(pixels: np.ndarray[Any, Any]) -> None:
    made = create(zarr.storage.MemoryStore(), pixels, (64, 96, 3), backend="planes", bpp=6)
    wanted = diffc.decode(diffc.encode(pixels, backend="planes", bpp=6), to="numpy")
    assert np.array_equal(made[:], wanted)
    assert not np.array_equal(wanted, pixels)
    assert made.nbytes_stored() < pixels.nbytes / 3


def test_options_of_decoding_hold_where_the_array_was_opened(
    tmp_path: Path, pixels: np.ndarray[Any, Any]
) -> None:
    create(tmp_path / "a.zarr", pixels, (64, 96, 3), **LOSSLESS)
    with diffc.decoding(steps=9):
        found = zarr.open_array(tmp_path / "a.zarr", mode="r")
    assert found.shape == found[:].shape
    assert PlanesCodec.options is not None
    assert PlanesCodec.options.steps == 9


@pytest.mark.parametrize("kind", [Diffc, DiffcCodec])
@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"model": "/tmp/x"}, "model has no place"),
        ({"allow_download": True}, "allow_download has no place"),
        ({"device": "cuda"}, "device has no place"),
        ({"bpp": -1}, "above 0"),
        ({"bpp": 1, "quality": 1}, "sets the rate"),
        ({"backend": "nobody"}, "nobody"),
        ({"qualty": 1}, "did you mean 'quality'"),
    ],
)
def test_options_are_checked(kind: Any, options: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        kind(**options)


def test_metadata_of_others_can_be_read_and_steer_nothing(
    tmp_path: Path, pixels: np.ndarray[Any, Any]
) -> None:
    create(tmp_path / "a.zarr", pixels, (64, 96, 3), **LOSSLESS)
    path = tmp_path / "a.zarr" / "zarr.json"
    for options, text in (({"new": 1}, "'new' is not"), ({"model": "/etc"}, "model has no place")):
        metadata = json.loads(path.read_text())
        metadata["codecs"][0]["configuration"] = options
        path.write_text(json.dumps(metadata))
        found = zarr.open_array(tmp_path / "a.zarr")
        assert np.array_equal(found[:], pixels)
        with pytest.raises(ValueError, match=text):
            found[:] = 7


def test_arrays_that_are_no_pictures_are_refused(pixels: np.ndarray[Any, Any]) -> None:
    store = zarr.storage.MemoryStore()
    for data, chunks, text in (
        (pixels.astype("float32"), (64, 96, 3), "uint8, not of float32"),
        (np.stack([pixels, pixels]), (2, 64, 96, 3), "a chunk is one picture"),
        (pixels.reshape(64, 32, 9), (64, 32, 9), "a chunk is one picture"),
        (pixels[0, :, 0], (96,), "a chunk is one picture"),
    ):
        with pytest.raises(ValueError, match=text):
            create(store, data, chunks, **LOSSLESS)
    with pytest.raises(ValueError, match="order='C'"):
        Diffc(**LOSSLESS).encode(np.asfortranarray(pixels))
    assert picture_shape((1, 1, 5, 7)) == (5, 7)
    assert picture_shape((1, 5, 3)) == (1, 5, 3)
    assert picture_shape((1, 5, 7)) == (5, 7)


def test_a_chunk_of_another_picture_is_an_error(
    tmp_path: Path, photo: Image.Image, pixels: np.ndarray[Any, Any]
) -> None:
    create(tmp_path / "a.zarr", pixels, (64, 96, 3), **LOSSLESS)
    chunk = tmp_path / "a.zarr" / "c" / "0" / "0" / "0"
    damaged = chunk.read_bytes()[:-5]
    huge = Envelope(codec="planes", bitstream_version=1, mode="RGB", size=(9000, 9000))
    for data, text in (
        (diffc.encode(photo.resize((64, 96)), **LOSSLESS), "its file's size"),
        (diffc.encode(photo.convert("L"), **LOSSLESS), "its file's mode"),
        (huge.build(b"", b"x"), "its file's size"),
        (damaged, "ends|truncated"),
        (b"nothing", "DIFFC"),
    ):
        chunk.write_bytes(data)
        with pytest.raises(OSError, match=text):
            zarr.open_array(tmp_path / "a.zarr", mode="r")[:]
