"""``summary.json``: what a run's rows come to, for each codec at each target and in BD-rates."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from diffc.bench.run.places import SUMMARY, Places
from diffc.bench.run.rows import Row, RowStore
from diffc.bench.run.run_file import RunFile
from diffc.file_io import write_whole

if TYPE_CHECKING:
    from diffc.bench.measures.bd_rate import BDRate

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
        Means of the measures that all coded images have.
    patch_distance : float, optional
        Of the decoded pictures from their originals; None without weights.
    patch_distance_error : float, optional
        Its standard error.
    """

    codec: str
    target_bpp: float
    images: int
    reached: int
    errors: int
    bpp: float | None
    measures: dict[str, float]
    patch_distance: float | None = None
    patch_distance_error: float | None = None


@dataclass(frozen=True)
class Summary:
    """What a run comes to.

    Parameters
    ----------
    anchor : str
        The codec that BD-rates are against.
    images : int
        How many images the run has.
    cells : list of Cell
        Codec by codec, targets ascending.
    bd_rate : dict
        Per cent of bytes by codec and measure, negative for fewer than the anchor's; None where
        the two curves do not allow it.
    bd_notes : dict
        Where there is something to say of a BD-rate, by codec and measure: why it is missing, or
        on what it stands.
    bd_points : dict
        How many targets of the codec and of the anchor the BD-rates stand on, by codec: those that
        all images reached.
    """

    anchor: str
    images: int
    cells: list[Cell]
    bd_rate: dict[str, dict[str, float | None]] = field(default_factory=dict)
    bd_notes: dict[str, dict[str, str]] = field(default_factory=dict)
    bd_points: dict[str, tuple[int, int]] = field(default_factory=dict)

    def curve(self, codec: str) -> list[Cell]:
        """Return a codec's cells that all images reached; others are no points of one curve."""
        return [cell for cell in self.cells if cell.codec == codec and cell.reached == self.images]

    def cell(self, codec: str, target_bpp: float) -> Cell:
        """Return one cell."""
        for each in self.cells:
            if (each.codec, each.target_bpp) == (codec, target_bpp):
                return each
        raise ValueError(f"the run has no codec {codec!r} at {target_bpp!r} bpp")


def summarise(folder: Path, whole: RunFile, anchor: str | None = None) -> Summary:
    """Compute and write the summary of a run.

    Parameters
    ----------
    folder : Path
        The run's.
    whole : RunFile
        What was asked.
    anchor : str, optional
        Spec of the codec that BD-rates are against; by default the first of avif-ds, avif and jpeg
        that is there, else the first of all.

    Raises
    ------
    ValueError
        If the anchor is none of the run's codecs.
    """
    against = choose_anchor(whole.codecs, anchor)
    rows = RowStore(folder).rows()
    cells = [_with_patch_distance(Places(folder), cell, rows) for cell in cells_of(whole, rows)]
    summary = Summary(against, len(whole.images), cells)
    theirs = summary.curve(against)
    for codec in whole.codecs:
        if codec != against:
            ours = summary.curve(codec)
            rates = {name: _bd_rate(theirs, ours, name) for name in whole.measures}
            summary.bd_rate[codec] = {name: each.percent for name, each in rates.items()}
            summary.bd_notes[codec] = {name: each.note for name, each in rates.items() if each.note}
            summary.bd_points[codec] = (len(ours), len(theirs))
    text = json.dumps(asdict(summary), ensure_ascii=False, indent=1, allow_nan=False) + "\n"
    write_whole(folder / SUMMARY, text.encode())
    return summary


def choose_anchor(codecs: Sequence[str], asked: str | None) -> str:
    """Return the codec that BD-rates are against.

    Raises
    ------
    ValueError
        If the one asked for is not among the codecs.
    """
    if asked is not None and asked not in codecs:
        raise ValueError(f"the anchor is one of {', '.join(codecs)}, not {asked!r}: choose one")
    if asked is not None:
        return asked
    return next((each for each in _ANCHORS if each in codecs), codecs[0])


def cells_of(whole: RunFile, rows: Iterable[Row]) -> list[Cell]:
    """Return all cells of a run, without patch distances.

    A mean is over all images that were coded, or there is none: figures in a column are over the
    same images wherever no asterisk says otherwise.
    """
    found = {row.key: row for row in rows}
    names = [each["name"] for each in whole.images]
    return [
        _cell(codec, target, [row for name in names if (row := found.get((name, codec, target)))])
        for codec in whole.codecs
        for target in whole.targets
    ]


def _cell(codec: str, target: float, rows: list[Row]) -> Cell:
    coded = [row for row in rows if row.error is None]
    shared = [name for name in (coded[0].measures if coded else ()) if _have(coded, name)]
    return Cell(
        codec=codec,
        target_bpp=target,
        images=len(coded),
        reached=sum(row.reached for row in coded),
        errors=len(rows) - len(coded),
        bpp=statistics.fmean(row.bpp for row in coded) if coded else None,
        measures={name: statistics.fmean(row.measures[name] for row in coded) for name in shared},
    )


def _with_patch_distance(places: Places, cell: Cell, rows: list[Row]) -> Cell:
    about = cell.codec, cell.target_bpp
    coded = [row for row in rows if row.error is None and (row.codec, row.target_bpp) == about]
    distance, error = _patch_distance(places, *about, coded)
    return replace(cell, patch_distance=distance, patch_distance_error=error)


def _have(rows: list[Row], measure: str) -> bool:
    return all(measure in row.measures for row in rows)


def _patch_distance(
    places: Places, codec: str, target: float, rows: list[Row]
) -> tuple[float | None, float | None]:
    pairs = [
        (places.original_features(row.image), places.features(codec, target, row.image))
        for row in rows
    ]
    # pictures that are too small have none
    pairs = [pair for pair in pairs if all(path.exists() for path in pair)]
    if not pairs:
        return None, None
    import numpy as np

    from diffc.bench.measures.patch_distance import paired_patch_distance

    originals, decoded = zip(*([np.load(path) for path in pair] for pair in pairs), strict=True)
    try:
        found = paired_patch_distance(originals, decoded)
    except ValueError:  # a single patch is no set
        return None, None
    return found.value, found.standard_error


def _bd_rate(anchor: list[Cell], test: list[Cell], measure: str) -> BDRate:
    from diffc.bench.measures.available import MEASURES
    from diffc.bench.measures.bd_rate import bd_rate

    def points(cells: list[Cell]) -> list[tuple[float, float]]:
        # pictures may be too small for a measure
        having = (cell for cell in cells if cell.bpp and measure in cell.measures)
        return [(cell.bpp or 0.0, cell.measures[measure]) for cell in having]

    return bd_rate(points(anchor), points(test), MEASURES[measure].better)
