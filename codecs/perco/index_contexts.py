"""What is known of a token before it is coded: its neighbours on its own grid and on others.

The tokens of a grid are coded in `STAGES` stages, all those of a stage from the same knowledge.
The first four are the quarter of the grid with even rows and columns, taken apart in turn as the
grid is: each token may know neighbours at a distance of two.  The others know neighbours beside
them.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from diffc.codecs.perco.sequence import coding_order, group_sizes

STAGES = 7

_CROSS = ((0, -1), (0, 1), (-1, 0), (1, 0))
_AROUND = (*_CROSS, (-1, -1), (-1, 1), (1, -1), (1, 1))
# which of the tokens around are coded earlier, in each group of a dither matrix
_KNOWN = ((), _AROUND[4:], _CROSS, _AROUND)
_MARGIN = 2


@dataclass(frozen=True)
class Part:
    """Some tokens of one stage.

    Parameters
    ----------
    grid, stage : int
        Which.
    positions : Tensor
        row * columns + column of each token, int64 (n,), in coding order.
    """

    grid: int
    stage: int
    positions: Tensor


@dataclass(frozen=True)
class Neighbour:
    """A token that is known before another.

    Parameters
    ----------
    slot : int
        Which input of the model it adds to.
    grid : int
        The grid that it is on.
    down, right : int
        How far away it is; on the next coarser grid, 1 is the side that the token lies on.
    """

    slot: int
    grid: int
    down: int
    right: int


@cache
def neighbours(grid: int, stage: int) -> tuple[Neighbour, ...]:
    """Return what the tokens of a stage know."""
    distance, known = (2, _KNOWN[stage]) if stage < 4 else (1, _KNOWN[stage - 3])
    found = []
    if grid >= 1:
        sides = ((0, 0), (0, 1), (1, 0), (1, 1))
        found += [Neighbour(i, min(grid, 2) - 1, *side) for i, side in enumerate(sides)]
    if grid >= 2:
        found.append(Neighbour(4, 0, 0, 0))
    first = (0, 4, 5)[min(grid, 2)]
    if grid <= 2:
        # nearer and further ones have different inputs
        first += 8 * (distance - 1)
        for i, (down, right) in enumerate(_AROUND):
            if (down, right) in known:
                found.append(Neighbour(first + i, grid, distance * down, distance * right))
        return tuple(found)
    # what further fine grids add is known best from the sum of those before, at and around the place
    for i, (down, right) in enumerate((*_AROUND, (0, 0))):
        found += [Neighbour(first + i, other, down, right) for other in range(2, grid)]
        if distance == 1 and (down, right) in known:
            found.append(Neighbour(first + i, grid, down, right))
    return tuple(found)


def slots(grid: int) -> int:
    """Return how many inputs the model of a grid has."""
    return (16, 20, 21, 14)[min(grid, 3)]


def stage_sizes(rows: int, columns: int) -> list[int]:
    """Return how many tokens of a grid each of the `STAGES` has; they follow each other."""
    return group_sizes(-(-rows // 2), -(-columns // 2)) + group_sizes(rows, columns)[1:]


def parts(
    sizes: Sequence[tuple[int, int]], vocabularies: Sequence[int], entries: int
) -> Iterator[Part]:
    """Yield all tokens of all grids in coding order, some of a stage at a time.

    Parameters
    ----------
    sizes : sequence of tuple of int
        Rows and columns of each grid.
    vocabularies : sequence of int
        Words of each grid's codebook.
    entries : int
        How many a table may have at most, of a row for each token with an entry for each word; one
        row is made in any case.
    """
    for grid, ((rows, columns), words) in enumerate(zip(sizes, vocabularies, strict=True)):
        order = coding_order(rows, columns)
        largest = max(1, entries // words)
        ends = itertools.accumulate(stage_sizes(rows, columns))
        for stage, (start, end) in enumerate(itertools.pairwise([0, *ends])):
            for first in range(start, end, largest):
                yield Part(grid, stage, order[first : min(first + largest, end)])


class KnownTokens:
    """The tokens of a picture that are known so far.

    Parameters
    ----------
    sizes : sequence of tuple of int
        Rows and columns of each grid: the coarse one, the middle one of twice its sides, and the
        fine ones of four times its sides.
    vocabularies : sequence of int
        Words of each grid's codebook; the number itself stands for a token that is not known.
    """

    def __init__(self, sizes: Sequence[tuple[int, int]], vocabularies: Sequence[int]) -> None:
        self._columns = [columns for _, columns in sizes]
        self._grids = [
            torch.full(((rows + 2 * _MARGIN) * (columns + 2 * _MARGIN),), words)
            for (rows, columns), words in zip(sizes, vocabularies, strict=True)
        ]

    def put(self, part: Part, tokens: Tensor) -> None:
        """Make the first of a part's tokens known, those that are given."""
        rows, columns = self._rows_columns(part)
        found = self._places(part.grid, rows, columns)
        self._grids[part.grid][found[: len(tokens)]] = tokens

    def contexts(self, part: Part) -> Tensor:
        """Return each token's `neighbours`, int64 (n, neighbours)."""
        rows, columns = self._rows_columns(part)
        found = torch.empty(len(rows), len(neighbours(part.grid, part.stage)), dtype=torch.int64)
        for i, neighbour in enumerate(neighbours(part.grid, part.stage)):
            scale = 1 << min(part.grid, 2) - min(neighbour.grid, 2)
            place = self._places(
                neighbour.grid,
                rows // scale + neighbour.down * _side(rows, scale),
                columns // scale + neighbour.right * _side(columns, scale),
            )
            found[:, i] = self._grids[neighbour.grid][place]
        return found

    def _rows_columns(self, part: Part) -> tuple[Tensor, Tensor]:
        columns = self._columns[part.grid]
        return part.positions // columns, part.positions % columns

    def _places(self, grid: int, rows: Tensor, columns: Tensor) -> Tensor:
        """Return where tokens lie in a grid with its margin, which no neighbour is beyond."""
        return (rows + _MARGIN) * (self._columns[grid] + 2 * _MARGIN) + columns + _MARGIN


def _side(coordinates: Tensor, scale: int) -> Tensor | int:
    """Return on which side of the next coarser grid's token another lies, 1 or -1."""
    return 2 * (coordinates % 2) - 1 if scale == 2 else 1
