"""All tokens of a picture as one sequence, of which a file holds a prefix.

First the tokens of the whole picture, then each grid's, coarse to fine, each grid in its
`coding_order`: every prefix is spread evenly over the picture.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from diffc.codecs.perco.tokeniser import GLOBAL_TOKENS, TokenConfig, Tokens

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


@dataclass(frozen=True)
class TokenLayout:
    """Sizes of one picture's grids of tokens.

    Parameters
    ----------
    sizes : tuple of tuple of int
        Rows and columns of each grid, in coding order.
    vocabularies : tuple of int
        Words of each grid's codebook.
    global_words : int
        Words of the codebooks of the tokens of the whole picture.
    """

    sizes: tuple[tuple[int, int], ...]
    vocabularies: tuple[int, ...]
    global_words: int

    @classmethod
    def of(cls, config: TokenConfig, rows: int, columns: int) -> TokenLayout:
        """Return the layout for a latent whose sides are multiples of the largest stride."""
        sizes = tuple((rows // stride, columns // stride) for stride in config.strides)
        return cls(sizes, config.vocabularies, config.global_words)

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """Where each grid starts in the sequence, and where the last one ends."""
        lengths = [math.prod(size) for size in self.sizes]
        return tuple(itertools.accumulate(lengths, initial=GLOBAL_TOKENS))

    @property
    def total(self) -> int:
        """Tokens of the whole sequence."""
        return self.starts[-1]

    def runs(self, count: int) -> list[tuple[int, int]]:
        """Return the lengths and vocabularies of the pieces of the first ``count`` tokens."""
        vocabularies = (self.global_words, *self.vocabularies)
        bounds = zip((0, *self.starts[:-1]), self.starts, vocabularies, strict=True)
        return [
            (min(end, count) - start, vocabulary)
            for start, end, vocabulary in bounds
            if start < count
        ]

    def check(self, count: int) -> None:
        """Raise `OSError` if a file says that it has a ``count`` of tokens that cannot be."""
        if not 0 <= count <= self.total:
            raise OSError(
                f"a picture of this size has at most {self.total} tokens, not {count}: the file is "
                "damaged"
            )

    def sequence(self, tokens: Tokens, item: int = 0) -> Tensor:
        """Return a picture's tokens as a sequence, int64 (total,)."""
        parts = [tokens.of_picture[item].cpu()]
        for size, grid in zip(self.sizes, tokens.grids, strict=True):
            parts.append(grid[item].cpu().flatten()[coding_order(*size)])
        return torch.cat(parts)

    def tokens(self, sequence: Tensor) -> Tokens:
        """Return a sequence, or its start, as a batch of one picture's tokens; 0 for missing ones."""
        whole = torch.zeros(self.total, dtype=torch.int64)
        whole[: len(sequence)] = sequence
        grids = [
            whole[start + coding_rank(*size)][None]
            for start, size in zip(self.starts[:-1], self.sizes, strict=True)
        ]
        return Tokens(whole[None, :GLOBAL_TOKENS], tuple(grids))

    def present(self, count: int) -> list[Tensor]:
        """Return which of each grid's tokens are among the first ``count``, bool (1, h, w)."""
        return [
            (start + coding_rank(*size) < count)[None]
            for start, size in zip(self.starts[:-1], self.sizes, strict=True)
        ]
