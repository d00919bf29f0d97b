"""The store of models: what is kept, checked, removed, and found by a file."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from conftest import MODEL, RELAY_MODEL
from fake_hub import change_json, known_model
from PIL import Image
from safetensors.torch import load_file, save_file

import diffc
from diffc.errors import ModelNotAvailableError, OptionError
from diffc.models import identity, store, table
from diffc.models.adding import add
from diffc.models.verify import verify

pytestmark = pytest.mark.usefixtures("own_store")


@pytest.fixture
def only_known(monkeypatch: pytest.MonkeyPatch, pipeline: Path) -> table.KnownModel:
    """A table with one entry, the pipeline, which is not here."""
    entry = known_model(fingerprints=[each.hex() for each in identity.fingerprints(pipeline)])
    monkeypatch.setattr(table, "known_models", lambda: {"known": entry})
    return entry


@pytest.mark.parametrize(("backend", "model"), [("ddcm", MODEL), ("relay", RELAY_MODEL)])
def test_a_file_finds_its_model_in_the_store(
    photo: Image.Image, backend: str, model: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "mine"
    shutil.copytree(model, folder)
    record = add(folder)
    assert (record.name, record.owned, record.trust) == ("mine", False, "directory")
    data = diffc.encode(photo, backend=backend, quality=10, model="mine")
    assert diffc.info(data).model == record.fingerprints[0]
    assert diffc.encode(photo, backend=backend, quality=10, model=folder) == data
    assert diffc.decode(data).size == photo.size
    # under another name, too
    store.remove("mine")
    add(folder, "yours")
    assert diffc.decode(data).size == photo.size


def test_removing_what_was_added_leaves_the_directory(photo: Image.Image, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    shutil.copytree(MODEL, folder)
    mark = add(folder).fingerprints[0]
    data = diffc.encode(photo, backend="ddcm", quality=10, model="mine")
    store.remove("mine")
    assert (folder / "config.json").is_file()
    with pytest.raises(ModelNotAvailableError, match=rf"{mark}.* that of 'mine'.* models add DIR"):
        diffc.decode(data)
    with pytest.raises(OptionError, match=r"'mine' was a directory that is gone or was removed"):
        diffc.encode(photo, backend="ddcm", model="mine")
    with pytest.raises(OptionError, match="no model 'mine'"):
        store.remove("mine")


def test_an_edited_weights_file_is_told_with_both_fingerprints(
    photo: Image.Image, tmp_path: Path
) -> None:
    folder = tmp_path / "mine"
    shutil.copytree(MODEL, folder)
    record = add(folder)
    data = diffc.encode(photo, backend="ddcm", quality=10, model=MODEL)
    assert diffc.decode(data).size == photo.size
    weights = folder / "denoiser.safetensors"
    changed = bytearray(weights.read_bytes())
    changed[-1] ^= 1
    weights.write_bytes(changed)
    found = identity.fingerprint(folder).hex()
    expected = record.fingerprints[0]
    assert found != expected
    with pytest.raises(
        OSError, match=rf"{expected}, which was that of 'mine'.*mine \({found}\).*verify mine"
    ):
        diffc.decode(data)
    with pytest.raises(OSError, match=r"denoiser\.safetensors had the SHA-256 \w+ and has \w+ now"):
        verify(record)
    weights.unlink()
    with pytest.raises(OSError, match=r"denoiser\.safetensors is missing"):
        verify(record)


def test_weights_that_were_edited_are_read_again(photo: Image.Image, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    shutil.copytree(MODEL, folder)
    options = {"backend": "ddcm", "quality": 10, "model": folder}
    before = diffc.decode(diffc.encode(photo, **options), model=folder)
    weights = load_file(folder / "synthesis.safetensors")
    save_file(
        {name: 0.9 * each for name, each in weights.items()}, folder / "synthesis.safetensors"
    )
    data = diffc.encode(photo, **options)
    assert diffc.info(data).model == identity.fingerprint(folder).hex()
    assert diffc.decode(data, model=folder).tobytes() != before.tobytes()


def test_verifying_reports_bytes(tmp_path: Path) -> None:
    record = add(MODEL, "mine")
    calls: list[tuple[int, int]] = []
    verify(record, lambda done, total: calls.append((done, total)))
    total = sum(path.stat().st_size for path in identity.used_files(MODEL))
    assert calls[-1] == (total, total)
    assert calls == sorted(calls)


def test_a_name_is_one_models(tmp_path: Path, pipeline: Path) -> None:
    add(MODEL, "mine")
    add(MODEL, "mine")
    with pytest.raises(OptionError, match=r"'mine' is the model in .*model: give another name"):
        add(pipeline, "mine")
    with pytest.raises(OptionError, match="'tiny' is an embedded model"):
        add(pipeline, "tiny")
    with pytest.raises(OptionError, match="holds no model"):
        add(tmp_path)
    upper = tmp_path / "No Name"
    shutil.copytree(MODEL, upper)
    with pytest.raises(OptionError, match="'No Name' cannot be a model's name"):
        add(upper)


def test_the_tables_names_are_for_the_tables_models(
    pipeline: Path, only_known: table.KnownModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert add(pipeline, "known").fingerprints == only_known.fingerprints
    store.remove("known")
    change_json(pipeline / "vae/config.json", channels=5)
    with pytest.raises(OptionError, match="give it another name"):
        add(pipeline, "known")


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", '{"version": 2}', '{"version": 1, "name": "../../x"}', '{"version": 1}'],
)
def test_damaged_records_are_passed_over(text: str, own_store: Path) -> None:
    record = add(MODEL, "mine")
    (own_store / "records" / "other.json").write_text(text)
    assert list(store.records()) == [record]
    assert store.find("other") is None


def test_only_the_stores_own_folders_are_deleted(own_store: Path, tmp_path: Path) -> None:
    folder = tmp_path / "precious"
    shutil.copytree(MODEL, folder)
    record = add(folder)
    path = own_store / "records" / "precious.json"
    # a record that claims somebody else's folder
    path.write_text(json.dumps(json.loads(path.read_text()) | {"owned": True}))
    store.remove("precious")
    assert folder.is_dir()
    assert record.folder == str(folder)
