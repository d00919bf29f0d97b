"""Fixtures that tests of every concern share."""

from __future__ import annotations

import atexit
import os
import tempfile
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFilter

DATA = Path(__file__).parent / "data"
MODEL = DATA / "model"
RELAY_MODEL = DATA / "relay-model"
PERCO_MODEL = DATA / "perco-model"
COD_MODEL = DATA / "cod-model"

# subprocesses and workers inherit it: files made with the test model open everywhere
os.environ["DIFFC_MODELS"] = os.pathsep.join(map(str, (MODEL, RELAY_MODEL, COD_MODEL, PERCO_MODEL)))
# models that the user of this machine has fetched are none of the tests' business
_STORE = tempfile.TemporaryDirectory(prefix="diffc-store-")
atexit.register(_STORE.cleanup)
os.environ["DIFFC_STORE"] = _STORE.name
os.environ.pop("DIFFC_ALLOW_DOWNLOAD", None)


@pytest.fixture(scope="session")
def model() -> str:
    """Directory of the small test model of the default codec."""
    return str(RELAY_MODEL)


@pytest.fixture(scope="session")
def ddcm_model() -> str:
    """Directory of the small test model of ddcm."""
    return str(MODEL)


def draw_photo() -> Image.Image:
    """Draw a small picture with edges, gradients and colour, 96x64."""
    ramp = Image.linear_gradient("L").resize((96, 64))
    glow = Image.radial_gradient("L").resize((96, 64))
    image = Image.merge("RGB", (ramp, ramp.rotate(180), glow))
    draw = ImageDraw.Draw(image)
    draw.ellipse((20, 10, 60, 50), fill=(200, 40, 60))
    draw.rectangle((55, 30, 90, 60), fill=(30, 90, 200))
    return image.filter(ImageFilter.GaussianBlur(3))


@pytest.fixture
def photo() -> Image.Image:
    """A small picture with edges, gradients and colour, 96x64."""
    return draw_photo()


@pytest.fixture
def own_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store of the test's own; embedded models are the only ones beside it."""
    monkeypatch.setenv("DIFFC_STORE", str(tmp_path / "store"))
    monkeypatch.delenv("DIFFC_MODELS")
    return tmp_path / "store"


@pytest.fixture
def pipeline(tmp_path: Path) -> Path:
    """A pipeline's directory, with weights that no network could be made of."""
    from fake_hub import write_pipeline

    return write_pipeline(tmp_path / "pipe")
