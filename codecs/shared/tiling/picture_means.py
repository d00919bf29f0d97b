"""Means over a whole picture inside a network, also where the picture is computed in tiles.

Group normalisation and channel attention look at the whole picture.  If every tile took its own
means, a tile of sky and one of forest would be scaled differently, with a seam between them.
So a first pass over the tiles gathers the means, and a second one uses them everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from torch import Tensor

from diffc.codecs.shared.tiling.exact import in_tiles, spans

Measure = Callable[[Tensor], Tensor]
"""Maps features (1, h, w, C) to means over their positions."""
Means = Callable[[Tensor, Measure], Tensor]
"""Called at each place of a network, in order, with the features there and what is measured."""


def own_means(features: Tensor, measure: Measure) -> Tensor:
    """Return the means of what is at hand, the whole picture."""
    return measure(features)


class GatheredMeans:
    """Means over tiles, weighted by their areas.

    In the first pass each tile is computed with its own means, so what is gathered at deeper
    places is near to the means of the whole picture, and not the same.
    """

    def __init__(self) -> None:
        self._sums: list[Tensor] = []
        self._area = 0

    def of_tile(self, size: tuple[int, int], rows: slice, columns: slice) -> Means:
        """Return what takes down the means of a tile.

        Parameters
        ----------
        size : tuple of int
            Height and width of the tile with its margins, in any unit that divides the features'.
        rows, columns : slice
            The tile in it, with starts and stops.
        """
        area = (rows.stop - rows.start) * (columns.stop - columns.start)
        self._area += area
        first = not self._sums
        places: Iterator[int] = iter(range(len(self._sums)))

        def take_down(features: Tensor, measure: Measure) -> Tensor:
            scale = features.shape[1] // size[0]
            mean = measure(
                features[
                    :,
                    scale * rows.start : scale * rows.stop,
                    scale * columns.start : scale * columns.stop,
                ]
            )
            if first:
                self._sums.append(mean * area)
            else:
                self._sums[next(places)] += mean * area
            return mean

        return take_down

    def for_all(self) -> Means:
        """Return what gives the means over all tiles, to be called in the same order."""
        sums = iter(self._sums)
        return lambda features, measure: next(sums) / self._area


def with_picture_means(
    network: Callable[[Tensor, Means], Tensor],
    latent: Tensor,
    *,
    largest: int,
    margin: int,
    scale: int = 1,
    multiple: int = 1,
) -> Tensor:
    """Apply a network with means to a latent: in one piece, or twice in tiles.

    Parameters
    ----------
    network : callable
        Maps a part (1, C, h, w) of the latent and `Means` to (1, D, scale h, scale w).
    latent : Tensor
        (1, C, height, width).
    largest, margin, scale, multiple : int
        See `diffc.codecs.shared.tiling.exact.in_tiles`.  A latent no larger than a tile with its
        margins is computed in one piece.
    """
    height, width = latent.shape[2:]
    if height * width <= (largest + 2 * margin) ** 2:
        return network(latent, own_means)
    gathered = GatheredMeans()
    for top, bottom in spans(height, largest, multiple):
        for left, right in spans(width, largest, multiple):
            above, before = min(top, margin), min(left, margin)
            part = latent[:, :, top - above : bottom + margin, left - before : right + margin]
            rows = slice(above, above + bottom - top)
            columns = slice(before, before + right - left)
            network(part, gathered.of_tile((part.shape[2], part.shape[3]), rows, columns))
    return in_tiles(
        lambda part: network(part, gathered.for_all()),
        latent,
        largest=largest,
        margin=margin,
        scale=scale,
        multiple=multiple,
    )
