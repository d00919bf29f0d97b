"""Bjontegaard delta rate: how many per cent more bytes a codec needs for the same quality.

The package bjontegaard interpolates the logarithm of the rate over the quality, piecewise cubic and
monotone (PCHIP, as in the common test conditions of JCT-VC and JVET): between few points that lie
unevenly it cannot overshoot, as a cubic through four of them can.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from diffc.bench.packages import load_package

METHOD = "pchip"
MINIMUM_POINTS = 3
"""On each curve; from two the package would draw a straight line."""
MINIMUM_OVERLAP = 0.1
"""Of the two ranges of quality together; below, the mean stands for too little of the curves."""
FULL_OVERLAP = 0.5
"""Below, a note says how much is common."""

Curve = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class BDRate:
    """The result for one codec and one measure.

    Parameters
    ----------
    percent : float, optional
        Mean difference of the rate at equal quality; negative if the codec needs fewer bytes than
        the anchor, None if it cannot be told.
    overlap : float
        Share of the two ranges of quality that is common, 0 to 1.
    note : str
        A sentence: why there is no number, or what to bear in mind; empty if nothing.
    """

    percent: float | None
    overlap: float
    note: str = ""


def bd_rate(anchor: Curve, test: Curve, better: Literal["higher", "lower"] = "higher") -> BDRate:
    """Compare the rates of two codecs at equal quality.

    A point that costs more than another one and is no better is left out, for nobody would choose
    it, and the interpolation needs curves that rise.

    Parameters
    ----------
    anchor, test : sequence of (rate, quality)
        In any order.  Rates are positive, in one unit for both; they are those of the files, not
        the targets.
    better : {"higher", "lower"}
        Which values of the measure are better; of the latter the negative is taken.

    Raises
    ------
    ValueError
        If a rate is not positive or a number is not finite, or the package is missing.
    """
    sign = 1 if better == "higher" else -1
    curves = {}
    notes = []
    for name, points in (("anchor", anchor), ("codec", test)):
        kept = _rising(points, sign)
        curves[name] = kept
        # a file that serves several targets is one point
        different = len({(rate, quality) for rate, quality in points})
        if different > len(kept):
            notes.append(
                f"{different - len(kept)} of {different} points of the {name} are left out, "
                "which cost more than another and are no better"
            )
        if len(kept) < MINIMUM_POINTS:
            reason = f"a curve needs {MINIMUM_POINTS} rising points, the {name} has {len(kept)}"
            return BDRate(None, 0.0, "; ".join([reason, *notes]))
    overlap = _overlap(*curves.values())
    if overlap < MINIMUM_OVERLAP:
        reason = f"only {overlap:.0%} of the range of quality is common to the two curves"
        return BDRate(None, overlap, "; ".join([reason, *notes]))
    if overlap < FULL_OVERLAP:
        notes.insert(0, f"from the {overlap:.0%} of the range of quality that both curves cover")
    package = load_package("bjontegaard")
    (anchor_rates, anchor_quality), (rates, quality) = (
        zip(*points, strict=True) for points in curves.values()
    )
    percent = package.bd_rate(
        anchor_rates,
        anchor_quality,
        rates,
        quality,
        method=METHOD,
        require_matching_points=False,
        min_overlap=0,
    )
    return BDRate(float(percent), overlap, "; ".join(notes))


def _rising(points: Curve, sign: int) -> list[tuple[float, float]]:
    """Return the points of a curve on which more bytes mean more quality, by rate."""
    for rate, quality in points:
        if not (rate > 0 and math.isfinite(rate) and math.isfinite(quality)):
            raise ValueError(
                f"points are finite and rates positive, not ({rate}, {quality}): leave it out"
            )
    found: list[tuple[float, float]] = []
    # at one rate, the best first
    for rate, quality in sorted((rate, -sign * quality) for rate, quality in points):
        if not found or -quality > found[-1][1]:
            found.append((rate, -quality))
    return found


def _overlap(first: Curve, second: Curve) -> float:
    common = min(first[-1][1], second[-1][1]) - max(first[0][1], second[0][1])
    range_of_both = max(first[-1][1], second[-1][1]) - min(first[0][1], second[0][1])
    return max(0.0, common / range_of_both)
