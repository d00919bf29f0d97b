"""The adapter to webdataset."""

from __future__ import annotations

import gc
import pickle
import tarfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from codecs_for_tests import PlanesCodec
from PIL import Image

import diffc

pytest.importorskip("webdataset")
from webdataset import Decoder, DecodingError, ShardWriter, TarWriter, WebDataset

from diffc.adapters.webdatasets import decoder, encoder

assert PlanesCodec.name == "planes"


@pytest.fixture
def shard(tmp_path: Path, photo: Image.Image) -> Path:
    pictures: list[Any] = [photo, np.array(photo.rotate(180))]
    pictures.append(diffc.encode(photo.convert("L"), backend="planes", quality=100))
    with TarWriter(str(tmp_path / "a.tar"), encoder=encoder(backend="planes", quality=100)) as tar:
        for number, picture in enumerate(pictures):
            tar.write({"__key__": f"{number:04}", "diffc": picture, "cls": number, "png": photo})
    return tmp_path / "a.tar"


def samples(shard: Path, *handlers: Any) -> list[dict[str, Any]]:
    with warnings.catch_warnings():
        # webdataset leaves it to the collector to close a shard
        warnings.simplefilter("ignore", ResourceWarning)
        found = list(WebDataset(str(shard), shardshuffle=False).decode(*handlers))
        gc.collect()
    return found


def test_a_shard_comes_back(shard: Path, photo: Image.Image) -> None:
    with tarfile.open(shard) as tar:
        stored = [tar.extractfile(f"{each:04}.diffc").read() for each in range(3)]  # type: ignore[union-attr]
    assert stored[0] == diffc.encode(photo, backend="planes", quality=100)
    found = samples(shard, decoder("pil"))
    assert [each["cls"] for each in found] == [0, 1, 2]
    assert found[0]["diffc"].tobytes() == photo.tobytes()
    assert found[1]["diffc"].tobytes() == photo.rotate(180).tobytes()
    assert found[2]["diffc"].tobytes() == photo.convert("L").convert("RGB").tobytes()
    # of other kinds nothing was asked
    assert isinstance(found[0]["png"], bytes)


@pytest.mark.parametrize(
    ("imagespec", "kind", "dtype", "shape"),
    [
        ("rgb8", np.ndarray, np.uint8, (64, 96, 3)),
        ("l", np.ndarray, np.float32, (64, 96)),
        ("torchrgb8", torch.Tensor, torch.uint8, (3, 64, 96)),
        ("torchrgb", torch.Tensor, torch.float32, (3, 64, 96)),
    ],
)
def test_pictures_become_what_webdataset_makes_of_others(
    shard: Path, imagespec: str, kind: type, dtype: Any, shape: tuple[int, ...]
) -> None:
    for sample in samples(shard, decoder(imagespec), imagespec):
        ours, theirs = sample["diffc"], sample["png"]
        assert isinstance(ours, kind)
        assert (ours.dtype, ours.shape) == (dtype, shape) == (theirs.dtype, theirs.shape)
    sample = samples(shard, decoder(imagespec), imagespec)[0]
    assert np.array_equal(np.asarray(sample["diffc"]), np.asarray(sample["png"]))


def test_keys_may_have_parts_and_capitals(tmp_path: Path, photo: Image.Image) -> None:
    with TarWriter(str(tmp_path / "a.tar"), encoder=encoder(backend="planes", bpp=2)) as tar:
        tar.write({"__key__": "0", "left.diffc": photo, "right.DIFFC": photo})
    (sample,) = samples(tmp_path / "a.tar", decoder())
    assert sample["left.diffc"].tobytes() == sample["right.diffc"].tobytes() != photo.tobytes()


def test_shards_are_written_in_turn(tmp_path: Path, photo: Image.Image) -> None:
    made = encoder(backend="planes", bpp=2)
    with ShardWriter(str(tmp_path / "%d.tar"), maxcount=2, encoder=made, verbose=0) as shards:
        for number in range(3):
            shards.write({"__key__": str(number), "diffc": photo})
    counts = [len(samples(tmp_path / f"{each}.tar", decoder())) for each in range(2)]
    assert counts == [2, 1]


def test_decoding_takes_its_options_and_travels(shard: Path) -> None:
    handler = pickle.loads(pickle.dumps(decoder("rgb8", realism=0.5)))
    assert samples(shard, handler)[0]["diffc"].shape == (64, 96, 3)
    assert PlanesCodec.options is not None
    assert PlanesCodec.options.realism == 0.5


def test_what_cannot_hold_is_said() -> None:
    with pytest.raises(ValueError, match="imagespec"):
        decoder("rgb16")
    with pytest.raises(ValueError, match="realism is 0 to 1"):
        decoder(realism=2)
    with pytest.raises(ValueError, match="did you mean 'quality'"):
        encoder(qualty=3)
    with pytest.raises(DecodingError) as caught:
        Decoder([decoder()])({"__key__": "0", "diffc": b"no picture"})
    assert isinstance(caught.value.__cause__, OSError)
