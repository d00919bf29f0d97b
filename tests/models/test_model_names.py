"""Names of models: which reach the store, a directory or the hub, and which nothing."""

from __future__ import annotations

import io
import shutil
import sys
from pathlib import Path

import pytest
from conftest import MODEL
from fake_hub import known_model, write_pipeline
from PIL import Image

import diffc
from diffc.codec import DecodeOptions
from diffc.codecs.shared import models
from diffc.errors import ModelNotAvailableError, OptionError
from diffc.models import identity, names, store, table
from diffc.models.adding import add

pytestmark = pytest.mark.usefixtures("own_store")


@pytest.fixture
def only_known(monkeypatch: pytest.MonkeyPatch, pipeline: Path) -> table.KnownModel:
    """A table with one entry, the pipeline, which is not here."""
    entry = known_model(fingerprints=[each.hex() for each in identity.fingerprints(pipeline)])
    monkeypatch.setattr(table, "known_models", lambda: {"known": entry})
    return entry


@pytest.mark.parametrize("text", ["sd-1.5", "a", "org/name", "Org/Na.me_1", "x" * 64])
def test_names_of_models(text: str) -> None:
    assert names.check_name(text) == text
    assert "/" not in names.file_stem(text)


HOSTILE = [
    "../../x",
    "..",
    ".",
    "/etc/passwd",
    "a/../b",
    "a/b/c",
    "a..b/c",
    "a--b/c",
    "https://example.org/x",
    "hf://org/name",
    "file:///etc/passwd",
    "C:\\x",
    "a\\b",
    "a b",
    "a\0b",
    "a\nb",
    "a/b\n",
    "~/x",
    "-rf",
    "%2e%2e",
    "org/",
    "/name",
    "é",
    "a" * 65,
    "x" * 10**6,
    "a/" * 10**5,
    "",
]


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_hostile_names_are_no_names(text: str) -> None:
    with pytest.raises(OptionError, match="a model's name is") as caught:
        names.check_name(text)
    assert len(str(caught.value)) < 400
    assert store.find(text) is None


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_hostile_names_reach_no_file_and_no_network(
    photo: Image.Image, text: str, own_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise AssertionError("a transfer was begun")

    monkeypatch.setattr("diffc.models.transfer.fetch", fail)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    for options in ({}, {"allow_download": True}):
        with pytest.raises(ValueError, match="model"):
            diffc.encode(photo, backend="ddcm", model=text, **options)
    assert not own_store.exists()


def test_a_hub_id_needs_consent(photo: Image.Image, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def fetch(name: str) -> store.Record:
        asked.append(name)
        return add(MODEL, "mine")

    monkeypatch.setattr("diffc.models.transfer.fetch", fetch)
    with pytest.raises(OptionError, match=r"'org/name' is not here.* fetch org/name'"):
        diffc.encode(photo, backend="ddcm", model="org/name")
    assert asked == []
    for value in ("yes", 1, "0"):
        with pytest.raises(ValueError, match="allow_download is True or False"):
            diffc.encode(photo, backend="ddcm", model="org/name", allow_download=value)
    assert diffc.encode(photo, backend="ddcm", model="org/name", allow_download=True)
    file = io.BytesIO()
    photo.save(file, "DIFFC", backend="ddcm", model="org/name", allow_download=True, quality=0)
    with diffc.decoding(allow_download=True):
        assert diffc.encode(photo, backend="ddcm", model="org/name")
        with pytest.raises(OptionError, match="not here"):
            diffc.encode(photo, backend="ddcm", model="org/name", allow_download=False)
    monkeypatch.setenv("DIFFC_ALLOW_DOWNLOAD", "1")
    assert diffc.encode(photo, backend="ddcm", model="org/name")
    assert asked == ["org/name"] * 4


def test_names_of_the_table_come_before_directories(
    only_known: table.KnownModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(MODEL, tmp_path / "known")
    monkeypatch.chdir(tmp_path)
    add(tmp_path / "pipe", "known")
    assert models.folder_of("known", "diffusers") == tmp_path / "pipe"
    assert models.folder_of("./known", "patch") == Path("known")


@pytest.mark.parametrize("kinds", [("diffusers",), ("patch", "diffusers")])
def test_a_known_model_that_is_not_here_is_named(
    only_known: table.KnownModel, pipeline: Path, kinds: tuple[str, ...]
) -> None:
    with pytest.raises(OptionError, match=r"model 'known' is not here.*models fetch known"):
        models.folder_of("known", *kinds)
    for prompted in (False, True):
        wanted = identity.fingerprint(pipeline, prompted=prompted)
        with pytest.raises(
            ModelNotAvailableError, match=rf"{wanted.hex()}, that of 'known'.*models fetch known"
        ):
            models.folder_with(wanted, DecodeOptions(), *kinds, prompted=prompted)
    with pytest.raises(ModelNotAvailableError, match=r"the models here are .*DIFFC_MODELS"):
        models.folder_with(b"none", DecodeOptions(), *kinds)


def test_a_codec_without_embedded_models_says_what_to_name(
    only_known: table.KnownModel, pipeline: Path
) -> None:
    with pytest.raises(OptionError, match=r"no model of its own, .*: name one .*\(known\)"):
        models.folder_of(None, "diffusers")
    assert models.folder_of(None, "diffusers", "patch").name == "tiny"
    assert models.folder_of(str(pipeline), "diffusers") == pipeline
    with pytest.raises(OptionError, match="models are of kind 'cod' or 'patch'"):
        models.folder_of(str(pipeline), "cod", "patch")


def test_a_file_finds_a_pipeline_of_any_origin(
    pipeline: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, prompted = identity.fingerprints(pipeline)
    options = DecodeOptions(model=str(pipeline))
    assert models.folder_with(plain, options, "diffusers") == pipeline
    assert models.folder_with(prompted, options, "diffusers", prompted=True) == pipeline
    monkeypatch.setenv("DIFFC_MODELS", str(tmp_path))
    assert models.folder_with(plain, DecodeOptions(), "diffusers") == pipeline
    # a damaged neighbour does not hide it
    broken = write_pipeline(tmp_path / "broken")
    shutil.rmtree(broken / "vae")
    assert models.folder_with(plain, DecodeOptions(), "diffusers") == pipeline
