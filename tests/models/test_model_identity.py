"""What a model folder is: its kind, the files that are used, and their fingerprint."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import MODEL, RELAY_MODEL
from fake_hub import WEIGHTS, change_json
from safetensors.torch import save_file

from diffc.models import hash_cache, identity, store

pytestmark = pytest.mark.usefixtures("own_store")


def test_the_store_is_where_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIFFC_STORE", str(tmp_path / "x"))
    assert store.store_folder() == tmp_path / "x"
    monkeypatch.delenv("DIFFC_STORE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    monkeypatch.setattr(sys, "platform", "linux")
    assert store.store_folder() == tmp_path / "caches" / "diffc"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert store.store_folder() == Path.home() / ".cache" / "diffc"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert store.store_folder() == Path.home() / "Library" / "Caches" / "diffc"
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    assert store.store_folder() == tmp_path / "local" / "diffc" / "Cache"


def test_kinds_are_told_apart(pipeline: Path, tmp_path: Path) -> None:
    assert identity.kind_of(MODEL) == "patch"
    assert identity.kind_of(RELAY_MODEL) == "restoring"
    assert identity.kind_of(pipeline) == "diffusers"
    (pipeline / "hyper_enc").mkdir()
    (pipeline / "hyper_enc" / "config.json").write_text("{}")
    assert identity.kind_of(pipeline) == "perco-sd"
    assert identity.kind_of(tmp_path / "nothing") is None
    for text, kind in {
        '{"kind": 7}': None,
        '{"model_type": "blip"}': "captioner",
        '{"model_type": "other"}': None,
        '{"model_type": []}': None,
    }.items():
        (tmp_path / "config.json").write_text(text)
        assert identity.kind_of(tmp_path) == kind


@pytest.mark.parametrize(
    ("change", "plain", "prompted"),
    [
        (lambda f: (f / "model_index.json").write_text('{"_name_or_path": "x"}'), True, True),
        (lambda f: change_json(f / "unet/config.json", _diffusers_version="9"), True, True),
        (lambda f: change_json(f / "unet/config.json", torch_dtype="float16"), True, True),
        (lambda f: change_json(f / "unet/config.json", _class_name="Other"), False, False),
        (lambda f: change_json(f / "vae/config.json", channels=5), False, False),
        (
            lambda f: change_json(f / "scheduler/scheduler_config.json", prediction_type="sample"),
            False,
            False,
        ),
        (lambda f: change_json(f / "text_encoder/config.json", channels=5), True, False),
        (lambda f: save_file({"weight": torch.ones(1)}, f / WEIGHTS), False, False),
        (lambda f: (f / "unet/other.safetensors").write_bytes(b"unused"), True, True),
        (lambda f: (f / WEIGHTS).rename(f / WEIGHTS.replace(".saf", ".fp16.saf")), True, True),
    ],
    ids=[
        "index",
        "version",
        "dtype",
        "class",
        "vae",
        "schedule",
        "text",
        "weights",
        "unused",
        "variant",
    ],
)
def test_a_pipelines_fingerprint_is_of_what_renders(
    pipeline: Path, change: Any, plain: bool, prompted: bool
) -> None:
    before, with_text = identity.fingerprints(pipeline)
    change(pipeline)
    assert (identity.fingerprint(pipeline) == before) == plain
    assert (identity.fingerprint(pipeline, prompted=True) == with_text) == prompted


def test_without_text_encoders_there_is_one_fingerprint(pipeline: Path) -> None:
    before = identity.fingerprint(pipeline)
    shutil.rmtree(pipeline / "text_encoder")
    assert identity.fingerprints(pipeline) == (before,)


def test_weights_in_pieces_are_those_of_their_list(pipeline: Path) -> None:
    unet = pipeline / "unet"
    whole = unet / "diffusion_pytorch_model.safetensors"
    pieces = [f"diffusion_pytorch_model-0000{n}-of-00002.safetensors" for n in (1, 2)]
    for name in pieces:
        shutil.copy(whole, unet / name)
    whole.unlink()
    index = unet / "diffusion_pytorch_model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": dict(zip("ab", pieces, strict=True))}))
    assert identity.weight_files(unet) == [unet / name for name in pieces]
    assert identity.variant_of(unet) is None
    for names_ in (["../../x.safetensors"], ["x.bin"], []):
        index.write_text(json.dumps({"weight_map": {str(n): n for n in names_}}))
        with pytest.raises(OSError, match=r"no file beside it|names no files"):
            identity.weight_files(unet)


def test_a_pipeline_without_safetensors_is_named(pipeline: Path) -> None:
    (pipeline / WEIGHTS).rename(pipeline / "unet" / "diffusion_pytorch_model.bin")
    with pytest.raises(OSError, match=r"unet has no weights in safetensors"):
        identity.fingerprint(pipeline)
    shutil.rmtree(pipeline / "unet")
    with pytest.raises(OSError, match=r"has no unet or transformer"):
        identity.fingerprint(pipeline)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that are hashed; small ones are remembered as large ones are."""
    seen: list[Path] = []
    hash_anew = hash_cache.hash_anew

    def count(path: Path) -> str:
        seen.append(path)
        return hash_anew(path)

    monkeypatch.setattr(hash_cache, "hash_anew", count)
    monkeypatch.setattr(hash_cache, "SMALLEST_KEPT", 1)
    monkeypatch.setattr(hash_cache, "_hashes", {})
    return seen


