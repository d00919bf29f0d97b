"""Pictures that a JPEG file could have come from: its own coefficients, when they are coded again.

Coding keeps of each coefficient the multiple of a step that is nearest, so of a picture that was coded
each lies in a cell around that multiple.  A restored picture is moved into the cells, which form a
convex set that holds the original: no original can be further from what comes out.  The pixels are
rounded to 8 bits afterwards, and coded as libjpeg does it, so the move goes a little into the cell,
and where that was not enough, further, up to the middle.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diffc.codecs.shared.base_pictures.jpeg_file import (
    Component,
    Floats,
    JpegHeader,
    inverse,
    strips,
    transform,
)

Pixels = NDArray[np.uint8]

# how far into a cell, in the units of coefficients; rounding pixels moves one by 0.35, as a deviation
_MARGINS = (0.6, *(1 + 0.4 * n for n in range(20)))
# what integer transforms of encoders differ by
_INEXACT = 0.1


def make_consistent(
    pixels: Pixels, header: JpegHeader, components: Sequence[Component]
) -> tuple[Pixels, int]:
    """Move a picture into the cells of a file's coefficients.

    Parameters
    ----------
    pixels : NDArray
        uint8 (height, width, 3), or (height, width) for a grey file.
    header : JpegHeader
        Of the file.
    components : sequence of Component
        Its coefficients, from `read_coefficients`; of luma alone, only luma is moved.

    Returns
    -------
    pixels : NDArray
        Of the same shape.
    left : int
        How many blocks, all components together, are outside of their cells nevertheless: where
        values end at black or white, at a border inside a block, and of steps of one or two.
    """
    height, width = pixels.shape[:2]
    unit = 16 if header.subsampling == "4:2:0" else 8
    made = np.empty_like(pixels)
    left = 0
    for rows in strips(height + -height % unit):
        part = pixels[rows]
        cells = [
            _cells(each, rows, unit if n else 8, unit, -(-width // unit))
            for n, each in enumerate(components)
        ]
        made[rows], outside = _move(part, unit, cells)
        left += outside
    return made, left


@dataclass(frozen=True)
class _Cells:
    """Those of a component: middles (units, rows, columns, 8, 8) and half the widths (8, 8).

    Of blocks at the border some are not ``known`` (units, rows, columns).
    """

    middles: Floats
    half: Floats
    known: NDArray[np.bool_]

    def of(self, units: NDArray[np.int64]) -> _Cells:
        return _Cells(self.middles[units], self.half, self.known[units])


def _cells(component: Component, rows: slice, covered: int, unit: int, across: int) -> _Cells:
    """Return the cells of rows of pixels, unit by unit.

    A block of the component covers so many pixels a side, and there are so many units in a row.
    """
    levels = component.levels[rows.start // covered : rows.stop // covered]
    down, side = (rows.stop - rows.start) // unit, unit // covered
    missing = (down * side - levels.shape[0], across * side - levels.shape[1])
    frame = ((0, max(0, missing[0])), (0, max(0, missing[1])))
    known = np.pad(np.ones(levels.shape[:2], bool), frame)[: down * side, : across * side]
    middles = np.pad(levels.astype(np.float32) * component.steps, (*frame, (0, 0), (0, 0)))
    middles = middles[: down * side, : across * side]
    middles = middles.reshape(down, side, across, side, 8, 8).swapaxes(1, 2)
    known = known.reshape(down, side, across, side).swapaxes(1, 2)
    return _Cells(
        middles.reshape(down * across, side, side, 8, 8),
        component.steps * np.float32(0.5),
        known.reshape(down * across, side, side),
    )


def _move(pixels: Pixels, unit: int, cells: Sequence[_Cells]) -> tuple[Pixels, int]:
    """Move rows of whole units: the squares of pixels whose blocks depend on each other."""
    height, width = pixels.shape[:2]
    frame = ((0, -height % unit), (0, -width % unit), *[(0, 0)] * (pixels.ndim - 2))
    padded = np.pad(pixels, frame, mode="edge")
    down, across = (side // unit for side in padded.shape[:2])
    moved = padded.reshape(down, unit, across, unit, *pixels.shape[2:]).swapaxes(1, 2)
    moved = moved.reshape(down * across, unit, unit, *pixels.shape[2:])
    inside = _shown(height, width, unit, down, across)
    todo = np.arange(len(moved))
    counts = np.zeros(len(moved), np.int64)
    for margin in _MARGINS:
        tried = moved[todo]
        mine = [each.of(todo) for each in cells]
        tried = _step(tried, mine, np.float32(margin))
        tried = _continue_border(tried, inside[todo])
        moved[todo] = tried
        counts[todo] = _outside(tried, mine)
        todo = np.flatnonzero(counts)
        if not len(todo):
            break
    whole = moved.reshape(down, across, unit, unit, *pixels.shape[2:]).swapaxes(1, 2)
    return whole.reshape(padded.shape)[:height, :width], int(counts.sum())


def _shown(height: int, width: int, unit: int, down: int, across: int) -> NDArray[np.int64]:
    """Return how many rows and columns of each unit (down * across, 2) are of the picture."""
    rows = np.minimum(height - unit * np.arange(down), unit)
    columns = np.minimum(width - unit * np.arange(across), unit)
    return np.stack(np.meshgrid(rows, columns, indexing="ij"), -1).reshape(-1, 2)


def _continue_border(units: Pixels, shown: NDArray[np.int64]) -> Pixels:
    """Repeat the last row and column of the picture, as an encoder does."""
    size = units.shape[1]
    for number in np.flatnonzero((shown < size).any(1)):
        rows, columns = shown[number]
        units[number, rows:] = units[number, rows - 1]
        units[number, :, columns:] = units[number, :, columns - 1 : columns]
    return units


def _step(units: Pixels, cells: Sequence[_Cells], margin: np.float32) -> Pixels:
    planes = _to_luma_and_color(units)
    for index, each in enumerate(cells):
        plane = planes[index]
        small = plane.shape[1] > 8 * each.middles.shape[1]
        found = transform(_blocks(_half_size(plane) if small else plane))
        reach = np.maximum(each.half - margin, 0)
        change = np.clip(found, each.middles - reach, each.middles + reach) - found
        moved = inverse(change * each.known[..., None, None]) - np.float32(128)
        added = moved.swapaxes(2, 3).reshape(len(plane), 8 * moved.shape[1], 8 * moved.shape[2])
        planes[index] = plane + (added.repeat(2, 1).repeat(2, 2) if small else added)
    return _to_pixels(planes)


def _outside(units: Pixels, cells: Sequence[_Cells]) -> NDArray[np.int64]:
    """Return how many blocks of each unit an encoder would code otherwise.

    It computes in integers, which matters here.
    """
    counts = np.zeros(len(units), np.int64)
    for plane, each in zip(_integer_planes(units), cells, strict=False):
        if plane.shape[1] > 8 * each.middles.shape[1]:
            # libjpeg rounds up and down in turns
            sums = sum(plane[:, n // 2 :: 2, n % 2 :: 2] for n in range(4))
            plane = (sums + 1 + np.arange(8, dtype=np.int32) % 2) >> 2
        found = transform(_blocks(plane.astype(np.float32)))
        far = np.abs(found - each.middles) > each.half - np.float32(_INEXACT)
        counts += (far.any((3, 4)) & each.known).sum((1, 2))
    return counts


def _blocks(planes: Floats) -> Floats:
    """Cut planes (units, height, width) into blocks (units, rows, columns, 8, 8)."""
    count, height, width = planes.shape
    cut = planes.reshape(count, height // 8, 8, width // 8, 8).swapaxes(2, 3)
    return np.ascontiguousarray(cut)


def _half_size(planes: Floats) -> Floats:
    count, height, width = planes.shape
    small: Floats = planes.reshape(count, height // 2, 2, width // 2, 2).mean((2, 4))
    return small


def _to_luma_and_color(pixels: Pixels) -> list[Floats]:
    """Return Y, Cb and Cr; JFIF 1.02, "Conversion to and from RGB"."""
    values = pixels.astype(np.float32)
    if values.ndim == 3:
        return [values]
    red, green, blue = (values[..., n] for n in range(3))
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    return [luma, (blue - luma) / 1.772 + 128, (red - luma) / 1.402 + 128]


def _to_pixels(planes: Sequence[Floats]) -> Pixels:
    """Return rounded pixels; as `_to_luma_and_color`."""
    luma, *color = planes
    if not color:
        grey: Pixels = np.clip(np.rint(luma), 0, 255).astype(np.uint8)
        return grey
    to_blue, to_red = color[0] - 128, color[1] - 128
    red = luma + 1.402 * to_red
    green = luma - 0.344136 * to_blue - 0.714136 * to_red
    blue = luma + 1.772 * to_blue
    made: Pixels = np.clip(np.rint(np.stack([red, green, blue], -1)), 0, 255).astype(np.uint8)
    return made


def _integer_planes(pixels: Pixels) -> list[NDArray[np.int32]]:
    """Return Y, Cb and Cr as an encoder has them: 16 bits after the point, rounded."""
    values = pixels.astype(np.int32)
    if values.ndim == 3:
        return [values]
    red, green, blue = (values[..., n] for n in range(3))
    middle = (128 << 16) + (1 << 15) - 1
    return [
        (19595 * red + 38470 * green + 7471 * blue + (1 << 15)) >> 16,
        (-11059 * red - 21709 * green + 32768 * blue + middle) >> 16,
        (32768 * red - 27439 * green - 5329 * blue + middle) >> 16,
    ]
