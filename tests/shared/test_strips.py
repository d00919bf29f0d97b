"""A picture is changed strip by strip as it would be in one piece, and in its own memory."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from diffc.codecs.shared.tiling.exact import in_strips

MARGIN = 4


def blurred(state: Tensor, base: Tensor) -> Tensor:
    """Mix both pictures, and over MARGIN pixels around each."""
    mixed = F.pad(state * 2 - base, (MARGIN,) * 4)
    return F.avg_pool2d(mixed, 2 * MARGIN + 1, stride=1, divisor_override=1)


@pytest.mark.parametrize("size", [(9, 30), (64, 64), (67, 3), (34, 41)])
def test_strips_join_to_what_the_whole_gives(size: tuple[int, int]) -> None:
    state, base = torch.randn(2, 3, *size), torch.randn(2, 3, *size)
    expected = blurred(state, base) - state + base
    place = state.data_ptr()
    told: list[int] = []

    def finish(rows: slice, y: Tensor, z: Tensor, made: Tensor) -> Tensor:
        told.extend(range(rows.start, rows.stop))
        assert torch.equal(z, base[:, :, rows])
        return made - y + z

    in_strips(
        blurred,
        state,
        lambda rows: base[:, :, rows],
        finish,
        largest=8,
        margin=MARGIN,
        multiple=2,
    )
    assert told == list(range(size[0]))
    assert state.data_ptr() == place
    torch.testing.assert_close(state, expected, rtol=1e-4, atol=1e-4)


def test_a_margin_too_small_shows() -> None:
    state, base = torch.randn(1, 1, 40, 20), torch.randn(1, 1, 40, 20)
    expected = blurred(state, base)
    in_strips(
        blurred,
        state,
        lambda rows: base[:, :, rows],
        lambda _rows, _y, _z, made: made,
        largest=8,
        margin=2,
        multiple=2,
    )
    assert not torch.allclose(state, expected, rtol=1e-2, atol=1e-2)
