"""A picture is changed strip by strip as it would be in one piece, and in its own memory."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from diffc.codecs.shared.tiling.exact import strips

MARGIN = 4


def blurred(state: Tensor, base: Tensor) -> Tensor:
    """Mix both pictures, and over MARGIN pixels around each."""
    mixed = F.pad(state * 2 - base, (MARGIN,) * 4)
    return F.avg_pool2d(mixed, 2 * MARGIN + 1, stride=1, divisor_override=1)


def change(state: Tensor, base: Tensor, margin: int) -> list[int]:
    """Replace the state by what is blurred, strip by strip; return the rows that were changed."""
    told: list[int] = []
    for strip in strips(state, largest=8, margin=margin, multiple=2):
        assert strip.window.shape[2] == strip.around.stop - strip.around.start
        told.extend(range(strip.rows.start, strip.rows.stop))
        made = blurred(strip.window, base[:, :, strip.around])
        mixed = made - strip.window + base[:, :, strip.around]
        state[:, :, strip.rows] = strip.inner(mixed)
    return told


@pytest.mark.parametrize("size", [(9, 30), (64, 64), (67, 3), (34, 41)])
def test_strips_join_to_what_the_whole_gives(size: tuple[int, int]) -> None:
    state, base = torch.randn(2, 3, *size), torch.randn(2, 3, *size)
    expected = blurred(state, base) - state + base
    assert change(state, base, MARGIN) == list(range(size[0]))
    torch.testing.assert_close(state, expected, rtol=1e-4, atol=1e-4)


def test_a_margin_too_small_shows() -> None:
    state, base = torch.randn(1, 1, 40, 20), torch.randn(1, 1, 40, 20)
    expected = blurred(state, base) - state + base
    change(state, base, 2)
    assert not torch.allclose(state, expected, rtol=1e-2, atol=1e-2)


def test_a_window_stays_as_it_was() -> None:
    state = torch.arange(24.0).reshape(1, 1, 24, 1)
    before = state.clone()
    for strip in strips(state, largest=4, margin=2, multiple=2):
        assert torch.equal(strip.window, before[:, :, strip.around])
        state[:, :, strip.rows] = -1
        assert torch.equal(strip.window, before[:, :, strip.around])
    assert bool((state == -1).all())
