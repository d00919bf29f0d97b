"""What a run comes to: means of each codec at each target, and BD-rates."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from diffc.bench.contenders.specs import label_of
from diffc.bench.measures.available import MEASURES, SET_MEASURES, Measure
from diffc.bench.measures.bd_rate import BDRate, bd_rate
from diffc.bench.measures.patch_distance import paired_patch_distance
from diffc.bench.run.records import Key, Row, RowStore, read_speed
from diffc.bench.run.run_file import SUMMARY, Places, RunFile, read_run
from diffc.file_io import write_whole

_ANCHORS = ("avif-ds", "avif", "jpeg")


@dataclass(frozen=True)
class Cell:
    """A codec at a target, over the images that it coded.

    Parameters
    ----------
    codec : str
        The spec.
    target_bpp : float
        The target.
    images : int
        How many images were coded.
    reached : int
        How many files fit the target.
    errors : int
        How many images could not be coded.
    bpp : float, optional
        Mean bits per pixel of the real files; None where no image was coded.
    measures : dict
        Means of the measures that all coded images have, and measures of them all at once.
    standard_errors : dict
        Of the latter, by name.
    """

    codec: str
    target_bpp: float
    images: int
    reached: int
    errors: int
    bpp: float | None
    measures: dict[str, float]
    standard_errors: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Results:
    """What the folder of a run holds, and what it comes to.

    Parameters
    ----------
    folder : Path
        The run's.
    run_file : RunFile
        Its codecs, targets and images.
    rows : dict
        Rows by (image, codec, target).
    cells : dict
        Cells by (codec, target).
    anchor : str
        The codec that BD-rates are against.
    bd_rates : dict
        Of the other codecs, by codec and measure.
    speed : list of dict
        The lines of ``speed.jsonl``.
    """

    folder: Path
    run_file: RunFile
    rows: dict[Key, Row]
    cells: dict[tuple[str, float], Cell]
    anchor: str
    bd_rates: dict[str, dict[str, BDRate]]
    speed: list[dict[str, Any]]

    @property
    def images(self) -> list[str]:
        """Names of the images, in the order of the run."""
        return [each["name"] for each in self.run_file.images]

    @property
    def measures(self) -> list[Measure]:
        """Measures of single images that some row has."""
        present = {name for row in self.rows.values() for name in row.measures}
        return [measure for name, measure in MEASURES.items() if name in present]

    @property
    def averaged(self) -> list[Measure]:
        """Measures that some cell has, those of all images at once included."""
        present = {name for cell in self.cells.values() for name in cell.measures}
        return [
            each for each in (*MEASURES.values(), *SET_MEASURES.values()) if each.name in present
        ]

    def label(self, codec: str) -> str:
        """Return what a codec is called."""
        return self.run_file.labels.get(codec) or label_of(codec)

    def cell(self, codec: str, target_bpp: float) -> Cell:
        """Return one cell."""
        found = self.cells.get((codec, target_bpp))
        if found is None:
            raise ValueError(f"the run has no codec {codec!r} at {target_bpp!r} bpp")
        return found

    def meets(self, cell: Cell) -> bool:
        """Tell whether a codec's files meet the target for every image of the run."""
        return cell.reached == len(self.run_file.images)

    def only_at_others(self, cell: Cell) -> bool:
        """Tell whether a codec has no rows at the cell's target, but has some at another one."""
        others = (self.cells[cell.codec, target] for target in self.run_file.targets)
        return not _count(cell) and any(map(_count, others))

    def curve(self, codec: str) -> list[Cell]:
        """Return a codec's cells that all images reached; others are no points of one curve."""
        cells = (self.cells[codec, target] for target in self.run_file.targets)
        return [cell for cell in cells if self.meets(cell)]


