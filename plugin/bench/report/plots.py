"""Rate-quality curves as PNG and SVG: one picture a measure, the same bytes for the same values."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from diffc.bench.measures.available import Measure
from diffc.bench.packages import load_package
from diffc.bench.report.results import Results

Curve = Sequence[tuple[float, float | None]]

# Okabe and Ito, "Color universal design", 2008, without the yellow that white swallows
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#56B4E9", "#E69F00")
_MARKERS = "osD^vPX*<>"
_LINES = ("-", "--", ":", "-.")
_STYLE = {
    "axes.edgecolor": "#888888",
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.size": 10,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.8,
    # names of elements are drawn by chance otherwise
    "svg.hashsalt": "diffc",
    "xtick.color": "#444444",
    "ytick.color": "#444444",
}
# of the height of the axes
_LINE_HEIGHT = 0.06


def write_curves(results: Results) -> list[Path]:
    """Write ``plots/MEASURE.png`` and ``.svg`` of all measures that have values.

    Targets that not all images reached are drawn apart, at the rate of the files there are.

    Raises
    ------
    ValueError
        If matplotlib is missing.
    """
    plots = results.folder / "plots"
    plots.mkdir(exist_ok=True)
    files: list[Path] = []
    for measure in results.averaged:
        joined: dict[str, Curve] = {}
        apart: dict[str, Curve] = {}
        for codec in results.run_file.codecs:
            cells = [results.cell(codec, target) for target in results.run_file.targets]
            # a mean over fewer images compares with nothing
            coded = [cell for cell in cells if cell.images == len(results.run_file.images)]
            points = [
                (results.meets(cell), (cell.bpp or 0.0, cell.measures.get(measure.name)))
                for cell in coded
            ]
            joined[codec] = [point for met, point in points if met]
            # below its lowest rate a codec makes the same files for several targets
            apart[codec] = list(dict.fromkeys(point for met, point in points if not met))
        every = [value for each in (joined, apart) for c in each.values() for _, value in c]
        if any(value is not None for value in every):
            count = len(results.run_file.images)
            files += write_plot(
                plots / measure.name,
                measure,
                joined,
                apart,
                labels=results.run_file.labels,
                logarithmic=True,
                title=f"Mean of {count} image{'' if count == 1 else 's'}",
            )
    return files


def write_plot(
    stem: Path,
    measure: Measure,
    curves: Mapping[str, Curve],
    unreached: Mapping[str, Curve] | None = None,
    *,
    labels: Mapping[str, str] | None = None,
    logarithmic: bool = False,
    title: str = "",
) -> list[Path]:
    """Write one measure's curves as ``stem.png`` and ``stem.svg``.

    Parameters
    ----------
    stem : Path
        Path without ending; its folder exists.
    measure : Measure
        What the values are.
    curves : mapping of str to sequence of (bits per pixel, value)
        For each codec, by rate.  The line is interrupted where a value is None or not finite.
        The order gives colours and markers; a codec without values keeps its place.
    unreached : mapping of str to sequence of (bits per pixel, value), optional
        Points of files that are larger than was asked for: hollow, and not joined.
    labels : mapping of str to str, optional
        What codecs are called; those without one by themselves.
    logarithmic : bool
        Whether the axis of the rate is.
    title : str
        Above; what the values are means of, for example.

    Returns
    -------
    list of Path
        The files.

    Raises
    ------
    ValueError
        If there is nothing to show, or matplotlib is missing.
    OSError
        If a file cannot be written.
    """
    apart = unreached or {}
    # colours and markers go by the order, so that a codec looks the same in all plots of a run
    shown = {
        codec: (_clean(curves.get(codec, ())), _clean(apart.get(codec, ())))
        for codec in dict.fromkeys([*curves, *apart])
    }
    if not any(_finite(joined) or _finite(single) for joined, single in shown.values()):
        raise ValueError(f"a plot needs values, and no codec has any of {measure.label}: skip it")
    matplotlib = load_package("matplotlib")
    figures = load_package("matplotlib.figure")
    files = []
    # not what a user's matplotlibrc says
    with matplotlib.rc_context({**matplotlib.rcParamsDefault, **_STYLE}):
        figure = figures.Figure(figsize=(7.2, 4.5), layout="constrained")
        axes = figure.add_subplot()
        ends = [
            ((labels or {}).get(codec, codec), *_draw(axes, index, joined, single))
            for index, (codec, (joined, single)) in enumerate(shown.items())
            if _finite(joined) or _finite(single)
        ]
        _describe(axes, measure, title, logarithmic=logarithmic)
        if any(_finite(single) for _, single in shown.values()):
            axes.set_xlabel(f"{axes.get_xlabel()}  (hollow: larger than asked for)")
        _label(axes, ends)
        for ending, metadata in (("png", {"Software": None}), ("svg", {"Date": None})):
            files.append(stem.with_name(f"{stem.name}.{ending}"))
            figure.savefig(files[-1], dpi=160, metadata=metadata)
    return files


def _clean(points: Curve) -> list[tuple[float, float]]:
    """Return points with nan where there is no value: lines are interrupted there."""
    return [
        (rate, value if value is not None and math.isfinite(value) else math.nan)
        for rate, value in points
    ]


def _finite(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    return [point for point in points if math.isfinite(point[1])]


def _draw(
    axes: Any, index: int, joined: list[tuple[float, float]], single: list[tuple[float, float]]
) -> tuple[str, tuple[float, float]]:
    """Draw one codec; return its colour and where its curve ends on the right."""
    colour = _COLOURS[index % len(_COLOURS)]
    look = {
        "color": colour,
        "marker": _MARKERS[index % len(_MARKERS)],
        "markersize": 5.5,
        "linewidth": 1.8,
        "clip_on": False,
        "zorder": 3,
    }
    if joined:
        line = _LINES[index // len(_COLOURS) % len(_LINES)]
        axes.plot(*zip(*joined, strict=True), linestyle=line, **look)
    if single:
        axes.plot(*zip(*single, strict=True), linestyle="none", markerfacecolor="white", **look)
    return colour, max(_finite(joined) + _finite(single))


def _describe(axes: Any, measure: Measure, title: str, *, logarithmic: bool) -> None:
    unit = f" ({measure.unit})" if measure.unit else ""
    axes.set_ylabel(", ".join(filter(None, (f"{measure.label}{unit}", measure.hint))))
    axes.set_xlabel("bits per pixel of the file")
    if title:
        axes.set_title(title, loc="left", fontsize=11, fontweight="bold")
    if logarithmic:
        ticker = load_package("matplotlib.ticker")
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(ticker.FormatStrFormatter("%g"))
        axes.xaxis.set_minor_formatter(ticker.NullFormatter())
    else:
        axes.set_xlim(left=0)
    axes.margins(y=0.08)


def _label(axes: Any, ends: list[tuple[str, str, tuple[float, float]]]) -> None:
    """Write each codec's name on the right, as high as its curve ends if there is room."""
    # limits are final now: where a value is, as a share of the height of the axes
    low, high = axes.get_ylim()
    wanted = sorted(
        ((point[1] - low) / (high - low), label, colour, point) for label, colour, point in ends
    )
    for height, (_, label, colour, point) in zip(
        _spread([each[0] for each in wanted]), wanted, strict=True
    ):
        axes.annotate(
            label,
            xy=point,
            xytext=(1.03, height),
            textcoords="axes fraction",
            color=colour,
            va="center",
            fontweight="bold",
            # a label is text, dollars and all
            parse_math=False,
            arrowprops={
                "arrowstyle": "-",
                "color": colour,
                "linewidth": 0.7,
                "alpha": 0.6,
                "relpos": (0, 0.5),
            },
            annotation_clip=False,
        )


def _spread(heights: list[float]) -> list[float]:
    """Move rising heights apart by a line's height, as little as will do."""
    groups: list[list[float]] = []
    for height in heights:
        groups.append([height])
        # lines that touch become one block, centred on where its lines would be
        while len(groups) > 1 and _top(groups[-2]) > _bottom(groups[-1]):
            last = groups.pop()
            groups[-1] += last
    return [
        _bottom(group) + (index + 0.5) * _LINE_HEIGHT
        for group in groups
        for index in range(len(group))
    ]


def _bottom(group: list[float]) -> float:
    size = len(group) * _LINE_HEIGHT
    # within the axes, if there is room for so many
    return max(0.0, min(sum(group) / len(group) - size / 2, 1 - size))


def _top(group: list[float]) -> float:
    return _bottom(group) + len(group) * _LINE_HEIGHT
