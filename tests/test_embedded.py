"""The model inside the package: there, small enough, safe to load, and good for a photograph."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from conftest import DATA
from PIL import Image
from safetensors import safe_open

import diffc
from diffc.codecs import model_folder

FOLDER = model_folder.embedded_folder("patch", "tiny")


def test_all_weights_are_safetensors_and_fit_the_package() -> None:
    weights = FOLDER.parent
    files = [path for path in weights.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} <= {".safetensors", ".json", ".md"}
    assert 10_000_000 < sum(path.stat().st_size for path in files) <= 32_000_000


def test_weights_are_finite_halves() -> None:
    for path in FOLDER.glob("*.safetensors"):
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118
                tensor = file.get_tensor(name)
                assert bool(tensor.isfinite().all()), name
                assert tensor.element_size() == (4 if name.endswith(("basis", "std")) else 2), name


def test_the_model_card_says_what_it_must() -> None:
    card = (FOLDER / "MODEL_CARD.md").read_text()
    assert "@" not in card  # nothing left to be filled in
    for heading in ("Data", "Training", "Quality", "Known failures", "Licence"):
        assert f"## {heading}" in card
    assert model_folder.fingerprint(FOLDER).hex() in card


@pytest.fixture(scope="module")
def photograph() -> Image.Image:
    """A public-domain photograph (NASA, a part of the portrait of Eileen Collins)."""
    with Image.open(Path(DATA) / "photograph.jpg") as image:
        return image.convert("RGB")


def psnr(first: Image.Image, second: Image.Image) -> float:
    difference = np.asarray(first, dtype=float) - np.asarray(second, dtype=float)
    return float(10 * np.log10(255**2 / np.mean(difference**2)))


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
        data = diffc.encode(photograph, bpp=bpp)
        assert 0.95 * bpp * pixels / 8 - 3 <= len(data) <= bpp * pixels / 8
        found.append(psnr(photograph, diffc.decode(data)))
    assert found == sorted(found)
    assert found[-1] > 25
