"""Fetching models: the real huggingface_hub against a hub on this machine."""

from __future__ import annotations

import hashlib
import shutil
import sys
import time
from collections import namedtuple
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from codecs_for_tests import register_simple
from conftest import MODEL
from fake_hub import REVISION, WEIGHTS, Hub, change_json, known_model, running_hub, write_pipeline
from PIL import Image

import diffc
from diffc.codec import DecodeOptions
from diffc.codecs.shared import models
from diffc.errors import ModelNotAvailableError, OptionError
from diffc.models import hub as hub_module
from diffc.models import identity, staging, store, table
from diffc.models.adding import add
from diffc.models.transfer import fetch
from diffc.models.verify import verify

huggingface_hub = pytest.importorskip("huggingface_hub")
pytestmark = pytest.mark.usefixtures("own_store")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    """A hub that the library takes for the real one."""
    with running_hub() as running:
        settings = {
            "ENDPOINT": running.address,
            "HUGGINGFACE_CO_URL_TEMPLATE": f"{running.address}/{{repo_id}}/resolve/{{revision}}"
            "/{filename}",
            "HF_HUB_CACHE": str(tmp_path / "cache"),
            "HF_TOKEN_PATH": str(tmp_path / "token"),
        }
        use(settings, monkeypatch)
        yield running


