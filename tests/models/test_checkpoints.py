"""Released checkpoints: what is read of them, and what they become."""

from __future__ import annotations

import json
import os
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from codecs_for_tests import register_simple
from make_cod_model import TINY, tiny_weights
from safetensors.torch import load_file

from diffc.codecs.cod.config import CodConfig
from diffc.codecs.shared import models
from diffc.errors import OptionError
from diffc.models import convert
from diffc.models.checkpoint import read_checkpoint
from diffc.models.verify import verify

pytestmark = pytest.mark.usefixtures("own_store")


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    path = tmp_path / "released.pt"
    state = {"net.a": torch.arange(6.0).view(2, 3), "net.b": torch.ones(4).bfloat16()}
    torch.save({"state_dict": state, "step": 7}, path)
    return path


class Bomb:
    """What a hostile checkpoint holds."""

    def __init__(self, marker: Path) -> None:
        self.marker = str(marker)

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self.marker,)


@pytest.mark.parametrize("nested", [False, True])
def test_a_pickle_bomb_is_refused(tmp_path: Path, nested: bool) -> None:
    path, marker = tmp_path / "bomb.pt", tmp_path / "exploded"
    bomb = Bomb(marker)
    torch.save({"state_dict": {"a": torch.ones(1), "b": bomb}} if nested else bomb, path)
    with pytest.raises(OSError, match=r"bomb\.pt is refused: it holds more than tensors"):
        read_checkpoint(path)
    with pytest.raises(OSError, match="is refused"):
        convert.to_safetensors(path, tmp_path / "out.safetensors")
    assert not marker.exists()
    assert not (tmp_path / "out.safetensors").exists()


def test_other_files_are_no_checkpoints(tmp_path: Path, checkpoint: Path) -> None:
    old = tmp_path / "old.pt"
    torch.save({"a": torch.ones(1)}, old, _use_new_zipfile_serialization=False)
    text = tmp_path / "text.pt"
    text.write_text("no checkpoint")
    for path in (old, text):
        with pytest.raises(OSError, match=r"is no checkpoint of torch 1\.6 or later"):
            read_checkpoint(path)
    with pytest.raises(OSError, match="No such file"):
        read_checkpoint(tmp_path / "missing.pt")
    cut = tmp_path / "cut.pt"
    cut.write_bytes(checkpoint.read_bytes()[:-40])
    with pytest.raises(OSError, match="no checkpoint"):
        read_checkpoint(cut)


