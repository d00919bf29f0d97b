"""Fixtures that tests of every concern share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFilter

DATA = Path(__file__).parent / "data"
MODEL = DATA / "model"
RELAY_MODEL = DATA / "relay-model"

# subprocesses and workers inherit it: files made with the test model open everywhere
os.environ["DIFFC_MODELS"] = os.pathsep.join(map(str, (MODEL, RELAY_MODEL)))


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
