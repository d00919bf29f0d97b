"""Networks with a bounded field of view, computed in overlapping tiles with bounded memory.

Where a picture is changed in its place, strip by strip, only one strip of it is held twice.
"""

from __future__ import annotations

from collections.abc import Callable

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


Finish = Callable[[slice, Tensor, Tensor, Tensor], Tensor]
"""Maps rows, the state there, the base there and what the network made there to the new state."""


def in_strips(
    network: Callable[[Tensor, Tensor], Tensor],
    state: Tensor,
    base: Callable[[slice], Tensor],
    finish: Finish,
    *,
    largest: int,
    margin: int,
    multiple: int,
) -> None:
    """Replace a picture by what is made of it.

    Parameters
    ----------
    network : callable
        Maps a part (N, C, h, w) of the state and of the base to (N, D, h, w); what it computes at a
        position depends on at most ``margin`` positions around it.
    state : Tensor
        (N, C, height, W); changed.
    base : callable
        Returns rows of the base (N, C, rows, W).
    finish : Finish
        All it is given are the rows of one strip, and each row is given once.
    largest, margin : int
        Sides of a tile's inner part, and what is computed around it; multiples of ``multiple``.
    multiple : int
        Tiles start at multiples of it.
    """
    height = state.shape[2]
    strips = spans(height, largest, multiple) if height > largest + margin else [(0, height)]
    # the last rows of the strips before, as they were
    before = state[:, :, :0]
    for top, bottom in strips:
        rows = slice(top - before.shape[2], min(bottom + margin, height))
        window = torch.cat([before, state[:, :, top : rows.stop]], dim=2)
        bases = base(rows)
        # in one tile of rows
        sides = max(largest, rows.stop - rows.start)
        made = in_tiles(
            network, window, bases, largest=sides, margin=margin, scale=1, multiple=multiple
        )
        last = slice(max(0, bottom - margin - rows.start), bottom - rows.start)
        before = window[:, :, last].clone()
        inner = slice(top - rows.start, bottom - rows.start)
        changed = finish(slice(top, bottom), *(each[:, :, inner] for each in (window, bases, made)))
        state[:, :, top:bottom] = changed
