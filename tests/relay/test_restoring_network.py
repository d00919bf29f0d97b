"""The restoring network: the same in tiles as whole, finite for every base, drawn from noise."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from diffc.codecs.relay.network import FAMILIES, Condition, Restorer, RestorerConfig
from diffc.codecs.shared.networks.windows import faded_kernel


@pytest.fixture
def network() -> Restorer:
    torch.manual_seed(0)
    config = RestorerConfig(
        widths=(8, 8, 8),
        blocks=(1, 1, 1),
        detail_widths=(8, 8, 8, 8),
        detail_blocks=(1, 1),
        embedding=8,
    )
    made = Restorer(config).requires_grad_(False)
    torch.nn.init.normal_(made.mean.leave)
    torch.nn.init.normal_(made.detail.leave.weight)
    return made


def pictures(width: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    base = torch.rand(1, 3, 32, width, generator=generator) * 2 - 1
    return base, torch.randn(base.shape, generator=generator)


def condition(level: float = 0.1, family: str = "av1") -> Condition:
    number = torch.tensor([FAMILIES.index(family)])
    return Condition(torch.tensor([level]), torch.tensor([2.0]), number)


def test_a_tile_with_a_margin_is_as_the_whole(network: Restorer) -> None:
    base, noise = pictures(480)
    full = torch.ones(1)
    whole = network(base, condition(), noise, full)
    part = slice(160, 480)
    tile = network(base[..., part], condition(), noise[..., part], full)
    torch.testing.assert_close(tile[..., 128:], whole[..., 288:], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("level", [2 ** (-255 / 24), 1.0])
@pytest.mark.parametrize("family", ["av1", "other"])
def test_every_level_is_finite_and_the_change_is_of_its_size(
    network: Restorer, level: float, family: str
) -> None:
    base, noise = pictures(48)
    made = network(base, condition(level, family), noise, torch.ones(1))
    assert bool(made.isfinite().all())
    change = float((made - base).square().mean().sqrt()) / level
    assert 0 < change < 100


def test_without_realism_there_is_the_mean_alone(network: Restorer) -> None:
    base, noise = pictures(48)
    mean = network.mean(base, condition())[0]
    made = network(base, condition(), noise, torch.zeros(1))
    assert torch.equal(made, mean)


def test_detail_follows_the_noise_of_every_plane(network: Restorer) -> None:
    base, noise = pictures(48)
    made = network(base, condition(), noise, torch.ones(1))
    for plane in range(3):
        other = noise.clone()
        other[:, plane] *= -1
        assert not torch.allclose(network(base, condition(), other, torch.ones(1)), made)


def test_a_grid_cannot_be_drawn_by_a_constant(network: Restorer) -> None:
    flat = torch.ones(1, 8, 6, 6)
    kernel = faded_kernel(network.mean.leave, network.mean.window)
    made = F.pixel_shuffle(F.conv2d(flat, kernel, padding=1), 4)[:, :, 4:-4, 4:-4]
    assert torch.allclose(made, made.mean((2, 3), keepdim=True).expand_as(made), atol=1e-4)
    assert float(made.abs().mean()) > 0.1