def test_a_compressed_checkpoint_is_refused(tmp_path: Path, checkpoint: Path) -> None:
    path = tmp_path / "compressed.pt"
    with (
        zipfile.ZipFile(checkpoint) as old,
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for each in old.namelist():
            new.writestr(each, old.read(each))
    with pytest.raises(OSError, match="is compressed"):
        read_checkpoint(path)


def test_weights_that_are_larger_than_their_file_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "inflated.pt"
    torch.save({"a": torch.ones(1).expand(10**6, 10**6)}, path)
    with pytest.raises(OSError, match=r"claims 4000000000000 bytes of weights"):
        read_checkpoint(path)


def test_the_entry_with_the_weights_is_found_or_asked_for(tmp_path: Path, checkpoint: Path) -> None:
    assert set(read_checkpoint(checkpoint)) == {"net.a", "net.b"}
    path = tmp_path / "several.pt"
    torch.save({"ema": {"a": torch.ones(2)}, "raw": {"a": torch.zeros(2)}}, path)
    with pytest.raises(OptionError, match="give --key, one of ema, raw"):
        read_checkpoint(path)
    assert torch.equal(read_checkpoint(path, "ema")["a"], torch.ones(2))
    with pytest.raises(OptionError, match="'best' is no entry of weights"):
        read_checkpoint(path, "best")
    torch.save([torch.ones(1)], path)
    with pytest.raises(OptionError, match="holds a dict of tensors"):
        read_checkpoint(path)


def test_a_checkpoint_becomes_safetensors(tmp_path: Path, checkpoint: Path) -> None:
    target = tmp_path / "out.safetensors"
    convert.to_safetensors(checkpoint, target)
    made, expected = load_file(target), read_checkpoint(checkpoint)
    assert set(made) == set(expected)
    assert all(torch.equal(made[name], expected[name]) for name in made)
    assert made["net.b"].dtype == torch.bfloat16
    tied = torch.ones(3)
    torch.save({"a": tied, "b": tied, "c": tied[1:]}, checkpoint)
    convert.to_safetensors(checkpoint, target)
    assert set(load_file(target)) == {"a", "b", "c"}
    assert {path.name for path in tmp_path.iterdir()} == {"released.pt", "out.safetensors"}


@pytest.fixture
def converter(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kind of model whose converter is here."""
    register_simple(monkeypatch)


@pytest.mark.usefixtures("converter")
def test_a_checkpoint_becomes_a_model_of_the_store(
    tmp_path: Path, checkpoint: Path, own_store: Path
) -> None:
    config = tmp_path / "released.json"
    config.write_text('{"bits": 8}')
    record = convert.to_model(checkpoint, "mine", "simple", config)
    assert record.owned
    assert models.folder_of("mine", "simple") == own_store / "models" / "mine"
    assert models.config_of(Path(record.folder))["bits"] == 8
    verify(record)
    with pytest.raises(
        OptionError, match="kind 'other' cannot be made: choose cod, compressai, simple"
    ):
        convert.to_model(checkpoint, "other", "other", config)
    config.write_text('{"fail": true}')
    with pytest.raises(OSError, match="layers do not fit"):
        convert.to_model(checkpoint, "half", "simple", config)
    assert not (own_store / "models" / "half").exists()
    assert list((own_store / "staging").iterdir()) == []


def test_a_released_cod_checkpoint_becomes_a_model(tmp_path: Path) -> None:
    # what is not told by the weights' shapes is as in the released ones
    sizes = replace(TINY, width=32, encoder_width=32, groups=32, window=CodConfig.window)
    state = {f"net.{name}": value for name, value in tiny_weights(sizes).items()}
    checkpoint, config = tmp_path / "released.pt", tmp_path / "released.json"
    torch.save({"state_dict": state | {"loss.weight": torch.ones(1)}}, checkpoint)
    arguments = {"ds": sizes.stride, "codebook_bits": sizes.bits}
    network = {"class_path": "os.system", "init_args": arguments}
    config.write_text(json.dumps({"model": {"net": network}, "trainer": {}}))
    record = convert.to_model(checkpoint, "mine", "cod", config)
    assert models.folder_of("mine", "cod") == Path(record.folder)
    assert record.fingerprints == (models.fingerprint(Path(record.folder)).hex(),)
    network["init_args"] = arguments | {"ds": 2 * sizes.stride}
    config.write_text(json.dumps({"model": {"net": network}}))
    with pytest.raises(ValueError, match="ds of this checkpoint"):
        convert.to_model(checkpoint, "other", "cod", config)
    assert list((tmp_path / "store" / "staging").iterdir()) == []


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.json", "{", "is no configuration"),
        ("a.json", "[]", "is no table of settings"),
        ("a.json", "[" * 10**5, "is no configuration"),
        ("a.yaml", "!!python/object/apply:os.system [echo]", "is no configuration"),
        ("a.yaml", "a: [", "is no configuration"),
        ("a.yaml", " " * (1 << 20) + "a: 1", "more than a mebibyte"),
    ],
    ids=["json", "list", "deep", "object", "yaml", "large"],
)
def test_odd_configurations_are_refused(tmp_path: Path, name: str, text: str, message: str) -> None:
    if name.endswith(".yaml"):
        pytest.importorskip("yaml")
    (tmp_path / name).write_text(text)
    with pytest.raises(OSError, match=message):
        convert.read_settings(tmp_path / name)


def test_a_configuration_in_yaml_is_read(tmp_path: Path) -> None:
    pytest.importorskip("yaml")
    (tmp_path / "a.yaml").write_text("model:\n  net: {bits: 8}\n")
    assert convert.read_settings(tmp_path / "a.yaml") == {"model": {"net": {"bits": 8}}}
