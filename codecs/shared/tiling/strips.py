"""A network's walk through a picture in its place: only one strip of it is held twice."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from diffc.codecs.shared.tiling.exact import in_tiles, spans

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
