"""The adapter to Hugging Face datasets."""

from __future__ import annotations

import io
import tarfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from codecs_for_tests import PlanesCodec
from conftest import draw_photo
from PIL import Image

import diffc

pytest.importorskip("datasets")
import datasets

from diffc.adapters.huggingface_datasets import to_diffc

assert PlanesCodec.name == "planes"


@pytest.fixture(autouse=True)
def quiet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing of the user's cache, no network, no bars."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    datasets.disable_progress_bars()
    with warnings.catch_warnings():
        # of Python 3.12: datasets forks in a process with threads
        warnings.filterwarnings("ignore", "This process", DeprecationWarning)
        yield
    datasets.enable_progress_bars()


@pytest.fixture
def folder(tmp_path: Path, photo: Image.Image) -> Path:
    """Two classes of pictures, PNG and DIFFC."""
    for name, angle in (("left", 0), ("right", 180)):
        (tmp_path / "folder" / name).mkdir(parents=True)
        photo.rotate(angle).save(tmp_path / "folder" / name / "0.png")
        target = tmp_path / "folder" / name / "1.diffc"
        diffc.save(photo.rotate(angle), target, backend="planes", quality=100)
    return tmp_path / "folder"


def load(kind: str, **options: Any) -> datasets.Dataset:
    return datasets.load_dataset(kind, split="train", **options)


def stored(data: datasets.Dataset) -> list[bytes]:
    return [
        each["bytes"] for each in data.cast_column("image", datasets.Image(decode=False))["image"]
    ]


def test_a_folder_of_files_is_found(folder: Path, photo: Image.Image) -> None:
    data = load("imagefolder", data_dir=str(folder))
    assert data["label"] == [0, 0, 1, 1]
    assert [each.format for each in data["image"]] == ["PNG", "DIFFC"] * 2
    assert data[1]["image"].tobytes() == photo.tobytes()
    assert load("imagefolder", data_files=str(folder / "left" / "*.diffc")).num_rows == 1


def test_pictures_are_stored_as_files(folder: Path) -> None:
    data = load("imagefolder", data_dir=str(folder))
    coded = to_diffc(data, backend="planes", bpp=4, num_proc=2)
    assert coded.features == data.features
    assert [each.format for each in coded["image"]] == ["DIFFC"] * 4
    assert coded["label"] == data["label"]
    wanted = [diffc.encode(each, backend="planes", bpp=4) for each in data["image"]]
    assert stored(coded) == wanted
    assert stored(to_diffc(data, backend="planes", bpp=4)) == wanted
    names = coded.cast_column("image", datasets.Image(decode=False))["image"]
    assert [each["path"] for each in names] == ["0.diffc", "1.diffc"] * 2


def test_parquet_keeps_the_files(folder: Path, tmp_path: Path) -> None:
    coded = to_diffc(load("imagefolder", data_dir=str(folder)), backend="planes", bpp=4)
    coded.to_parquet(tmp_path / "a.parquet")
    again = load("parquet", data_files=str(tmp_path / "a.parquet"))
    assert stored(again) == stored(coded)
    assert again.features == coded.features
    assert again[3]["image"].tobytes() == diffc.decode(stored(coded)[3]).tobytes()


def test_pictures_that_are_handed_on_are_not_coded_again(folder: Path) -> None:
    data = load("imagefolder", data_dir=str(folder)).select([1, 3])
    PlanesCodec.encoded = 0
    same = data.map(lambda row: {"image": row["image"], "index": 1})
    assert [each.format for each in same["image"]] == ["DIFFC"] * 2
    smaller = data.map(lambda row: {"image": row["image"].resize((10, 10))})
    assert [each.format for each in smaller["image"]] == ["PNG"] * 2
    assert PlanesCodec.encoded == 0


def test_splits_streams_and_gaps_work_too(folder: Path) -> None:
    data = load("imagefolder", data_dir=str(folder))
    split = to_diffc(datasets.DatasetDict(train=data, test=data), backend="planes", bpp=2)
    assert split["test"][0]["image"].format == "DIFFC"
    stream = to_diffc(data.to_iterable_dataset(), backend="planes", bpp=2)
    assert [row["image"].format for row in stream] == ["DIFFC"] * 4
    features = datasets.Features({"photo": datasets.Image(), "name": datasets.Value("string")})
    rows = {"photo": [draw_photo(), None], "name": ["a", "b"]}
    coded = to_diffc(datasets.Dataset.from_dict(rows, features), "photo", backend="planes", bpp=2)
    assert coded[0]["photo"].format == "DIFFC"
    assert coded[1] == {"photo": None, "name": "b"}


def test_shards_of_webdataset_hold_pictures(tmp_path: Path, photo: Image.Image) -> None:
    data = diffc.encode(photo, backend="planes", quality=100)
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        for name, content in (("0.diffc", data), ("0.cls", b"5")):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    (row,) = load("webdataset", data_files=str(tmp_path / "a.tar"))
    assert row["diffc"].tobytes() == photo.tobytes()


def test_what_cannot_hold_is_said_before_the_work(folder: Path) -> None:
    data = load("imagefolder", data_dir=str(folder))
    for column, options, text in (
        ("picture", {}, "'picture' holds no pictures"),
        ("label", {}, "'label' holds no pictures"),
        ("image", {"qualty": 1}, "did you mean 'quality'"),
        ("image", {"backend": "nobody"}, "nobody"),
    ):
        with pytest.raises(ValueError, match=text):
            to_diffc(data, column, **options)
    raw = data.cast_column("image", datasets.Image(decode=False))
    with pytest.raises(ValueError, match="holds no pictures"):
        to_diffc(raw)