def settle(path: Path) -> None:
    """Make a file as old as one that nobody writes to any more."""
    past = time.time_ns() - 10**11
    os.utime(path, ns=(past, past))


@pytest.fixture
def old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "weights"
    path.write_bytes(b"weights")
    settle(path)
    # the time of change cannot be set: let all files be settled at once
    monkeypatch.setattr(hash_cache, "_SETTLED_NS", 0)
    return path


def test_a_file_is_hashed_once(
    old_file: Path, counted: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = hashlib.sha256(b"weights").hexdigest()
    assert [hash_cache.sha256_of(old_file) for _ in range(3)] == [expected] * 3
    assert len(counted) == 1
    # another process
    monkeypatch.setattr(hash_cache, "_hashes", {})
    assert hash_cache.sha256_of(old_file) == expected
    assert len(counted) == 1


@pytest.mark.parametrize("change", ["size", "time", "both"])
def test_a_file_that_changed_is_hashed_again(
    old_file: Path, counted: list[Path], change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hash_cache.sha256_of(old_file)
    data = b"longer weights" if change != "time" else b"weighty"
    old_file.write_bytes(data)
    if change == "size":
        settle(old_file)
    for hashes in (hash_cache._hashes, {}):
        monkeypatch.setattr(hash_cache, "_hashes", hashes)
        assert hash_cache.sha256_of(old_file) == hashlib.sha256(data).hexdigest()
    assert len(counted) == 2


def test_a_file_that_was_just_written_is_not_remembered(
    tmp_path: Path, counted: list[Path]
) -> None:
    path = tmp_path / "fresh"
    path.write_bytes(b"fresh")
    hash_cache.sha256_of(path)
    hash_cache.sha256_of(path)
    assert len(counted) == 2


@pytest.mark.parametrize("text", ["", "[]", '["a", 1, 2, 3, 4]', "{", "7"])
def test_a_damaged_memory_is_ignored(
    old_file: Path, counted: list[Path], text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hash_cache.sha256_of(old_file)
    (record,) = (store.store_folder() / "hashes").iterdir()
    record.write_text(text)
    monkeypatch.setattr(hash_cache, "_hashes", {})
    assert hash_cache.sha256_of(old_file) == hashlib.sha256(b"weights").hexdigest()
    assert len(counted) == 2


def test_a_store_that_cannot_be_written_in_costs_nothing_but_time(
    old_file: Path, counted: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("DIFFC_STORE", str(tmp_path / "file" / "store"))
    assert hash_cache.sha256_of(old_file) == hashlib.sha256(b"weights").hexdigest()
