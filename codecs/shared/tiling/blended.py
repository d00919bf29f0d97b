"""Networks that look at all of a picture at once, computed in overlapping tiles that are blended.

Attention and group norms have no bounded field of view, so that neighbouring tiles differ a little
wherever they are cut; in the overlap the result goes linearly from one to the other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Tiling:
    """How a latent is cut.

    Parameters
    ----------
    largest : int
        Up to this many positions a side, there is one piece.
    tile : int
        Sides of the tiles of a larger latent, at most ``largest``.
    overlap : int
        At least so many positions are common to neighbours, less ``multiple``.
    multiple : int
        Tiles start at multiples of it; it divides ``tile`` and the latent's sides.
    """

    largest: int
    tile: int
    overlap: int
    multiple: int

    def starts(self, length: int) -> list[int]:
        """Return where the tiles of one axis start, evenly spread."""
        if length <= self.tile:
            return [0]
        count = -(-(length - self.overlap) // (self.tile - self.overlap))
        room = (length - self.tile) // self.multiple
        return [room * i // (count - 1) * self.multiple for i in range(count)]


def blended(
    network: Callable[[Tensor], Tensor],
    x: Tensor,
    tiling: Tiling,
    *,
    before: int = 1,
    after: int = 1,
) -> Tensor:
    """Apply a network to a picture or latent, in one piece or in tiles.

    Parameters
    ----------
    network : callable
        Maps (N, C, before h, before w) to (N, D, after h, after w), for h and w positions.
    x : Tensor
        (N, C, before H, before W).
    tiling : Tiling
        In positions.
    before, after : int
        Elements along a side for each position, of what goes in and comes out.
    """
    height, width = x.shape[2] // before, x.shape[3] // before
    if max(height, width) <= tiling.largest:
        return network(x)
    result: Tensor | None = None
    rows, columns = _shares(height, tiling, after), _shares(width, tiling, after)
    for top, down in rows:
        for left, across in columns:
            first_row, first_column = top * before, left * before
            part = x[
                :,
                :,
                first_row : first_row + len(down) // after * before,
                first_column : first_column + len(across) // after * before,
            ]
            made = network(part)
            if result is None:
                result = made.new_zeros(*made.shape[:2], after * height, after * width)
            share = down[:, None].to(made) * across.to(made)
            inside = result[:, :, top * after :, left * after :]
            inside[:, :, : len(down), : len(across)] += share * made
    assert result is not None  # both axes have at least one tile
    return result


def _shares(length: int, tiling: Tiling, after: int) -> list[tuple[int, Tensor]]:
    """Return the start of each tile of an axis, and its share of each element; shares add to 1."""
    starts = tiling.starts(length)
    size = min(tiling.tile, length)
    weights = []
    for index, start in enumerate(starts):
        weight = torch.ones(size * after)
        if index > 0:
            common = (starts[index - 1] + size - start) * after
            weight[:common] *= _ramp(common)
        if index + 1 < len(starts):
            common = (start + size - starts[index + 1]) * after
            weight[-common:] *= _ramp(common).flip(0)
        weights.append(weight)
    # three tiles may meet where a length is only a little more than two
    total = torch.zeros(length * after)
    places = [slice(start * after, (start + size) * after) for start in starts]
    for place, weight in zip(places, weights, strict=True):
        total[place] += weight
    return [
        (start, weight / total[place])
        for start, place, weight in zip(starts, places, weights, strict=True)
    ]


def _ramp(length: int) -> Tensor:
    return (torch.arange(length) + 0.5) / length
