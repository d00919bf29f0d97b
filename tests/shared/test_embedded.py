"""The model inside the package: there, small enough, safe to load, and good for a photograph."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import DATA
from photograph import psnr
from PIL import Image
from safetensors import safe_open

import diffc
from diffc.codecs.perco import model as token_model
from diffc.codecs.perco.bitstream import PercoParameters
from diffc.codecs.perco.packing import packed_bits
from diffc.codecs.relay import model
from diffc.codecs.shared import models
from diffc.container.reader import parse_header
from diffc.models.lookup import embedded_folder

FOLDER = embedded_folder("patch", "tiny")
PERCO_FOLDER = embedded_folder("tokens", "tiny")
FOLDERS = [FOLDER, embedded_folder("restoring", "tiny"), PERCO_FOLDER]


def test_all_weights_are_safetensors_and_fit_the_package() -> None:
    weights = FOLDER.parent
    files = [path for path in weights.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} <= {".safetensors", ".json", ".md"}
    assert 10_000_000 < sum(path.stat().st_size for path in files) <= 32_000_000


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_weights_are_finite_bytes_but_for_the_basis(folder: Path) -> None:
    for path in folder.glob("*.safetensors"):
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        assert all(bool(tensor.isfinite().all()) for tensor in tensors.values())
        exact = {name for name in tensors if name.endswith(("basis", "channel_std"))}
        assert all(tensors[name].dtype == torch.float32 for name in exact)
        packed = [tensor for name, tensor in tensors.items() if name not in exact]
        size = sum(tensor.numel() * tensor.element_size() for tensor in packed)
        assert size < 1.1 * sum(tensor.numel() for tensor in packed)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_the_model_card_says_what_it_must(folder: Path) -> None:
    card = (folder / "MODEL_CARD.md").read_text()
    assert "@" not in card  # nothing left to be filled in
    for heading in ("Data", "Training", "Quality", "Known failures", "Licence"):
        assert f"## {heading}" in card
    assert models.fingerprint(folder).hex() in card


@pytest.fixture(scope="module")
def photograph() -> Image.Image:
    """A public-domain photograph (NASA, a part of the portrait of Eileen Collins)."""
    with Image.open(Path(DATA) / "photograph.jpg") as image:
        return image.convert("RGB")


def test_the_default_is_a_file_that_opens_by_itself(
    photograph: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DIFFC_MODELS")
    file = io.BytesIO()
    photograph.save(file, "DIFFC")
    with Image.open(file) as image:
        assert (image.size, image.mode) == (photograph.size, "RGB")
        assert psnr(photograph, image) > 22
    overhead = len(file.getvalue()) - diffc.info(file.getvalue()).payload_bytes
    assert overhead <= 34


def test_psnr_rises_with_rate_and_targets_are_met(photograph: Image.Image) -> None:
    pixels = photograph.width * photograph.height
    found = []
    for bpp in (0.1, 0.3, 0.8):
        data = diffc.encode(photograph, backend="ddcm", bpp=bpp)
        assert 0.95 * bpp * pixels / 8 - 3 <= len(data) <= bpp * pixels / 8
        found.append(psnr(photograph, diffc.decode(data)))
    assert found == sorted(found)
    assert found[-1] > 25


def test_relay_keeps_its_targets_and_restores_the_base(photograph: Image.Image) -> None:
    pixels = photograph.width * photograph.height
    for bpp, least in ((0.1, 22), (0.3, 25), (0.8, 28)):
        data = diffc.encode(photograph, backend="relay", bpp=bpp)
        assert 0.75 * bpp * pixels / 8 <= len(data) <= bpp * pixels / 8
        made, base = diffc.decode(data), diffc.decode(data, realism=0)
        assert psnr(photograph, made) > least
        # detail is there, and does not cost more than it should
        assert psnr(base, made) < 50
        assert psnr(photograph, base) - psnr(photograph, made) < 1.5


def test_perco_says_more_with_more_tokens(photograph: Image.Image) -> None:
    found = []
    for size in (90, 300, 1200):
        data = diffc.encode(photograph, backend="perco", target_size=size)
        assert 0.95 * size <= len(data) <= size
        made = diffc.decode(data)
        assert made.size == photograph.size
        found.append(psnr(photograph, made))
    assert found == sorted(found)
    assert found[0] > 13
    assert found[-1] > 20


def test_the_index_model_of_perco_saves_bytes(photograph: Image.Image) -> None:
    data = diffc.encode(photograph, backend="perco", quality=50)
    parameters = PercoParameters.unpack(parse_header(data).parameters)
    assert parameters.modelled
    layout = models.load_once(token_model.TokenModel, PERCO_FOLDER, "cpu").layout(*photograph.size)
    assert diffc.info(data).payload_bytes < 0.95 * packed_bits(layout, parameters.count) / 8


def test_tiles_of_relay_leave_no_trace(
    photograph: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    # a sky above the photograph, where a seam would show
    tall = Image.new("RGB", (photograph.width, 2 * photograph.height))
    sky = Image.linear_gradient("L").resize(photograph.size)
    tall.paste(Image.merge("RGB", (sky, sky.point(lambda v: 128 + v // 2), sky)))
    tall.paste(photograph, (0, photograph.height))
    data = diffc.encode(tall, backend="relay", bpp=0.1)
    whole = np.asarray(diffc.decode(data), dtype=float)
    monkeypatch.setattr(model.RestoringModel, "largest", 128)
    monkeypatch.setattr(model.RestoringModel, "whole", 128)
    tiled = np.asarray(diffc.decode(data), dtype=float)
    assert np.abs(whole - tiled).max() <= 2
    difference = np.abs(whole - tiled).mean(axis=(1, 2))
    assert difference.max() <= 0.25
