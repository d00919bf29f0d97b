"""The spectrum of detail: power of a decoded picture's luma over the photograph's own.

Power is averaged over windows of 48 pixels, a step of 24 apart, weighted by Hann's window, and summed
over bands: four octaves up to half a cycle a pixel, in four directions, each 45 degrees wide.  Power
along "rows" is that of detail which changes along a row of pixels, such as upright lines.  To both
pictures is added what rounding to whole levels puts there, so that flat pictures have a ratio of 1.

A band at 1 has as much detail as the photograph, right or wrong: the measure sees no place and no
phase.  It is for what other measures let pass: a mesh, ringing, missing texture.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from diffc.bench.measures.published import to_luma

SIDE, STEP = 48, 24
"""Pixels of a window, and between two of them."""
OCTAVES = ("1/32", "1/16", "1/8", "1/4")
"""Lowest frequency of each octave in cycles a pixel, which ends where the next begins."""
DIRECTIONS = ("rows", "diagonal", "columns", "other diagonal")
"""By angle, 45 degrees apart, each beside the next and the last beside the first."""
EXCESS, AXES = "spectrum_excess", "spectrum_axes"
"""Names of the two figures that the bands come to."""

Power = NDArray[np.float64]

# rings of one window's frequencies in which rows and columns stand against the diagonals: from 1/6
# to 1/2.5 cycles a pixel
_RINGS = range(8, 20)
# degrees to each side: narrow, for what a network draws along rows and columns is
_NARROW = 12.0


def band_name(octave: str, direction: str) -> str:
    """Return what a band is called in rows."""
    return f"spectrum {octave} {direction}"


BANDS = tuple(band_name(octave, direction) for octave in OCTAVES for direction in DIRECTIONS)
"""Names of the bands, octave by octave."""


def spectrum(original: Image.Image, decoded: Image.Image) -> dict[str, float]:
    """Compare the power of two RGB pictures.

    Parameters
    ----------
    original, decoded : Image
        RGB, of one size, sides of at least `SIDE`.

    Returns
    -------
    dict
        By the names of `BANDS` the decoded picture's power over the original's, above 0.  `EXCESS`
        is the largest ratio of a band to a neighbour, in octave or direction; `AXES` the largest, over
        rings of one frequency from 1/6 to 1/2.5 cycles a pixel, of rows and columns to diagonals.  Of
        equal pictures all are 1.
    """
    ours, theirs = (_power(each) for each in (original, decoded))
    ratios = np.array(
        [[theirs[band].sum() / ours[band].sum() for band in octave] for octave in _BANDS]
    )
    found = dict(zip(BANDS, ratios.ravel().tolist(), strict=True))
    logarithms = np.log(ratios)
    steps = [np.diff(logarithms, axis=0), logarithms - np.roll(logarithms, 1, axis=1)]
    found[EXCESS] = float(np.exp(max(np.abs(step).max() for step in steps)))
    found[AXES] = float(
        max(
            theirs[axes].sum() / ours[axes].sum() * ours[diagonals].sum() / theirs[diagonals].sum()
            for axes, diagonals in _AGAINST
        )
    )
    return found


def _power(picture: Image.Image) -> Power:
    """Return the mean power of windows, (48, 48), frequency 0 first."""
    windows = np.lib.stride_tricks.sliding_window_view(to_luma(picture), (SIDE, SIDE))
    windows = windows[::STEP, ::STEP]
    total = np.zeros((SIDE, SIDE))
    # a row of windows at a time
    for row in windows:
        total += np.square(np.abs(np.fft.fft2(row * _HANN))).sum(0)
    # the variance of rounding is 1/12
    power: Power = total / math.prod(windows.shape[:2]) + np.square(_HANN).sum() / 12
    return power


def _bands(width: float) -> tuple[Power, list[NDArray[np.bool_]]]:
    """Return radii in steps of a window's frequencies, and where each direction is."""
    steps = np.fft.fftfreq(SIDE) * SIDE
    angles = np.degrees(np.arctan2(steps[:, None], steps[None]))
    directions = []
    for angle in (0, 45, 90, 135):
        away = np.abs((angles - angle + 90) % 180 - 90)
        directions.append(away < width)
    return np.hypot(steps[:, None], steps[None]), directions


def _octaves() -> list[list[NDArray[np.bool_]]]:
    radii, directions = _bands(22.5)
    lowest = (SIDE / int(each.partition("/")[2]) for each in OCTAVES)
    return [
        [direction & (low <= radii) & (radii < 2 * low) for direction in directions]
        for low in lowest
    ]


def _rings() -> list[tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
    radii, (rows, diagonal, columns, other) = _bands(_NARROW)
    rings = (np.round(radii) == ring for ring in _RINGS)
    return [((rows | columns) & ring, (diagonal | other) & ring) for ring in rings]


_LINE = np.sin(np.pi * np.arange(SIDE) / SIDE) ** 2
_HANN = _LINE[:, None] * _LINE
_BANDS = _octaves()
_AGAINST = _rings()
