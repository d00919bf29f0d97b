"""Texture: bands, draws of the strength that is asked for, and the likelihood's minimum."""

from __future__ import annotations

import pytest
import torch

from diffc.codecs.relay.texture import BANDS, REACH, bands, likelihood_loss, luma, texture


def white(height: int = 256, width: int = 320) -> torch.Tensor:
    return torch.randn(1, 1, height, width, generator=torch.Generator().manual_seed(2))


def test_bands_of_white_noise_are_drawn_at_deviation_one() -> None:
    for band in range(BANDS):
        deviation = torch.zeros(1, BANDS, 256, 320)
        deviation[:, band] = 1
        made = texture(white(), deviation)[:, :, 16:-16, 16:-16]
        assert float(made.std()) == pytest.approx(1, abs=0.06)


def test_bands_and_what_is_left_add_up() -> None:
    plane = white(40, 50)
    split = bands(plane)
    assert split.shape == (1, BANDS, 40, 50)
    # what is left is smooth: its own finest band is nearly nothing
    rest = plane - split.sum(1, keepdim=True)
    assert float(bands(rest)[:, :1].std()) < 0.02 * float(split[:, :1].std())


@pytest.mark.parametrize("size", [(1, 1), (1, 30), (16, 16)])
def test_every_size_has_bands(size: tuple[int, int]) -> None:
    flat = torch.full((2, 1, *size), 0.25)
    assert float(bands(flat).abs().max()) < 1e-6


def test_the_likelihood_is_best_at_the_true_deviation() -> None:
    missing = torch.randn(1, 3, 128, 128, generator=torch.Generator().manual_seed(3))
    true = bands(luma(missing)).square().mean((2, 3), keepdim=True).sqrt()
    losses = [
        float(likelihood_loss(missing, (factor * true).expand(-1, -1, 128, 128)))
        for factor in (0.5, 0.8, 1.0, 1.25, 2.0)
    ]
    assert min(losses) == losses[2]


def test_texture_is_as_strong_as_its_deviation_says_at_each_place() -> None:
    deviation = torch.ones(1, BANDS, 256, 320)
    deviation[..., 160:] = 0.25
    made = texture(white(), deviation)
    assert float(made[..., 170:].std() / made[..., :150].std()) == pytest.approx(0.25, rel=0.1)


def test_parts_of_a_picture_join_if_their_noise_goes_on() -> None:
    noise = white(64, 40)
    deviation = torch.rand(1, BANDS, 64, 40, generator=torch.Generator().manual_seed(4))
    whole = texture(noise, deviation)
    upper = texture(noise[:, :, : 30 + REACH], deviation[:, :, :30])
    lower = texture(noise[:, :, 30 - REACH :], deviation[:, :, 30:], REACH)
    torch.testing.assert_close(torch.cat([upper, lower], dim=2), whole, rtol=1e-5, atol=1e-5)
    short = texture(noise[:, :, 30 - REACH // 2 :], deviation[:, :, 30:], REACH // 2)
    assert not torch.allclose(short, whole[:, :, 30:], rtol=1e-5, atol=1e-5)
