"""Blended tiles: they add up to the whole, stay small, and leave no seam."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from diffc.codecs.shared.tiling.blended import Tiling, blended

SMALL = Tiling(largest=24, tile=16, overlap=4, multiple=4)


@pytest.mark.parametrize("size", [(28, 28), (28, 100), (32, 44), (4, 120), (100, 36)])
@pytest.mark.parametrize(("before", "after"), [(1, 1), (2, 1), (1, 3)])
def test_tiles_of_a_local_network_make_the_whole(
    size: tuple[int, int], before: int, after: int
) -> None:
    x = torch.randn(1, 2, *(before * side for side in size))

    def network(part: Tensor) -> Tensor:
        return F.interpolate(F.avg_pool2d(part, before), scale_factor=after)

    made = blended(network, x, SMALL, before=before, after=after)
    torch.testing.assert_close(made, network(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("side", range(4, 124, 4))
def test_tiles_are_of_one_size_and_cover_an_axis(side: int) -> None:
    asked: list[tuple[int, ...]] = []

    def network(part: Tensor) -> Tensor:
        asked.append(tuple(part.shape[2:]))
        return torch.ones_like(part)

    made = blended(network, torch.zeros(1, 1, 8, side), SMALL)
    torch.testing.assert_close(made, torch.ones(1, 1, 8, side))
    if side <= SMALL.largest:
        assert asked == [(8, side)]
    else:
        assert set(asked) == {(8, SMALL.tile)}
        assert all(start % SMALL.multiple == 0 for start in SMALL.starts(side))


def test_a_difference_between_tiles_is_spread_over_the_overlap() -> None:
    levels = iter([0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0])
    made = blended(
        lambda part: torch.full_like(part, next(levels)), torch.zeros(1, 1, 4, 40), SMALL
    )
    jumps = made[0, 0, 0].diff().abs()
    assert 0.1 < float(jumps.max()) <= 0.25


def test_memory_is_bounded_by_the_tile() -> None:
    tiling = Tiling(largest=96, tile=64, overlap=16, multiple=8)
    for side in (104, 120, 504, 1000):
        starts = tiling.starts(side)
        assert (starts[0], starts[-1]) == (0, side - tiling.tile)
        assert all(later - earlier <= 48 for earlier, later in itertools.pairwise(starts))
