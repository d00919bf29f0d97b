"""Networks with a bounded field of view, computed in overlapping tiles with bounded memory.

Where a picture is changed in its place, strip by strip, only one strip of it is held twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor


def spans(length: int, largest: int, multiple: int) -> list[tuple[int, int]]:
    """Cut a length into the fewest spans of about equal size that start at multiples."""
    count = -(-length // largest)
    size = -(-length // count)
    size += -size % multiple
    return [(start, min(start + size, length)) for start in range(0, length, size)]


def in_tiles(
    network: Callable[..., Tensor],
    *latents: Tensor,
    largest: int,
    margin: int,
    scale: int,
    multiple: int = 2,
) -> Tensor:
    """Apply a network to a latent, in one piece if it is small and in tiles if it is not.

    Parameters
    ----------
    network : callable
        Maps a part (N, C, h, w) of each latent to (N, D, scale h, scale w); what it computes at a position depends on
        at most ``margin`` positions around it, so that tiles join without a seam.
    *latents : Tensor
        (N, C, height, width), of one height and width.
    largest, margin : int
        Sides of a tile's inner part, and what is computed around it, in latent positions;
        multiples of ``multiple``.
    scale : int
        Pixels of the result for each latent position.
    multiple : int
        Tiles start at multiples of it, because the network halves the latent so often.
    """
    height, width = latents[0].shape[2:]
    if max(height, width) <= largest + margin:
        return network(*latents)
    result: Tensor | None = None
    for top, bottom in spans(height, largest, multiple):
        for left, right in spans(width, largest, multiple):
            first_row, first_column = max(0, top - margin), max(0, left - margin)
            rows = slice(first_row, bottom + margin)
            columns = slice(first_column, right + margin)
            made = network(*(latent[:, :, rows, columns] for latent in latents))
            if result is None:
                shape = (len(made), made.shape[1], scale * height, scale * width)
                result = made.new_empty(shape)
            rows = slice(scale * (top - first_row), scale * (bottom - first_row))
            columns = slice(scale * (left - first_column), scale * (right - first_column))
            target = result[:, :, scale * top : scale * bottom, scale * left : scale * right]
            target.copy_(made[:, :, rows, columns])
    assert result is not None  # both axes have at least one span
    return result


@dataclass(frozen=True)
class Strip:
    """Rows of a picture that is being changed.

    Parameters
    ----------
    rows : slice
        Those that are to be changed.
    around : slice
        Those that decide about them: a margin more on both sides, where the picture goes on.
    window : Tensor
        The picture ``around`` as it was before any strip was changed, (N, C, rows, W).
    """

    rows: slice
    around: slice
    window: Tensor

    def inner(self, made: Tensor) -> Tensor:
        """Return the part for `rows` of what was made for all rows ``around``."""
        top = self.rows.start - self.around.start
        return made[:, :, top : top + self.rows.stop - self.rows.start]


def strips(picture: Tensor, *, largest: int, margin: int, multiple: int) -> Iterator[Strip]:
    """Yield the strips of a picture that is changed in its place, from the top down.

    Parameters
    ----------
    picture : Tensor
        (N, C, height, W).  The caller changes the `Strip.rows` of each strip before the next, and
        no others; windows stay as they are.
    largest, margin : int
        Rows of a strip, and what is added around it; multiples of ``multiple``.
    multiple : int
        Strips start at multiples of it.
    """
    height = picture.shape[2]
    parts = spans(height, largest, multiple) if height > largest + margin else [(0, height)]
    # the last rows of the strips before, as they were
    before = picture[:, :, :0]
    for top, bottom in parts:
        around = slice(top - before.shape[2], min(bottom + margin, height))
        window = torch.cat([before, picture[:, :, top : around.stop]], dim=2)
        last = slice(max(0, bottom - margin - around.start), bottom - around.start)
        before = window[:, :, last].clone()
        yield Strip(slice(top, bottom), around, window)
