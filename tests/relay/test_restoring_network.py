"""The restoring network: the same in tiles as whole, and finite for every base."""

from __future__ import annotations

import pytest
import torch

from diffc.codecs.relay.network import RestoringConfig, RestoringNetwork


@pytest.fixture(params=[False, True])
def network(request: pytest.FixtureRequest) -> RestoringNetwork:
    torch.manual_seed(0)
    config = RestoringConfig(
        widths=(8, 8, 8), blocks=(1, 1, 1), embedding=8, unit_detail=request.param
    )
    made = RestoringNetwork(config).requires_grad_(False)
    torch.nn.init.normal_(made.leave)
    return made


def pictures(width: int, level: float = 0.1) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    base = torch.rand(1, 3, 32, width, generator=generator) * 2 - 1
    return base, base + level * torch.randn(base.shape, generator=generator)


def test_a_tile_with_a_margin_is_as_the_whole(network: RestoringNetwork) -> None:
    base, state = pictures(480)
    level, scale = torch.tensor([0.1]), torch.tensor([2.0])
    whole = network(state, level, base, level, scale)
    part = slice(160, 480)
    tile = network(state[..., part], level, base[..., part], level, scale)
    torch.testing.assert_close(tile[..., 128:], whole[..., 288:], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("level", [2 ** (-255 / 24), 1.0])
def test_every_level_is_finite_and_the_change_is_of_its_size(
    network: RestoringNetwork, level: float
) -> None:
    base, state = pictures(48, level)
    levels = torch.tensor([level])
    made = network(state, levels, base, levels, torch.tensor([1.0]))
    assert bool(made.isfinite().all())
    change = float((made - base).square().mean().sqrt()) / level
    assert 0 < change < 100


def test_unit_detail_does_not_change_with_brightness_and_contrast_of_detail() -> None:
    torch.manual_seed(0)
    config = RestoringConfig(widths=(8, 8, 8), blocks=(1, 1, 1), embedding=8, unit_detail=True)
    network = RestoringNetwork(config)
    base, _ = pictures(32)
    level = torch.tensor([0.1])
    seen = network._seen(0.1 * base, torch.zeros_like(base), level)
    faint = network._seen(0.01 * base + 0.5, torch.zeros_like(base), 0.1 * level)
    torch.testing.assert_close(seen[:, 3:], faint[:, 3:], rtol=1e-3, atol=1e-4)
    assert not torch.allclose(seen[:, :3], faint[:, :3])
