"""The integers of a quantised latent in adaptive binary decisions, plane after plane.

Whether a plane has anything but zeros; for each of its coefficients whether it is zero, on which
side of zero, and by how much.  The first guesses of the shares come from a Laplace distribution of
the context's scale over the cell that the dither leaves, in decimal arithmetic, which is exact;
from there they follow what is coded.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal, localcontext
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from diffc.codecs.dither.contexts import (
    CONTEXTS,
    LARGEST,
    Activity,
    Weights,
    context_of,
    scale_of_context,
    weights_of,
)
from diffc.codecs.dither.prediction import UNIT, Plane, Predictor, from_lower, predictor_of
from diffc.entropy.adaptive import AdaptiveBit, CountModel
from diffc.entropy.range_coder import RangeDecoder, RangeEncoder

OFFSETS = 4
"""Classes of how far the dither moves a cell, in eighths of a step."""
_OFFSET_SHIFT = 9
_UNARY = 14
LARGEST_VALUE = 50_000


def offsets_of(dither: Plane) -> Plane:
    """Return the class of each dither, in fixed point within half a step."""
    classes: Plane = np.minimum(np.abs(dither) >> _OFFSET_SHIFT, OFFSETS - 1)
    return classes


@dataclass(frozen=True)
class PlaneSymbols:
    """What is coded of one plane.

    Parameters
    ----------
    values : array
        Quantised coefficients less their predictions, (rows, columns), int64.
    dither : array
        What the predictions leave of it, in fixed point.
    contexts : array
        Of the expected magnitudes.
    """

    values: NDArray[np.int64]
    dither: NDArray[np.int64]
    contexts: NDArray[np.int64]


@lru_cache(maxsize=1)
def _first_counts() -> tuple[list[tuple[int, int]], list[tuple[int, int]], list[tuple[int, int]]]:
    """Return counts (zeros, ones) to begin with: of not being zero, of the near side, of more."""
    some, near, more = [], [], []
    with localcontext() as exact:
        exact.prec = 20
        for context in range(CONTEXTS):
            numerator, denominator = scale_of_context(context)
            rate = Decimal(denominator) / Decimal(numerator)
            for offset in range(OFFSETS):
                moved = Decimal(2 * offset + 1) / 16
                near_side = (-(Decimal("0.5") - moved) * rate).exp() / 2
                far_side = (-(Decimal("0.5") + moved) * rate).exp() / 2
                some.append(_counts(near_side + far_side))
                near.append(_counts(near_side / (near_side + far_side)))
            more.append(_counts((-rate).exp()))
    return some, near, more


def _counts(share: Decimal) -> tuple[int, int]:
    """Return counts whose rarer one stands for two observations, as far as the other allows."""
    share = min(max(share, Decimal("0.01")), Decimal("0.99"))
    rare = min(share, 1 - share)
    common = int((4 * (1 - rare) / rare).to_integral_value())
    return (common, 4) if share < Decimal("0.5") else (4, common)


class SymbolModel:
    """The adaptive decisions, the same in encoder and decoder."""

    def __init__(self) -> None:
        some, near, more = _first_counts()
        self.plane = [AdaptiveBit(), AdaptiveBit()]
        self.some = [AdaptiveBit(*counts) for counts in some]
        self.near = [AdaptiveBit(*counts) for counts in near]
        self.more = [AdaptiveBit(*counts) for counts in more for _ in range(_UNARY)]
        self.rest = CountModel()
        self.previous = 1

    def encode_plane(self, encoder: RangeEncoder, symbols: PlaneSymbols) -> None:
        """Add a plane's values to the stream."""
        values = symbols.values.ravel()
        filled = int(values.any())
        self.plane[self.previous].encode(encoder, filled)
        self.previous = filled
        if not filled:
            return
        places = (symbols.contexts * OFFSETS + offsets_of(symbols.dither)).ravel().tolist()
        some = self.some
        for place, value, dither in zip(
            places, values.tolist(), symbols.dither.ravel().tolist(), strict=True
        ):
            if value:
                some[place].encode(encoder, 1)
                self._encode_value(encoder, value, place, dither)
            else:
                some[place].encode(encoder, 0)

    def _encode_value(self, encoder: RangeEncoder, value: int, place: int, dither: int) -> None:
        if dither:
            self.near[place].encode(encoder, int((value < 0) == (dither > 0)))
        else:
            encoder.encode(int(value < 0), 1, 2)
        size = abs(value)
        first = place // OFFSETS * _UNARY - 1
        for step in range(1, min(size, _UNARY + 1)):
            self.more[first + step].encode(encoder, 1)
        if size <= _UNARY:
            self.more[first + size].encode(encoder, 0)
        else:
            self.rest.encode(encoder, size - _UNARY - 1)

    def decode_value(self, decoder: RangeDecoder, place: int, dither: int) -> int:
        """Return the next value that is not zero."""
        if dither:
            negative = self.near[place].decode(decoder) == (dither > 0)
        else:
            bit = decoder.peek(2)
            decoder.take(bit, 1, 2)
            negative = bool(bit)
        first = place // OFFSETS * _UNARY - 1
        size = 1
        while size <= _UNARY and self.more[first + size].decode(decoder):
            size += 1
        if size > _UNARY:
            size += self.rest.decode(decoder)
        return -size if negative else size


