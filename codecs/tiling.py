"""Networks with a bounded field of view, computed in overlapping tiles with bounded memory."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor


def _spans(length: int, largest: int, multiple: int) -> list[tuple[int, int]]:
    """Cut a length into the fewest spans of about equal size that start at multiples."""
    count = -(-length // largest)
    size = -(-length // count)
    size += -size % multiple
    return [(start, min(start + size, length)) for start in range(0, length, size)]


def in_tiles(
    network: Callable[[Tensor], Tensor],
    latent: Tensor,
    *,
    largest: int,
    margin: int,
    scale: int,
    multiple: int = 2,
) -> Tensor:
    """Apply a network to a latent, in one piece if it is small and in tiles if it is not.

    Parameters
    ----------
    network : callable
        Maps (N, C, h, w) to (N, D, scale h, scale w); what it computes at a position depends on
        at most ``margin`` positions around it, so that tiles join without a seam.
    latent : Tensor
        (N, C, height, width).
    largest, margin : int
        Sides of a tile's inner part, and what is computed around it, in latent positions;
        multiples of ``multiple``.
    scale : int
        Pixels of the result for each latent position.
    multiple : int
        Tiles start at multiples of it, because the network halves the latent so often.
    """
    height, width = latent.shape[2:]
    if max(height, width) <= largest + margin:
        return network(latent)
    result: Tensor | None = None
    for top, bottom in _spans(height, largest, multiple):
        for left, right in _spans(width, largest, multiple):
            first_row, first_column = max(0, top - margin), max(0, left - margin)
            made = network(latent[:, :, first_row : bottom + margin, first_column : right + margin])
            if result is None:
                shape = (len(latent), made.shape[1], scale * height, scale * width)
                result = made.new_empty(shape)
            rows = slice(scale * (top - first_row), scale * (bottom - first_row))
            columns = slice(scale * (left - first_column), scale * (right - first_column))
            target = result[:, :, scale * top : scale * bottom, scale * left : scale * right]
            target.copy_(made[:, :, rows, columns])
    assert result is not None  # both axes have at least one span
    return result
