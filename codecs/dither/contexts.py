"""How large a coefficient will be, from what was coded before it, in exact integers.

The expected magnitude is a weighted sum of magnitudes around: the four neighbours in the plane that
come before, a short and a long running mean over the lower planes at the position, the long one's
four neighbours, and the mean of the lower planes as a whole.  Its logarithm, in quarters of an
octave, is the context.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.int64]

LARGEST = 20
"""Magnitudes above it count as it."""
SCALE_BITS = 10
"""Expected magnitudes stand in units of 2**-10 steps."""
_FEATURE_BITS = 8
_SHIFT = 8  # weights have 10 bits, features 8, the sum is kept in 10
_SMALLEST_BITS = 4
CONTEXTS = 44
_TABLE = 1 << 14


@dataclass(frozen=True)
class Weights:
    """Of the parts of an expected magnitude, in 1024ths.

    Parameters
    ----------
    side : int
        The neighbours to the left and above.
    corner : int
        Those above, to the left and right.
    short, long : int
        The running means over lower planes.
    around : int
        The long one's four neighbours.
    mean : int
        The running mean of whole planes.
    least : int
        Always there, in units of 2**-18 steps.
    """

    side: int
    corner: int
    short: int
    long: int
    around: int
    mean: int
    least: int


# fitted by code length on 40 photographs of the training set
_FIRST = Weights(273, 183, 130, 130, 130, 245, 5753)
_STRONG = Weights(192, 89, 72, 162, 37, 22, 12214)
_OTHER = Weights(110, 52, 11, 498, 12, 4, 16979)


def weights_of(channel: int) -> Weights:
    """Return the weights of a plane."""
    if channel == 0:
        return _FIRST
    return _STRONG if channel < 12 else _OTHER


def _contexts_of_scales() -> NDArray[np.int64]:
    table = np.zeros(_TABLE, dtype=np.int64)
    for scale in range(_TABLE):
        digits = max(scale, 1 << _SMALLEST_BITS - 1).bit_length()
        leading = max(scale, 1 << _SMALLEST_BITS - 1) >> (digits - 3)
        table[scale] = 4 * (digits - _SMALLEST_BITS) + leading - 4
    return table


_CONTEXT_OF_SCALE = _contexts_of_scales()
_CONTEXT_LIST: list[int] = _CONTEXT_OF_SCALE.tolist()


def scale_of_context(context: int) -> tuple[int, int]:
    """Return a context's middle scale in steps, as numerator and denominator."""
    octave, quarter = divmod(context, 4)
    return (9 + 2 * quarter) << octave, 1 << SCALE_BITS


class Activity:
    """Running means of the magnitudes of the planes so far.

    Parameters
    ----------
    shape : tuple of int
        Rows and columns of a plane.
    """

    def __init__(self, shape: tuple[int, int]) -> None:
        self.short = np.zeros(shape, dtype=np.int64)
        self.long = np.zeros(shape, dtype=np.int64)
        self.mean = 1 << _FEATURE_BITS

    def base(self, weights: Weights) -> Plane:
        """Return the part of the expected magnitudes that does not depend on the plane itself."""
        padded = np.pad(self.long, 1)
        around = padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:]
        return (
            weights.short * self.short
            + weights.long * self.long
            + weights.around * around
            + (weights.mean * self.mean + weights.least)
        )

    def update(self, magnitudes: Plane) -> None:
        """Add a plane of magnitudes, at most `LARGEST`."""
        raised = magnitudes << _FEATURE_BITS
        self.short = (self.short + raised) >> 1
        self.long = self.long + ((raised - self.long) >> 3)
        self.mean = (3 * self.mean + int(raised.sum()) // raised.size) >> 2


def own_part(weights: Weights, magnitudes: Plane) -> Plane:
    """Return the part of the expected magnitudes that the plane itself gives."""
    padded = np.pad(magnitudes, ((1, 0), (1, 1)))
    sides = padded[1:, :-2] + padded[:-1, 1:-1]
    corners = padded[:-1, :-2] + padded[:-1, 2:]
    part: Plane = (weights.side * sides + weights.corner * corners) << _FEATURE_BITS
    return part


def contexts_of(total: Plane) -> Plane:
    """Return the contexts of sums of both parts."""
    contexts: Plane = _CONTEXT_OF_SCALE[np.minimum(total >> _SHIFT, _TABLE - 1)]
    return contexts


def context_of(total: int) -> int:
    """Return the context of one sum of both parts."""
    return _CONTEXT_LIST[min(total >> _SHIFT, _TABLE - 1)]
