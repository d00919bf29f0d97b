"""Codecs on another device than the CPU: everything is made there, in formats that devices have."""

from __future__ import annotations

import math
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import COD_MODEL, MODEL
from fake_device import NAME, FakeDevice
from make_cod_model import TINY_PIXELS, write_velocity
from PIL import Image
from tiny_perco import make_perco
from tiny_pipelines import KINDS, make_pipeline

import diffc
from diffc.errors import OptionError

with_models = pytest.mark.skipif(
    find_spec("diffusers") is None or find_spec("transformers") is None,
    reason='needs pip install "diffc[models]"',
)

EMBEDDED: dict[str, dict[str, Any]] = {
    "cod": {"model": str(COD_MODEL)},
    "ddcm": {"model": str(MODEL), "steps": 4, "quality": 30},
    "ddcm, a map of weights": {"model": str(MODEL), "steps": 3, "quality": 30, "roi": "photo"},
    "ddcm, a target": {"model": str(MODEL), "steps": 4, "target_psnr": 12, "bpp": 2},
    "ddcm, kept features": {"steps": 4, "quality": 30, "cache": 3},
    "dither": {"model": str(MODEL), "quality": 30},
    "perco": {"quality": 30},
    "posterior": {"model": str(MODEL), "steps": 3, "chunk_bits": 8, "quality": 30},
    "posterior, gaussian": {
        "model": str(MODEL),
        "steps": 2,
        "chunk_bits": 8,
        "candidates": "gaussian",
        "quality": 10,
    },
    "relay": {"quality": 30},
    "relay, jpeg": {"quality": 30, "base": "jpeg"},
}


def psnr(first: Image.Image, second: Image.Image) -> float:
    difference = np.asarray(first, dtype=float) - np.asarray(second, dtype=float)
    return 10 * math.log10(255**2 / max(float(np.mean(difference**2)), 1e-9))


def there_and_here(image: Image.Image, name: str, options: dict[str, Any]) -> FakeDevice:
    """Code a picture on both devices, and each file on the other; return what was made there."""
    if options.get("roi") == "photo":
        options = options | {"roi": image.convert("L")}
    codec = name.partition(",")[0]
    where = {"model": options["model"]} if "model" in options else {}
    ours = diffc.encode(image, backend=codec, **options)
    with diffc.decoding(**where):
        wanted = diffc.decode(ours)
    device = FakeDevice()
    with device:
        theirs = diffc.encode(image, backend=codec, device=NAME, **options)
        with diffc.decoding(device=NAME, **where):
            found = diffc.decode(ours)
    with diffc.decoding(**where):
        across = diffc.decode(theirs)
    # their precision may differ, as that of a GPU does
    assert psnr(wanted, found) > 35
    assert across.size == image.size
    return device


def check(device: FakeDevice) -> None:
    """Require that all of the networks ran on the device."""
    assert device.places("aten::conv2d") == {NAME}
    assert torch.float32 in device.dtypes()


def check_formats(device: FakeDevice) -> None:
    """Require that there was no float64, which devices of Apple and Intel do not have."""
    assert torch.float64 not in device.dtypes()


@pytest.mark.parametrize("name", EMBEDDED)
def test_codecs_work_on_another_device(photo: Image.Image, name: str) -> None:
    device = there_and_here(photo, name, EMBEDDED[name])
    check(device)
    # the group norms of CoD are summed in it
    if name != "cod":
        check_formats(device)


@pytest.mark.parametrize("options", [{}, {"cache": 2}], ids=["every step", "kept features"])
def test_cod_draws_on_another_device(
    photo: Image.Image, tmp_path: Path, options: dict[str, Any]
) -> None:
    model = write_velocity(tmp_path / "cod", TINY_PIXELS)
    with diffc.decoding(steps=3, **options):
        check(there_and_here(photo, "cod", {"model": str(model)}))


@pytest.fixture(scope="module")
def pipelines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one pipeline of each kind, and one of PerCo (SD)."""
    folder = tmp_path_factory.mktemp("pipelines")
    for kind in KINDS:
        make_pipeline(kind, folder / kind)
    make_perco(folder / "perco")
    return folder


@with_models
@pytest.mark.parametrize(
    ("kind", "codec", "options"),
    [
        ("epsilon", "dither", {"quality": 30}),
        ("velocity", "posterior", {"steps": 2, "chunk_bits": 8, "quality": 30}),
        ("xl", "ddcm", {"steps": 2, "prompt": "a red disc", "quality": 30}),
        ("xl", "ddcm", {"steps": 3, "cache": 2, "quality": 30}),
        ("flow", "ddcm", {"steps": 2, "prompt": "a red disc", "quality": 30}),
        ("flow", "posterior", {"steps": 3, "chunk_bits": 8, "cache": 2, "quality": 30}),
        ("perco", "perco-sd", {"caption": "a red disc"}),
    ],
)
def test_pipelines_work_on_another_device(
    photo: Image.Image, pipelines: Path, kind: str, codec: str, options: dict[str, Any]
) -> None:
    device = there_and_here(photo, codec, {"model": pipelines / kind, **options})
    check(device)
    check_formats(device)


def test_a_forgotten_device_is_seen() -> None:
    """What these tests are worth: they fail where a GPU would."""
    with FakeDevice() as device:
        there = torch.zeros(2, 3, device=NAME)
        with pytest.raises(RuntimeError, match="all tensors on one device"):
            there + torch.ones(3)
        with pytest.raises(RuntimeError, match="all tensors on one device"):
            torch.nn.functional.linear(there, torch.ones(5, 3))
        with pytest.raises(RuntimeError, match="all tensors on one device"):
            torch.ones(2)[there[0].long()]
        with pytest.raises(TypeError, match="array of numpy"):
            there.numpy()
        there[:, torch.tensor([0, 2])] = 1.0
        assert (there + torch.tensor(1.0)).tolist() == [[2, 1, 2], [2, 1, 2]]
        layer = torch.nn.Linear(3, 2).to(NAME)
        assert str(layer(there).device) == str(layer.weight.device) == NAME
        assert torch.as_tensor([1.0], device=NAME).sum().item() == 1
    assert torch.float32 in device.dtypes()
    with pytest.raises(OptionError, match="device is one that torch has here"):
        diffc.encode(Image.new("RGB", (8, 8)), device="cuda:77")
