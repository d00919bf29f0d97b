"""A learned base: trained by one command, written as a model folder, and restored by relay."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from photograph import drawn
from PIL import Image
from tiny_zoo import HERE, needs_compressai, write_zoo_model

import diffc
from diffc.codecs.compressai.training import ZooSettings
from diffc.codecs.training.__main__ import main, offered_stages
from diffc.models.adding import add

PRESET = """
seed = 1
[compressai]
architecture = "mbt2018-mean"
channels = 12
latent_channels = 16
trade_off = 0.02
batch = 4
crop = 64
steps = {steps}
learning_rate = 3e-3
"""
STAGES = ("compressai", "export-compressai")
SIZE = (192, 128)


def trained(folder: Path, steps: int) -> Path:
    """Train for some steps; return the model's folder, named as the zoo's are."""
    photos = folder / "photos"
    photos.mkdir(exist_ok=True)
    for number in range(4):
        drawn((240, 176), "RGB").rotate(90 * number).save(photos / f"{number}.png")
    (folder / "preset.toml").write_text(PRESET.format(steps=steps))
    model = folder / f"mine-{steps}"
    command = [str(folder / f"run-{steps}"), "--photos", str(photos), "--pattern", "*.png"]
    command += ["--preset", str(folder / "preset.toml"), "--compressai-model", str(model)]
    assert main([*command, "--stages", *STAGES]) == 0
    return model


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a hyperprior that was trained for seconds."""
    return trained(tmp_path_factory.mktemp("learned"), 240)


def psnr(first: Image.Image, second: Image.Image) -> float:
    """Return the PSNR in dB."""
    one, two = (np.asarray(each, dtype=float) for each in (first, second))
    return 10 * float(np.log10(255**2 / np.square(one - two).mean()))


def test_the_stage_is_offered_where_the_package_is() -> None:
    names = {stage.name for stage in offered_stages()}
    assert set(STAGES) <= names if HERE else not set(STAGES) & names


def test_only_models_of_fixed_rate_are_trained() -> None:
    settings = ZooSettings(1, 64, 1, 1e-4, "mbt2018-vbr", 8, 12, 0.01)
    with pytest.raises(ValueError, match="cheng2020-attn, not 'mbt2018-vbr': write one of these"):
        _ = settings.config


@needs_compressai
def test_training_lowers_rate_and_error(learned: Path) -> None:
    rows = (learned.parent / "run-240" / "compressai" / "log.jsonl").read_text().splitlines()
    first, last = json.loads(rows[0]), json.loads(rows[-1])
    assert last["bpp"] < first["bpp"]
    assert last["psnr"] > first["psnr"] + 3
    # what was coded is what the file is as long as, tables and all
    picture = drawn(SIZE, "RGB")
    data = diffc.encode(picture, backend="compressai", model=str(learned))
    with diffc.decoding(model=str(learned)):
        assert psnr(picture, diffc.decode(data)) > 15
    assert 8 * len(data) / (SIZE[0] * SIZE[1]) < 2 * last["bpp"] + 0.1


@needs_compressai
def test_it_is_a_base_of_relay(learned: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = drawn(SIZE, "RGB")
    options = {"backend": "relay", "base": f"compressai:{learned}"}
    data = diffc.encode(picture, **options, quality=50)
    inside = diffc.extract(data)
    assert inside == diffc.encode(picture, backend="compressai", model=str(learned))
    # at decoding it is found as every model is: named, in the environment, or in the store
    with pytest.raises(OSError, match="model") as caught:
        diffc.decode(data)
    assert "\n" not in str(caught.value)
    mean = diffc.decode(data, realism=0, model=str(learned))
    with diffc.decoding(model=str(learned)):
        base = diffc.decode(inside)
    assert psnr(picture, mean) >= psnr(picture, base)
    monkeypatch.setenv("DIFFC_MODELS", str(learned))
    assert np.array_equal(np.asarray(diffc.decode(data, realism=0)), np.asarray(mean))
    fitting = diffc.encode(picture, **options, target_size=len(data) - 1)
    assert diffc.info(diffc.extract(fitting)).size < picture.size
    assert diffc.encode(picture, **options, target_size=len(data)) == data


@needs_compressai
def test_the_quality_of_a_family_stands_in_the_base(
    tmp_path: Path, own_store: Path, photo: Image.Image
) -> None:
    for quality, loud in ((1, 6), (4, 40)):
        add(write_zoo_model(tmp_path / f"mbt2018-mean-{quality}", "mbt2018-mean", loud))
    low, high = (
        diffc.encode(photo, backend="relay", base=f"compressai:mbt2018-mean:{each}")
        for each in (1, 4)
    )
    assert len(low) < len(high)
    assert diffc.info(diffc.extract(low)).model != diffc.info(diffc.extract(high)).model
    # of a family the rate chooses
    family = {"backend": "relay", "base": "compressai:mbt2018-mean", "scale": 1}
    assert diffc.encode(photo, **family, target_size=len(high) - 1) == low
    assert diffc.encode(photo, **family, target_size=len(high)) == high
    assert diffc.decode(low).size == photo.size
    with pytest.raises(ValueError, match="'mbt2018-mean:5' is not among them: convert"):
        diffc.encode(photo, backend="relay", base="compressai:mbt2018-mean:5")


@needs_compressai
def test_written_with_one_thread_it_opens_with_four(learned: Path, tmp_path: Path) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        data = diffc.encode(drawn(SIZE, "RGB"), backend="relay", base=f"compressai:{learned}")
        wanted = np.asarray(diffc.decode(data, model=str(learned)), dtype=np.int16)
    finally:
        torch.set_num_threads(threads)
    (tmp_path / "a.diffc").write_bytes(data)
    code = (
        "import diffc, torch; torch.set_num_threads(4); diffc.decode('a.diffc').save('a.png'); "
        "print(torch.get_num_threads())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=os.environ | {"DIFFC_MODELS": str(learned), "OMP_NUM_THREADS": "4"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "4\n"), done.stderr
    with Image.open(tmp_path / "a.png") as shown:
        apart = np.asarray(shown, dtype=np.int16) - wanted
    # pixels of the base may be rounded the other way, and what is made of it follows
    assert np.abs(apart).max() <= 3


@pytest.mark.skipif(HERE, reason="CompressAI is here")
def test_without_the_package_the_error_names_the_extra() -> None:
    with pytest.raises(ValueError, match=r"without compressai: pip install .diffc\[compressai\]"):
        diffc.encode(drawn((64, 64), "RGB"), backend="relay", base="compressai:mbt2018-mean:1")