def read_results(folder: Path, anchor: str | None = None) -> Results:
    """Read the folder of a run, which need not be complete, and compute what it comes to.

    A mean is over all images that were coded, or there is none: figures in a column are over the
    same images wherever no remark says otherwise.

    Parameters
    ----------
    folder : Path
        The run's.
    anchor : str, optional
        Spec of the codec that BD-rates are against; by default the first of avif-ds, avif and jpeg
        that is there, else the first of all.

    Raises
    ------
    ValueError
        If it is no folder of a run, what it holds is damaged or of another version, or the anchor
        is none of the run's codecs.
    OSError
        If it cannot be read.
    """
    run_file = read_run(folder)
    rows = {row.key: row for row in RowStore(folder).rows()}
    names = [each["name"] for each in run_file.images]
    cells = {
        (codec, target): _cell(
            Places(folder),
            (codec, target),
            [rows[key] for name in names if (key := (name, codec, target)) in rows],
        )
        for codec in run_file.codecs
        for target in run_file.targets
    }
    against = choose_anchor(run_file.codecs, anchor)
    found = Results(folder, run_file, rows, cells, against, {}, read_speed(folder))
    theirs = found.curve(against)
    for codec in run_file.codecs:
        if codec != against:
            ours = found.curve(codec)
            rated = [MEASURES[name] for name in run_file.measures if MEASURES[name].rated]
            found.bd_rates[codec] = {each.name: _bd_rate(theirs, ours, each) for each in rated}
    return found


def write_summary(results: Results) -> None:
    """Write ``summary.json``: cells, BD-rates, and on how many targets these stand.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    theirs = len(results.curve(results.anchor))
    rates = results.bd_rates
    summary = {
        "anchor": results.anchor,
        "images": len(results.run_file.images),
        "cells": [asdict(cell) for cell in results.cells.values()],
        "bd_rate": {c: {name: r.percent for name, r in of.items()} for c, of in rates.items()},
        "bd_notes": {
            codec: {name: rate.note for name, rate in of.items() if rate.note}
            for codec, of in rates.items()
        },
        "bd_points": {codec: (len(results.curve(codec)), theirs) for codec in rates},
    }
    text = json.dumps(summary, ensure_ascii=False, indent=1, allow_nan=False) + "\n"
    write_whole(results.folder / SUMMARY, text.encode())


def _count(cell: Cell) -> int:
    return cell.images + cell.errors


def choose_anchor(codecs: Sequence[str], wanted: str | None) -> str:
    """Return the codec that BD-rates are against.

    Raises
    ------
    ValueError
        If the one asked for is not among the codecs.
    """
    if wanted is not None and wanted not in codecs:
        raise ValueError(f"the anchor is one of {', '.join(codecs)}, not {wanted!r}: choose one")
    if wanted is not None:
        return wanted
    return next((each for each in _ANCHORS if each in codecs), codecs[0])


def _cell(places: Places, about: tuple[str, float], rows: list[Row]) -> Cell:
    coded = [row for row in rows if row.error is None]
    shared = coded[0].measures if coded else {}
    cell = Cell(
        *about,
        images=len(coded),
        reached=sum(row.reached for row in coded),
        errors=len(rows) - len(coded),
        bpp=statistics.fmean(row.bpp for row in coded) if coded else None,
        measures={
            name: statistics.fmean(row.measures[name] for row in coded)
            for name in shared
            if all(name in row.measures for row in coded)
        },
    )
    for name in SET_MEASURES:
        _add_patch_distance(places, cell, name, [row.image for row in coded])
    return cell


def _add_patch_distance(places: Places, cell: Cell, name: str, images: list[str]) -> None:
    about = cell.codec, cell.target_bpp
    pairs = [
        (places.original_features(name, image), places.features(name, *about, image))
        for image in images
    ]
    # pictures that are too small have none
    pairs = [pair for pair in pairs if all(path.exists() for path in pair)]
    if not pairs:
        return
    originals, decoded = zip(*([np.load(path) for path in pair] for pair in pairs), strict=True)
    try:
        found = paired_patch_distance(originals, decoded)
    except ValueError:  # a single patch is no set
        return
    cell.measures[name] = found.value
    if found.standard_error is not None:
        cell.standard_errors[name] = found.standard_error


def _bd_rate(anchor: list[Cell], test: list[Cell], measure: Measure) -> BDRate:
    def points(cells: list[Cell]) -> list[tuple[float, float]]:
        # pictures may be too small for a measure
        having = (cell for cell in cells if cell.bpp and measure.name in cell.measures)
        return [(cell.bpp or 0.0, cell.measures[measure.name]) for cell in having]

    return bd_rate(points(anchor), points(test), measure.better or "higher")
