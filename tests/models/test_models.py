"""Model folders: fingerprints, where models are looked for, and what the networks promise."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from conftest import MODEL, RELAY_MODEL
from PIL import Image

import diffc
from diffc.codec import DecodeOptions
from diffc.codecs.shared import models
from diffc.codecs.shared.diffusion.schedules import sigma_table
from diffc.codecs.shared.latents.denoiser import DenoiserConfig, LatentDenoiser
from diffc.codecs.shared.models import fast_dtype


@pytest.mark.parametrize(
    ("model", "name", "changed"),
    [
        (MODEL, "denoiser.safetensors", ("sigmas", "warp", 0.6)),
        (RELAY_MODEL, "restoring.safetensors", ("restoring", "embedding", 16)),
    ],
    ids=["patch", "restoring"],
)
def test_the_fingerprint_is_of_weights_and_configuration(
    model: Path, name: str, changed: tuple[str, str, float], tmp_path: Path
) -> None:
    original = models.fingerprint(model)
    copy = tmp_path / "copy"
    shutil.copytree(model, copy)
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config, indent=7))
    assert models.fingerprint(copy) == original
    edited = tmp_path / "edited"
    shutil.copytree(model, edited)
    weights = bytearray((edited / name).read_bytes())
    weights[-1] ^= 1
    (edited / name).write_bytes(weights)
    assert models.fingerprint(edited) != original
    other = tmp_path / "other"
    shutil.copytree(model, other)
    part, key, value = changed
    assert config[part][key] != value
    config[part][key] = value
    (other / "config.json").write_text(json.dumps(config))
    assert models.fingerprint(other) != original


@pytest.mark.parametrize(("backend", "model"), [("ddcm", MODEL), ("relay", RELAY_MODEL)])
def test_a_file_finds_its_model_by_fingerprint(
    photo: Image.Image,
    backend: str,
    model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    moved = tmp_path / "somewhere" / "renamed"
    shutil.copytree(model, moved)
    data = diffc.encode(photo, backend=backend, quality=10, model=str(moved))
    monkeypatch.delenv("DIFFC_MODELS")
    with pytest.raises(OSError, match=diffc.info(data).model or ""):
        diffc.decode(data)
    assert diffc.decode(data, model=model).size == photo.size
    monkeypatch.setenv("DIFFC_MODELS", str(moved.parent))
    assert diffc.decode(data).size == photo.size


@pytest.mark.parametrize("name", ["../../x", "hf://a/b", "https://a/b", "x" * 10**6, ""])
def test_names_of_no_model_are_refused(photo: Image.Image, name: str) -> None:
    with pytest.raises(ValueError, match="model is"):
        diffc.encode(photo, model=name)


def test_without_an_answer_about_the_processor_float32_is_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(torch.cpu, "_is_avx512_bf16_supported", raising=False)
    assert fast_dtype("cpu") is torch.float32


def test_a_file_without_fingerprint_is_refused() -> None:
    with pytest.raises(OSError, match="names no model"):
        models.folder_with(None, DecodeOptions(), "patch")


def test_noise_levels_rise_between_their_ends() -> None:
    table = sigma_table(smallest=0.05, largest=60.0, count=1000, warp=0.7)
    assert (table[0], table[-1]) == (pytest.approx(0.05), pytest.approx(60.0))
    assert table == sorted(table)


def test_precision_is_one_that_the_device_has() -> None:
    assert fast_dtype("cpu") in (torch.float32, torch.bfloat16)


def test_a_condition_enters_only_where_there_is_an_input_for_it() -> None:
    torch.manual_seed(0)
    sizes = {"channels": 4, "width": 8, "inner_width": 8, "embedding": 4}
    x, sigma, features = torch.randn(1, 4, 6, 4), torch.ones(1), torch.randn(1, 3, 6, 4)
    plain = LatentDenoiser(DenoiserConfig(**sizes))
    with pytest.raises(ValueError, match="no condition"):
        plain(x, sigma, features)
    ready = LatentDenoiser(DenoiserConfig(**sizes, condition_channels=3))
    torch.nn.init.normal_(ready.leave.weight)
    assert torch.equal(ready(x, sigma), ready(x, sigma, features))  # starts at zero
    assert ready.condition is not None
    torch.nn.init.normal_(ready.condition.weight)
    assert not torch.equal(ready(x, sigma), ready(x, sigma, features))
