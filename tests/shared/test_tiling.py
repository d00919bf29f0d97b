"""Tiles join without a seam, because their margins cover the networks' fields of view."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from diffc.codecs.shared.latents import patch_model
from diffc.codecs.shared.latents.denoiser import DenoiserConfig, LatentDenoiser
from diffc.codecs.shared.latents.pixels import MARGIN
from diffc.codecs.shared.latents.synthesis import (
    DetailConfig,
    Synthesis,
    SynthesisConfig,
    SynthesisDetail,
)
from diffc.codecs.shared.tiling.exact import in_tiles


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def test_the_denoisers_margin_covers_its_view() -> None:
    # depth as embedded, narrow: the view depends on depth alone
    config = DenoiserConfig(channels=4, width=8, inner_width=8, embedding=4)
    network = LatentDenoiser(config).eval()
    torch.nn.init.normal_(network.leave.weight)
    latent, sigma = torch.randn(1, 4, 90, 62), torch.ones(1)

    def denoise(tile: Tensor) -> Tensor:
        made: Tensor = network(tile, sigma)
        return made

    with torch.inference_mode():
        whole = denoise(latent)
        margin = patch_model.DENOISER_MARGIN
        tiled = in_tiles(denoise, latent, largest=22, margin=margin, scale=1)
        seams = in_tiles(denoise, latent, largest=22, margin=4, scale=1)
    torch.testing.assert_close(tiled, whole, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(seams, whole, rtol=1e-4, atol=1e-4)


def test_the_synthesis_networks_margin_covers_its_view() -> None:
    sizes = SynthesisConfig(channels=4, widths=(8, 8, 8), embedding=4, smoothing=2)
    network = Synthesis(sizes).eval()
    # depth as embedded, narrow
    detail = SynthesisDetail(DetailConfig(widths=(8, 8, 8, 8), embedding=4), sizes).eval()
    for parameter in (*network.parameters(), *detail.parameters()):
        torch.nn.init.normal_(parameter, std=0.2)
    network.transform.get_buffer("basis").normal_()
    latent, level = torch.randn(1, 4, 33, 41), torch.ones(1)
    noise = torch.randn(1, 3 * 16**2, 33, 41)

    def synthesise(tile: Tensor, white: Tensor) -> Tensor:
        picture, features, inner = network(tile, level)
        drawn = detail(picture, features, inner, level, F.pixel_shuffle(white, 16), level)
        return torch.cat([picture, drawn], dim=1)

    def in_tiles_of(margin: int) -> Tensor:
        return in_tiles(synthesise, latent, noise, largest=12, margin=margin, scale=16)

    with torch.inference_mode():
        whole, tiled, seams = synthesise(latent, noise), in_tiles_of(MARGIN), in_tiles_of(2)
    torch.testing.assert_close(tiled, whole, rtol=1e-3, atol=1e-3)
    for part in (slice(0, 3), slice(3, 6)):
        assert not torch.allclose(seams[:, part], whole[:, part], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("size", [(7, 30), (64, 64), (65, 3)])
def test_every_position_is_computed_once(size: tuple[int, int]) -> None:
    latent = torch.randn(1, 2, *size)
    assert torch.equal(in_tiles(lambda tile: tile, latent, largest=8, margin=2, scale=1), latent)
