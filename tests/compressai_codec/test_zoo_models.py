"""Every class of the zoo: the strings and pictures are CompressAI's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_zoo import library, needs_compressai, network_of, noise

from diffc.codecs.compressai.config import CLASSES
from diffc.codecs.compressai.convert import GAINS_BETWEEN, write_model
from diffc.codecs.compressai.model import Strings, ZooModel

pytestmark = needs_compressai


def test_every_image_model_of_the_zoo_has_its_class() -> None:
    assert set(CLASSES) == set(library("compressai.zoo").image_models)


@pytest.mark.parametrize("architecture", CLASSES)
def test_strings_and_pictures_are_those_of_compressai(architecture: str, tmp_path: Path) -> None:
    network = network_of(architecture)
    write_model(network.state_dict(), {}, tmp_path / "model")
    model = ZooModel(tmp_path / "model", "cpu")
    assert model.config.architecture == architecture
    pixels = noise(128, 192)
    for gain in sorted({0, model.gains // 2, model.gains - 1}):
        told = inputs_of(network, gain)
        with torch.inference_mode():
            theirs = network.compress(pixels, **told)
            picture = network.decompress(theirs["strings"], theirs["shape"], **told)["x_hat"][0]
        strings = model.encode(pixels, gain)
        ours = [each for each in (strings.second, strings.first) if each]
        assert ours == [each[0] for each in theirs["strings"]]
        # not all of them the same symbol
        assert len(b"".join(ours)) > 250
        latent = model.latent(strings, (192, 128), lambda row: None, gain)
        assert torch.allclose(model.pixels(latent)[0], picture, atol=1e-5)


def inputs_of(network: Any, gain: int) -> dict[str, Any]:
    """Return what sets a variable rate, and make the tables that go with it."""
    if not hasattr(network, "Gain"):
        return {}
    level, step = divmod(gain, GAINS_BETWEEN)
    levels = network.Gain.detach().tolist()
    ratio = levels[min(level + 1, len(levels) - 1)] / levels[level]
    value = torch.tensor(levels[level] * ratio ** (step / GAINS_BETWEEN))
    if network.vr_entbttlnck:
        network.update(force=True, scale=value)
    return {"inputscale": value}


@pytest.mark.parametrize("architecture", ["mbt2018-mean", "mbt2018"])
def test_a_damaged_string_is_an_error(architecture: str, tmp_path: Path) -> None:
    write_model(network_of(architecture).state_dict(), {}, tmp_path / "model")
    model = ZooModel(tmp_path / "model", "cpu")
    whole = model.encode(noise(64, 64))
    short = Strings(whole.first, whole.second[:-4], whole.mark)
    long = Strings(whole.first, whole.second + bytes(4), whole.mark)
    swapped = Strings(whole.second, whole.first, whole.mark)
    for strings in (short, long, swapped, Strings(b"", b"", whole.mark)):
        with pytest.raises(OSError, match=r"damaged|come out otherwise"):
            model.latent(strings, (64, 64), lambda row: None)