def use(settings: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Change settings of the library; older releases have copies of them in their modules."""
    names = ("constants", "file_download", "hf_api")
    for module in [import_module(f"huggingface_hub.{name}") for name in names]:
        for name, value in settings.items():
            if hasattr(module, name):
                monkeypatch.setattr(module, name, value)


@pytest.fixture
def served(hub: Hub, pipeline: Path) -> Path:
    """The pipeline's directory, which the hub serves as ``org/pipe``."""
    hub.serve("org/pipe", pipeline)
    return pipeline


def files_of(folder: Path, **changes: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return what a table would say of all files of a folder."""
    return {
        path.relative_to(folder).as_posix(): {
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "size": path.stat().st_size,
        }
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    } | changes


def put_in_table(monkeypatch: pytest.MonkeyPatch, **entry: Any) -> None:
    """Make the table consist of one entry."""
    made = known_model(**entry)
    monkeypatch.setattr(table, "known_models", lambda: {made.name: made})


def nothing_stays() -> bool:
    """Tell whether the store holds no file of a model, whole or half."""
    return not [path for path in store.store_folder().rglob("*") if path.is_file()]


def test_a_hub_id_is_fetched_and_trusted_on_first_use(served: Path) -> None:
    record = fetch("org/pipe")
    assert (record.trust, record.place, record.revision) == ("first use", "org/pipe", REVISION)
    folder = Path(record.folder)
    assert folder == store.store_folder() / "models" / "org--pipe"
    assert identity.fingerprints(folder) == identity.fingerprints(served)
    assert record.fingerprints == tuple(each.hex() for each in identity.fingerprints(served))
    verify(record)
    assert list(store.staging_folder().iterdir()) == []
    plain, prompted = identity.fingerprints(served)
    assert models.folder_with(plain, DecodeOptions(), "diffusers") == folder
    assert models.folder_with(prompted, DecodeOptions(), "diffusers", prompted=True) == folder
    assert models.folder_of("org/pipe", "diffusers") == folder


def test_what_is_there_is_not_fetched_again(served: Path, hub: Hub) -> None:
    first = fetch("org/pipe")
    hub.requests.clear()
    assert fetch("org/pipe") == first
    assert fetch("org/pipe", revision=REVISION) == first
    assert hub.requests == []
    with pytest.raises(OptionError, match="models remove org/pipe"):
        fetch("org/pipe", revision="main")


def test_what_was_recorded_must_come_again(served: Path, hub: Hub) -> None:
    fetch("org/pipe")
    store.remove("org/pipe")
    with pytest.raises(ModelNotAvailableError, match="models fetch org/pipe"):
        models.folder_with(identity.fingerprint(served), DecodeOptions(), "diffusers")
    change_json(served / "vae/config.json", channels=5)
    hub.serve("org/pipe", served)
    with pytest.raises(OSError, match=r"vae/config\.json of org/pipe has the SHA-256 \w+, not \w+"):
        fetch("org/pipe")
    assert not store.owned_folder("org/pipe").exists()
    # the user's own decision
    assert fetch("org/pipe", revision="main").trust == "first use"


def test_the_tables_hashes_are_met(served: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    marks = [each.hex() for each in identity.fingerprints(served)]
    put_in_table(monkeypatch, files=files_of(served), fingerprints=marks)
    record = fetch("known")
    assert (record.name, record.trust) == ("known", "table")
    assert list(record.fingerprints) == marks
    # its hub id is another name of it
    assert fetch("org/pipe") == record
    assert models.folder_of("org/pipe", "diffusers") == Path(record.folder)


@pytest.mark.parametrize("name", [WEIGHTS, "vae/config.json"])
def test_a_file_that_differs_from_the_table_is_refused(
    served: Path, hub: Hub, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = {name: {"sha256": "0" * 64, "size": 1}}
    put_in_table(monkeypatch, files=files_of(served, **wrong), fingerprints=["00000000"])
    with pytest.raises(OSError, match=rf"{name} of org/pipe has the SHA-256 \w+, not {'0' * 64}"):
        fetch("known")
    assert nothing_stays()
    # published hashes are compared before anything comes
    assert any("resolve" in each for each in hub.requests) == (name != WEIGHTS)
    assert fetch("known", revision="main").trust == "first use"


def test_a_file_that_changes_on_the_way_is_refused(served: Path, hub: Hub) -> None:
    hub.altered = WEIGHTS
    with pytest.raises(OSError, match=rf"{WEIGHTS} of org/pipe has the SHA-256"):
        fetch("org/pipe")
    assert nothing_stays()


def test_half_precision_is_chosen_and_renamed(served: Path, hub: Hub, tmp_path: Path) -> None:
    other = write_pipeline(tmp_path / "half", seed=1)
    half = served / WEIGHTS.replace(".saf", ".fp16.saf")
    shutil.copy(other / WEIGHTS, half)
    hub.serve("org/pipe", served)
    record = fetch("org/pipe")
    assert (Path(record.folder) / WEIGHTS).read_bytes() == half.read_bytes()
    assert not list(Path(record.folder).rglob("*.fp16.*"))
    store.remove("org/pipe")
    # what was recorded holds, until another choice is made
    assert (Path(fetch("org/pipe").folder) / WEIGHTS).read_bytes() == half.read_bytes()
    store.remove("org/pipe")
    record = fetch("org/pipe", revision="main", variant="fp32")
    assert (Path(record.folder) / WEIGHTS).read_bytes() == (served / WEIGHTS).read_bytes()


def test_the_next_place_serves_what_the_first_lacks(
    served: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    marks = [each.hex() for each in identity.fingerprints(served)]
    other = write_pipeline(tmp_path / "other", seed=1)
    hub.serve("bad/mirror", other)
    put_in_table(
        monkeypatch,
        files=files_of(served),
        fingerprints=marks,
        places={"gone/away": None, "bad/mirror": None, "org/pipe": REVISION},
    )
    assert fetch("known").place == "org/pipe"
    store.remove("known")
    hub.repositories.pop("org/pipe")
    with pytest.raises(OSError, match=r"gone/away is not there.*bad/mirror has the SHA.*org/pipe"):
        fetch("known")


def test_an_interrupted_transfer_leaves_nothing(
    served: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    # the library waits between its own attempts
    monkeypatch.setattr(time, "sleep", lambda _: None)
    hub.broken = WEIGHTS
    with pytest.raises(OSError, match="org/pipe"):
        fetch("org/pipe")
    assert nothing_stays()
    hub.broken = None
    assert verify(fetch("org/pipe")) is None


@pytest.mark.parametrize("error", [KeyboardInterrupt(), MemoryError(), SystemExit(1)])
def test_whatever_ends_a_transfer_nothing_stays(
    served: Path, error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    download = hub_module.download

    def fail(place: str, name: str, *rest: Any) -> Path:
        if name == WEIGHTS:
            raise error
        return download(place, name, *rest)

    monkeypatch.setattr(hub_module, "download", fail)
    with pytest.raises(type(error)):
        fetch("org/pipe")
    assert nothing_stays()


def test_what_a_killed_transfer_left_is_swept_and_replaced(
    served: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = store.staging_folder() / "left"
    left.mkdir(parents=True)
    orphan = store.owned_folder("org/pipe")
    orphan.mkdir(parents=True)
    (orphan / "half").touch()
    monkeypatch.setattr(staging, "_STALE_SECONDS", -1)
    verify(fetch("org/pipe"))
    assert not left.exists()
    assert not (orphan / "half").exists()


def test_a_full_disk_is_noticed_before(
    served: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", ["total", "used", "free"])
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(1 << 30, 1 << 30, 1 << 20))
    with pytest.raises(OSError, match=r"takes 0 MiB, and .* has 1 MiB left.*DIFFC_STORE"):
        fetch("org/pipe")
    assert nothing_stays()
    assert not any("resolve" in each for each in hub.requests)


def test_a_disk_that_fills_up_leaves_nothing(served: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", full)
    with pytest.raises(OSError, match=r"cannot be stored \(No space left on device\): make room"):
        fetch("org/pipe")
    assert nothing_stays()


def test_without_a_network_the_sentence_says_so(
    served: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    # nobody listens there
    use({"ENDPOINT": "http://127.0.0.1:9"}, monkeypatch)
    with pytest.raises(OSError, match=r"cannot be fetched \(.*\): check the network"):
        fetch("org/pipe")
    assert nothing_stays()


def test_places_that_refuse_are_named(served: Path, hub: Hub) -> None:
    with pytest.raises(OSError, match="org/other is not there or has no such revision"):
        fetch("org/other")
    with pytest.raises(OSError, match="org/pipe is not there or has no such revision"):
        fetch("org/pipe", revision="nothing")
    hub.gated = True
    with pytest.raises(OSError, match="open after a login only: run 'hf auth login'"):
        fetch("org/pipe")


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ModelNotAvailableError, match=r'pip install "diffc\[models\]"'):
        fetch("org/pipe")


def test_names_that_cannot_be_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    put_in_table(monkeypatch, places={}, note="download it by hand")
    with pytest.raises(OptionError, match="is not served by the hub: download it by hand"):
        fetch("known")
    with pytest.raises(OptionError, match="'nobody' is not in the table"):
        fetch("nobody")
    add(MODEL, "org/pipe")
    with pytest.raises(OptionError, match=r"'org/pipe' is in .*model: run 'diffc models remove"):
        fetch("org/pipe")


def test_what_is_no_model_is_not_kept(served: Path, hub: Hub, tmp_path: Path) -> None:
    folder = tmp_path / "config"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    shutil.copy(served / WEIGHTS, folder / "model.safetensors")
    hub.serve("org/other", folder)
    with pytest.raises(OSError, match="org/other holds no model that can be used here"):
        fetch("org/other")
    assert nothing_stays()


def test_models_of_ours_are_fetched_with_consent_by_name_and_by_file(
    hub: Hub, photo: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.serve("org/ours", MODEL)
    with pytest.raises(OptionError, match="not here"):
        diffc.encode(photo, backend="ddcm", model="org/ours", quality=10)
    assert hub.requests == []
    data = diffc.encode(photo, backend="ddcm", model="org/ours", quality=10, allow_download=True)
    store.remove("org/ours")
    hub.requests.clear()
    with pytest.raises(OSError, match=r"that of 'org/ours', which is not here.*fetch org/ours"):
        diffc.decode(data)
    assert hub.requests == []
    expected = diffc.decode(data, allow_download=True).tobytes()
    assert hub.requests
    hub.requests.clear()
    assert diffc.decode(data).tobytes() == expected
    store.remove("org/ours")
    monkeypatch.setenv("DIFFC_ALLOW_DOWNLOAD", "1")
    assert diffc.decode(data).tobytes() == expected


def test_a_file_fetches_what_the_table_knows(
    served: Path, monkeypatch: pytest.MonkeyPatch, hub: Hub
) -> None:
    plain, prompted = identity.fingerprints(served)
    marks = [plain.hex(), prompted.hex()]
    put_in_table(monkeypatch, files=files_of(served), fingerprints=marks)
    allowed = DecodeOptions(allow_download=True)
    with pytest.raises(ModelNotAvailableError, match="models here are"):
        models.folder_with(b"none", allowed, "diffusers")
    with pytest.raises(ModelNotAvailableError, match="models here are"):
        models.folder_with(plain, allowed, "patch")
    assert hub.requests == []
    folder = models.folder_with(prompted, allowed, "diffusers", prompted=True)
    assert folder == store.owned_folder("known")


def test_what_is_fetched_for_a_file_has_to_be_what_it_needs(
    served: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_in_table(monkeypatch, fingerprints=["00000000"])
    with pytest.raises(ModelNotAvailableError, match=r"fingerprint 00000000, and what is here as"):
        models.folder_with(bytes(4), DecodeOptions(allow_download=True), "diffusers")


def test_a_checkpoint_waits_for_its_conversion(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from diffc.models import convert

    released = tmp_path / "released"
    released.mkdir()
    torch.save({"state_dict": {"a": torch.ones(2)}}, released / "a.pt")
    (released / "a.json").write_text('{"bits": 4}')
    hub.serve("org/pipe", released)
    put_in_table(
        monkeypatch,
        kind="simple",
        files={"a.pt": {}, "a.json": {}},
        checkpoint="a.pt",
        config="a.json",
    )
    register_simple(monkeypatch)
    fetched = fetch("known")
    assert (fetched.kind, fetched.fingerprints) == ("checkpoint", ())
    verify(fetched)
    with pytest.raises(OptionError, match="run 'diffc models convert known'"):
        models.folder_of("known", "simple")
    waiting = convert.fetched_checkpoint("known")
    assert waiting is not None
    source, config, kind, origin = waiting
    record = convert.to_model(source, "known", kind, config, origin=origin)
    assert models.folder_of("known", "simple") == Path(record.folder)
    assert not list(Path(record.folder).glob("*.pt"))
    # a file that needs it brings the checkpoint, which is not converted unasked
    wanted = bytes.fromhex(record.fingerprints[0])
    assert models.folder_with(wanted, DecodeOptions(), "simple") == Path(record.folder)
    store.remove("known")
    with pytest.raises(ModelNotAvailableError, match="run 'diffc models convert known'"):
        models.folder_with(wanted, DecodeOptions(allow_download=True), "simple")
    source, config, kind, origin = convert.fetched_checkpoint("known") or waiting
    record = convert.to_model(source, "known", kind, config, origin=origin)
    assert (record.place, record.revision, record.pins) == ("org/pipe", REVISION, fetched.pins)
    verify(record)


def test_progress_counts_bytes(served: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(staging, "_INTERVAL_SECONDS", 0.001)
    calls: list[tuple[int, int]] = []
    record = fetch("org/pipe", progress=lambda done, total: calls.append((done, total)))
    total = sum(pin.size for pin in record.pins.values())
    assert calls[-1] == (total, total)
    assert {each for _, each in calls} == {total}

    def cancel(done: int, total: int) -> None:
        raise RuntimeError("enough")

    store.remove("org/pipe")
    with pytest.raises(RuntimeError, match="enough"):
        fetch("org/pipe", progress=cancel)
    assert not store.owned_folder("org/pipe").exists()
    assert list(store.staging_folder().iterdir()) == []


def test_bars_of_the_library_stay_as_they_were(served: Path) -> None:
    utils = huggingface_hub.utils
    before = utils.are_progress_bars_disabled()
    fetch("org/pipe")
    assert utils.are_progress_bars_disabled() == before
