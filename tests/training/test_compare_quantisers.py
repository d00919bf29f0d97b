"""The example that compares quantisers: its levels, and a run of a few steps."""

from __future__ import annotations

import math
import runpy
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from photograph import drawn

from diffc.codecs.shared.tokens.vector_quantiser import nearest, words

EXAMPLE = Path(__file__).parents[2] / "examples" / "compare_quantisers.py"
LEVELS = [[8, 8, 4, 4], [8, 8, 4], [8, 5, 5, 5], [3, 4, 7]]


@pytest.fixture(scope="module")
def example() -> dict[str, Any]:
    return runpy.run_path(str(EXAMPLE))


@pytest.mark.parametrize("levels", LEVELS, ids=str)
def test_the_nearest_word_has_every_scalar_rounded(
    example: dict[str, Any], levels: list[int]
) -> None:
    vectors = 3 * torch.randn(2, len(levels), 64, 64, generator=torch.Generator().manual_seed(1))
    bounded = example["Bounded"](levels)(vectors)
    grid = example["level_grid"](levels)
    assert len(grid.unique(dim=0)) == math.prod(levels)
    steps = torch.tensor(levels)[:, None, None] // 2
    found = words(nearest(bounded, grid), grid)
    assert torch.equal(found, torch.round(bounded * steps) / steps)
    for i, count in enumerate(levels):
        assert len(found[:, i].unique()) == count


@pytest.mark.parametrize("levels", LEVELS, ids=str)
def test_bounds_leave_zero_where_it_is_and_let_gradients_through(
    example: dict[str, Any], levels: list[int]
) -> None:
    zero = torch.zeros(1, len(levels), 1, 1, requires_grad=True)
    made = example["Bounded"](levels)(zero)
    assert made.abs().max() < 1e-6
    made.sum().backward()
    assert zero.grad is not None
    assert bool((zero.grad > 0.5).all())


@pytest.mark.parametrize("levels", LEVELS, ids=str)
def test_finer_grids_divide_what_is_left_by_their_levels(
    example: dict[str, Any], levels: list[int]
) -> None:
    vectors = torch.randn(1, len(levels), 64, 64, generator=torch.Generator().manual_seed(2))
    rest = example["Bounded"](levels)(vectors)
    count = torch.tensor(levels)[:, None, None]
    for times in range(4):
        grid = example["finer_grid"](levels, times) if times else example["level_grid"](levels)
        rest = rest - words(nearest(rest, grid), grid)
        share = float((rest.abs() * (count // 2) * count**times).max())
        assert 0.49 < share < 0.501


def test_a_few_steps_print_a_row_for_every_number_of_grids(
    example: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("A_1.png", "B_1.png"):
        drawn((192, 192), "RGB").save(tmp_path / name)
    arguments = ["--steps", "2", "--batch", "2", "--crop", "128", "--photos", "1"]
    arguments += ["--threads", str(torch.get_num_threads())]
    monkeypatch.setattr(sys, "argv", ["compare_quantisers.py", str(tmp_path), *arguments])
    example["main"]()
    lines = capsys.readouterr().out.splitlines()
    first = [line for line in lines if line.startswith(("| vq |", "| fsq |", "| fsq-residual |"))]
    assert len(first) == 3 * 6
    assert all("nan" not in line for line in lines)
