"""Linear prediction of a latent's plane from what was coded before it, in exact integers.

Numbers stand in fixed point: `UNIT` is one step of the quantiser.  A prediction moves a coefficient
and its dither together: with z = (k + u) D and a prediction mu, the integer m nearest to u - mu
turns k into k + m, which is small, and u into u - mu - m, which is again within half a step.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.int64]

UNIT = 1 << 12
_WEIGHT_BITS = 6

# sums of a lower plane's values around a position, as (rows down, columns right, factor)
_PATTERNS: dict[str, tuple[tuple[int, int, int], ...]] = {
    "here": ((0, 0, 1),),
    "across": ((0, 1, 1), (0, -1, -1)),
    "down": ((1, 0, 1), (-1, 0, -1)),
    "beside": ((0, 1, 1), (0, -1, 1)),
    "above and below": ((1, 0, 1), (-1, 0, 1)),
    "saddle": ((1, 1, 1), (-1, -1, 1), (1, -1, -1), (-1, 1, -1)),
    "corners across": ((1, 1, 1), (-1, 1, 1), (1, -1, -1), (-1, -1, -1)),
    "corners down": ((1, 1, 1), (1, -1, 1), (-1, 1, -1), (-1, -1, -1)),
}


@dataclass(frozen=True)
class Predictor:
    """How one plane is predicted; weights are in 64ths.

    Parameters
    ----------
    west, north, northwest, northeast : int
        Of the plane's own neighbours that come before.
    lower : tuple
        (channel, pattern, weight) of planes that come before.
    """

    west: int = 0
    north: int = 0
    northwest: int = 0
    northeast: int = 0
    lower: tuple[tuple[int, str, int], ...] = ()

    @property
    def own(self) -> bool:
        """Whether the plane's own neighbours count."""
        return bool(self.west or self.north or self.northwest or self.northeast)


NONE = Predictor()
SMOOTH_COMPONENTS = (0, 1, 4)
"""Components that are smooth from patch to patch: the means of luma and of both colours."""
# where planes are pictures of their own, as those of a variational autoencoder
_SMOOTH = Predictor(44, 36, -24, 2)
# of the principal components of patches: least squares on 40 photographs of the training set
_COMPONENTS = {
    0: Predictor(47, 38, -26, 0),
    1: Predictor(44, 26, -16, 10),
    2: Predictor(27, -18, 7, 0, ((0, "down", 12), (0, "saddle", 3), (0, "corners down", -3))),
    3: Predictor(-16, 18, 0, -7, ((0, "across", -10),)),
    4: Predictor(34, 16, 0, 13, ((0, "down", 1),)),
    5: Predictor(22),
    6: Predictor(0, 20, 0, 0, ((5, "beside", 9), (5, "here", -8), (3, "across", 3))),
    7: Predictor(-10, -12, 0, 0, ((3, "down", 9), (2, "across", -8))),
    8: Predictor(
        14,
        lower=((0, "down", 4), (2, "here", -11), (2, "above and below", -6), (5, "down", -6)),
    ),
    9: Predictor(
        lower=(
            (0, "across", -5),
            (3, "beside", -7),
            (3, "here", -11),
            (6, "across", -6),
            (5, "across", 4),
        )
    ),
    10: Predictor(
        -7,
        8,
        lower=((5, "across", -6), (7, "down", 8), (3, "above and below", -5), (3, "here", 7)),
    ),
    11: Predictor(
        7, -8, lower=((6, "down", -7), (2, "beside", -4), (7, "across", -6), (2, "here", 6))
    ),
    12: Predictor(14),
    13: Predictor(14, -11, lower=((1, "down", 10), (2, "here", -2))),
    15: Predictor(lower=((8, "across", 4), (3, "down", -2), (7, "above and below", 3))),
    16: Predictor(
        lower=((11, "down", 6), (6, "above and below", 4), (6, "here", -5), (8, "across", -4))
    ),
    17: Predictor(
        lower=(
            (9, "down", -5),
            (2, "across", 3),
            (7, "beside", 5),
            (11, "across", -5),
            (7, "here", 5),
        )
    ),
    19: Predictor(-10, 10, lower=((1, "across", 10), (3, "here", 1))),
    20: Predictor(
        0,
        7,
        lower=(
            (0, "across", 2),
            (3, "beside", 3),
            (3, "here", 5),
            (6, "across", 3),
            (9, "here", 5),
        ),
    ),
}


def predictor_of(components: bool, channel: int) -> Predictor:
    """Return how a plane is predicted.

    Parameters
    ----------
    components : bool
        Whether the latent's channels are the principal components of patches, strongest first.
    channel : int
        The plane.
    """
    return _COMPONENTS.get(channel, NONE) if components else _SMOOTH


def from_lower(predictor: Predictor, values: list[Plane], shape: tuple[int, int]) -> Plane:
    """Return what lower planes say of a plane, in 64ths of the fixed point.

    Parameters
    ----------
    predictor : Predictor
        Of the plane.
    values : list of array
        The dequantised lower planes, (rows, columns), in fixed point.
    shape : tuple of int
        Rows and columns.
    """
    total = np.zeros(shape, dtype=np.int64)
    for channel, pattern, weight in predictor.lower:
        padded = np.pad(values[channel], 1, mode="edge")
        for down, right, factor in _PATTERNS[pattern]:
            rows, columns = (
                slice(1 + down, 1 + down + shape[0]),
                slice(1 + right, 1 + right + shape[1]),
            )
            total += weight * factor * padded[rows, columns]
    return total


def from_own(predictor: Predictor, values: Plane) -> Plane:
    """Return what a plane's own values say of each other, in 64ths of the fixed point.

    At the border a neighbour that is missing is taken from the other axis.
    """
    if not predictor.own:
        return np.zeros_like(values)
    rows, columns = values.shape
    frame = np.zeros((rows + 1, columns + 2), dtype=np.int64)
    frame[1:, 1:-1] = values
    # above the first row stand the values to the left, left of the first column those above
    frame[0, 1:-1][1:] = values[0, :-1]
    west, north = frame[1:, :-2].copy(), frame[:-1, 1:-1].copy()
    northwest, northeast = frame[:-1, :-2].copy(), frame[:-1, 2:].copy()
    northwest[0] = northeast[0] = north[0]
    west[1:, 0] = northwest[1:, 0] = north[1:, 0]
    northeast[1:, -1] = north[1:, -1]
    total: Plane = predictor.west * west + predictor.north * north
    total += predictor.northwest * northwest + predictor.northeast * northeast
    return total


def shift_of(prediction: Plane, dither: Plane) -> tuple[Plane, Plane]:
    """Return by how much a prediction moves integers, and the dither that is left.

    Parameters
    ----------
    prediction : array
        In 64ths of the fixed point.
    dither : array
        In fixed point.
    """
    left = dither - (prediction >> _WEIGHT_BITS)
    shift = (left + UNIT // 2) >> 12
    return shift, left - (shift << 12)
