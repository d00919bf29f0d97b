"""The curves of a run: a plot for each measure and for the patch distance."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from diffc.bench.measures.available import MEASURES, PATCH_DISTANCE, Measure
from diffc.bench.report.plots import write_plot
from diffc.bench.report.summary import Cell, Summary
from diffc.bench.run.run_file import RunFile

Points = list[tuple[float, float | None]]


def write_curves(folder: Path, whole: RunFile, summary: Summary) -> list[Path]:
    """Write ``plots/MEASURE.png`` and ``.svg`` of all measures that have values.

    Targets that not all images reached are drawn apart, at the rate of the files there are.

    Raises
    ------
    ValueError
        If matplotlib is missing.
    """
    plots = folder / "plots"
    plots.mkdir(exist_ok=True)
    files: list[Path] = []
    for name in whole.measures:
        files += _write(plots, MEASURES[name], whole, summary, _value_of(name))
    return files + _write(plots, PATCH_DISTANCE, whole, summary, lambda cell: cell.patch_distance)


def _value_of(name: str) -> Callable[[Cell], float | None]:
    return lambda cell: cell.measures.get(name)


def _write(
    plots: Path,
    measure: Measure,
    whole: RunFile,
    summary: Summary,
    value: Callable[[Cell], float | None],
) -> list[Path]:
    joined: dict[str, Points] = {}
    apart: dict[str, Points] = {}
    for codec in whole.codecs:
        curve = summary.curve(codec)
        # a mean over fewer images compares with nothing
        coded = [c for c in summary.cells if c.codec == codec and c.images == summary.images]
        joined[codec] = [(cell.bpp or 0.0, value(cell)) for cell in curve]
        # below its lowest rate a codec makes the same files for several targets
        apart[codec] = list(
            dict.fromkeys((cell.bpp or 0.0, value(cell)) for cell in coded if cell not in curve)
        )
    if not any(v is not None for each in (joined, apart) for c in each.values() for _, v in c):
        return []
    images = f"{summary.images} image{'' if summary.images == 1 else 's'}"
    return write_plot(
        plots / measure.name,
        measure,
        joined,
        apart,
        labels=whole.labels,
        logarithmic=True,
        title=f"Mean of {images}",
    )
