"""Pixels of latents: the mean of least squared error, and detail drawn from noise beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import draw_photo
from make_test_model import make
from numpy.typing import NDArray

import diffc
from diffc.codecs.shared.latents.patch_model import PatchModel
from diffc.codecs.shared.latents.pixels import read_networks
from diffc.codecs.shared.latents.synthesis import DetailConfig, SynthesisDetail, expected_error
from diffc.codecs.shared.latents.training_export import write_latent_model
from diffc.codecs.shared.models import config_of
from diffc.noise.streams import Purpose, random_normals

CODECS = ("ddcm", "posterior", "dither")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder whose detail is strong enough to be seen."""
    denoiser, synthesis = make()
    sizes = DetailConfig(widths=(8, 8, 8, 8), blocks=(1, 1), embedding=8)
    detail = SynthesisDetail(sizes, synthesis.config)
    torch.nn.init.normal_(detail.leave.weight, std=0.5)
    path = tmp_path_factory.mktemp("models") / "drawing"
    write_latent_model(path, denoiser, synthesis, detail)
    return path


def decoded(data: bytes, folder: Path, realism: float | None = None) -> NDArray[np.float64]:
    with diffc.decoding(model=folder, realism=realism):
        return np.asarray(diffc.decode(data), np.float64)


@pytest.mark.parametrize("codec", CODECS)
def test_realism_is_the_strength_of_what_is_drawn(folder: Path, codec: str) -> None:
    photo = draw_photo()
    data = diffc.encode(photo, backend=codec, model=str(folder), quality=60)
    none, half, default, full = (decoded(data, folder, each) for each in (0, 0.7, None, 1))
    assert np.array_equal(half, default)
    assert 0 < np.abs(half - none).mean() < np.abs(full - none).mean()
    assert np.array_equal(full, decoded(data, folder, 1))


@pytest.mark.parametrize("codec", CODECS)
def test_each_seed_draws_other_detail(folder: Path, codec: str) -> None:
    first, second = (
        diffc.encode(draw_photo(), backend=codec, model=str(folder), quality=60, seed=seed)
        for seed in (0, 1)
    )
    drawn, other = (decoded(each, folder, 1) - decoded(each, folder, 0) for each in (first, second))
    similar = float((drawn * other).sum() / np.sqrt((drawn**2).sum() * (other**2).sum()))
    assert similar < 0.9


def test_noise_of_a_row_does_not_depend_on_the_pictures_height(folder: Path) -> None:
    model = PatchModel(folder, "cpu")
    short, tall = torch.zeros(1, model.channels, 4, 6), torch.zeros(1, model.channels, 12, 6)
    with torch.inference_mode():
        few, many = (model.synthesise(each, 0.5, 1.0, 3) for each in (short, tall))
    # the top of both is far enough from the lower border of the shorter one
    torch.testing.assert_close(few[:, :, :2], many[:, :, :2], rtol=0, atol=0.02)
    assert float(few[:, :, :2].std()) > 0.02


def test_detail_is_what_the_network_draws_from_the_portable_noise(folder: Path) -> None:
    model = PatchModel(folder, "cpu")
    generator = torch.Generator().manual_seed(2)
    latent, level = torch.randn(1, model.channels, 10, 6, generator=generator), torch.tensor([0.5])
    normals = random_normals(7, Purpose.TEXTURE, 0, torch.arange(160), 3 * 96, "cpu")
    white = normals.reshape(1, 160, 3, 96).transpose(1, 2)
    synthesis, detail = read_networks(folder, config_of(folder))
    assert detail is not None
    with torch.inference_mode():
        mean, features, inner = synthesis(latent, level)
        drawn = detail(mean, features, inner, level, white, torch.tensor([0.8]))
        found = [model.synthesise(latent, 0.5, realism, 7) for realism in (0.0, 0.8)]
    for made, expected in zip(found, (mean, mean + drawn), strict=True):
        pixels = expected.add(1).div(2).clamp(0, 1)
        # the model computes in bfloat16 where that is fast
        torch.testing.assert_close(made, pixels, rtol=0, atol=0.03)
    assert float((found[1] - found[0]).abs().mean()) > 0.01


def test_the_expected_error_rises_with_the_level() -> None:
    levels = expected_error(torch.tensor([0.1, 0.5, 2.0]))
    assert levels.tolist() == sorted(levels.tolist())
    assert 0.05 < float(levels[0]) < float(levels[2]) < 0.2
