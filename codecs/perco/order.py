"""The order in which a grid's tokens are written: every prefix is spread evenly over the picture."""

from __future__ import annotations

import torch
from torch import Tensor

GROUPS = 4
"""Parts of a grid: the four positions of each 2x2 square, the diagonal ones first."""


def coding_order(rows: int, columns: int) -> Tensor:
    """Return the positions (row * columns + column) of a grid in coding order, int64, (n,).

    The order of Bayer's dither matrix: the lowest bits of row and column decide first, and in each
    2x2 square the diagonal comes before the other two.  Integers alone, so that it is the same
    everywhere.
    """
    return torch.argsort(_keys(rows, columns), stable=True)


def coding_rank(rows: int, columns: int) -> Tensor:
    """Return when each position is coded, int64, (rows, columns): the inverse of the order."""
    rank = torch.empty(rows * columns, dtype=torch.int64)
    rank[coding_order(rows, columns)] = torch.arange(rows * columns)
    return rank.reshape(rows, columns)


def group_sizes(rows: int, columns: int) -> list[int]:
    """Return how many positions each of the `GROUPS` has; they follow each other in the order."""
    even_rows, even_columns = -(-rows // 2), -(-columns // 2)
    odd_rows, odd_columns = rows // 2, columns // 2
    return [
        even_rows * even_columns,
        odd_rows * odd_columns,
        even_rows * odd_columns,
        odd_rows * even_columns,
    ]


def _keys(rows: int, columns: int) -> Tensor:
    row = torch.arange(rows, dtype=torch.int64)[:, None]
    column = torch.arange(columns, dtype=torch.int64)[None, :]
    key = torch.zeros(rows, columns, dtype=torch.int64)
    for bit in range(max(rows, columns).bit_length()):
        digit = 2 * ((row ^ column) >> bit & 1) + (row >> bit & 1)
        key = 4 * key + digit
    return key.flatten()