def decode_planes(
    payload: bytes, dither: Plane, *, components: bool, truncated: bool = False
) -> Iterator[Plane]:
    """Read planes of integers, one after the other.

    Parameters
    ----------
    payload : bytes
        Of a file.
    dither : array
        (channels, rows, columns), in fixed point within half a step; zeros where there is none.
    components : bool
        See `predictor_of`.
    truncated : bool
        The payload is the first part of one: what it does not decide is left out.

    Yields
    ------
    array
        Integers (rows, columns) of the next channel.

    Raises
    ------
    ValueError
        If the payload ends long before its planes.
    """
    decoder, model = RangeDecoder(payload), SymbolModel()
    shape = (dither.shape[1], dither.shape[2])
    activity = Activity(shape)
    values: list[Plane] = []
    for channel, part in enumerate(dither):
        predictor = predictor_of(components, channel)
        lower = from_lower(predictor, values, shape)
        plane = _PlaneDecoder(decoder, model, predictor, weights_of(channel), truncated)
        integers, magnitudes, whole = plane.read(lower, part, activity)
        if not whole:
            return
        activity.update(magnitudes)
        values.append(integers * UNIT + part)
        yield integers


class _PlaneDecoder:
    def __init__(
        self,
        decoder: RangeDecoder,
        model: SymbolModel,
        predictor: Predictor,
        weights: Weights,
        truncated: bool,
    ) -> None:
        self.decoder, self.model = decoder, model
        self.predictor, self.weights = predictor, weights
        self.truncated = truncated

    def read(self, lower: Plane, dither: Plane, activity: Activity) -> tuple[Plane, Plane, bool]:
        """Return a plane's integers, their magnitudes after prediction, and whether it is whole."""
        rows, columns = dither.shape
        model = self.model
        filled = model.plane[model.previous].decode(self.decoder)
        model.previous = filled
        bases = activity.base(self.weights).tolist()
        lowers, dithers = lower.tolist(), dither.tolist()
        integers: list[list[int]] = []
        magnitudes: list[list[int]] = []
        above_values, above_sizes = [0] * columns, [0] * (columns + 2)
        for row in range(rows):
            if self.truncated and not self.decoder.certain():
                return dither, dither, False
            found, values, sizes = self._row(
                row, filled, bases[row], lowers[row], dithers[row], above_values, above_sizes
            )
            # without this, a few bytes could keep the decoder busy for every plane
            if self.decoder.overrun() and not self.truncated:
                raise ValueError("the payload ends before its planes: the stream is damaged")
            integers.append(found)
            magnitudes.append(sizes[1:-1])
            above_values, above_sizes = values, sizes
        whole = not self.truncated or self.decoder.certain()
        return np.array(integers, np.int64), np.array(magnitudes, np.int64), whole

    def _row(
        self,
        row: int,
        filled: int,
        bases: list[int],
        lowers: list[int],
        dithers: list[int],
        above_values: list[int],
        above_sizes: list[int],
    ) -> tuple[list[int], list[int], list[int]]:
        model, decoder, predictor = self.model, self.decoder, self.predictor
        side, corner = self.weights.side << 8, self.weights.corner << 8
        some, decode_value = model.some, model.decode_value
        own, half, last = predictor.own, UNIT // 2, len(dithers) - 1
        integers: list[int] = []
        values: list[int] = []
        sizes = [0] * (last + 3)
        for column, dither in enumerate(dithers):
            prediction = lowers[column]
            if own:
                # as `prediction.from_own` has it
                north = above_values[column] if row else values[column - 1] if column else 0
                west = values[column - 1] if column else north
                northwest = above_values[column - 1] if row and column else north
                northeast = above_values[column + 1] if row and column < last else north
                prediction += (
                    predictor.west * west
                    + predictor.north * north
                    + predictor.northwest * northwest
                    + predictor.northeast * northeast
                )
            left = dither - (prediction >> 6)
            shift = (left + half) >> 12
            value = 0
            if filled:
                left -= shift << 12
                context = context_of(
                    bases[column]
                    + side * (sizes[column] + above_sizes[column + 1])
                    + corner * (above_sizes[column] + above_sizes[column + 2])
                )
                place = context * OFFSETS + min(abs(left) >> _OFFSET_SHIFT, OFFSETS - 1)
                if some[place].decode(decoder):
                    value = decode_value(decoder, place, left)
                    sizes[column + 1] = min(abs(value), LARGEST)
            integer = value - shift
            integers.append(integer)
            values.append((integer << 12) + dither)
        return integers, values, sizes
