"""A run's folder as the report needs it: what was asked, what came out, and what may be missing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diffc.bench.contenders.specs import label_of
from diffc.bench.measures.available import MEASURES, Measure
from diffc.bench.report.summary import Cell, cells_of
from diffc.bench.run.places import SUMMARY, Places
from diffc.bench.run.rows import Row, RowStore
from diffc.bench.run.run_file import RunFile
from diffc.bench.run.run_file import read_run as read_run_file
from diffc.bench.run.speed_rows import read_speed

_COLOURS = 10


@dataclass(frozen=True)
class Run:
    """What a folder of a run holds.

    Parameters
    ----------
    folder : Path
        Where it is.
    asked : RunFile
        What the run was asked.
    summary : dict
        ``summary.json``; empty if the run has not come that far.
    speed : list of dict
        The lines of ``speed.jsonl``.
    codecs : list of str
        Specs in the order asked.
    targets : list of float
        Bits per pixel, ascending.
    images : list of str
        Names in the order of the run.
    rows : dict
        Rows by (image, codec, target).
    cells : dict
        Their means by (codec, target).
    """

    folder: Path
    asked: RunFile
    summary: dict[str, Any]
    speed: list[dict[str, Any]]
    codecs: list[str]
    targets: list[float]
    images: list[str]
    rows: dict[tuple[str, str, float], Row]
    cells: dict[tuple[str, float], Cell]

    def label(self, codec: str) -> str:
        """Return what a codec is called on the page."""
        return self.asked.labels.get(codec) or label_of(codec)

    def cell(self, codec: str, target: float) -> Cell:
        """Return what a codec's rows at a target come to, without the patch distance."""
        return self.cells[codec, target]


def read_run(folder: Path) -> Run:
    """Read a run's folder.

    Raises
    ------
    ValueError
        If it is none, or what it holds is damaged or of another version.
    OSError
        If it cannot be read.
    """
    asked = read_run_file(folder)
    rows = RowStore(folder).rows()
    return Run(
        folder=folder,
        asked=asked,
        summary=_object(folder / SUMMARY) if (folder / SUMMARY).is_file() else {},
        speed=read_speed(folder),
        codecs=asked.codecs,
        targets=sorted(asked.targets),
        images=[str(each["name"]) for each in asked.images],
        rows={row.key: row for row in rows},
        cells={(cell.codec, cell.target_bpp): cell for cell in cells_of(asked, rows)},
    )


def _object(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ValueError(f"{path} is no JSON object: run the bench again into another folder")
    return found


def measure_table(run: Run) -> list[dict[str, Any]]:
    """Return what the page says of each measure that some row has, in the order of `MEASURES`."""
    present = {name for row in run.rows.values() for name in row.measures}
    return [described(measure) for name, measure in MEASURES.items() if name in present]


def described(measure: Measure) -> dict[str, Any]:
    """Return what the page says of a measure."""
    return {
        "name": measure.name,
        "label": measure.label,
        "unit": measure.unit,
        "better": measure.better,
        "arrow": measure.arrow,
        "digits": measure.decimals,
    }


def codec_table(run: Run, measures: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return what the page says of each codec: name, colour and curves."""
    styles = _styles(run.codecs)
    return [
        {
            "label": run.label(codec),
            "colour": styles[codec][0],
            "dashed": styles[codec][1],
            "curves": _curves(run, codec, measures),
        }
        for codec in run.codecs
    ]


def _styles(codecs: list[str]) -> dict[str, tuple[int, bool]]:
    """Return a colour and whether it is dashed: ``avif-ds`` has that of ``avif``, dashed."""
    plain = [(colour, False) for colour in range(_COLOURS)]
    free = [*plain, *((colour, True) for colour, _ in plain)]
    styles: dict[str, tuple[int, bool]] = {}
    shrunk = {each: f"{each}-ds" for each in codecs if f"{each}-ds" in codecs}
    for codec in sorted(codecs, key=lambda each: each not in shrunk):
        if codec not in styles:
            # of more codecs than styles some look alike
            styles[codec] = free.pop(0) if free else (len(styles) % _COLOURS, False)
            twin = (styles[codec][0], True)
            if codec in shrunk and twin in free:
                free.remove(twin)
                styles[shrunk[codec]] = twin
    return styles


def _curves(run: Run, codec: str, measures: list[dict[str, Any]]) -> dict[str, Any]:
    curves: dict[str, list[dict[str, Any]]] = {}
    for target in run.targets:
        cell = run.cell(codec, target)
        # a mean over other images would be no point of the same curve
        if cell.images < len(run.images):
            continue
        reached = cell.reached == cell.images
        for measure in measures:
            value = cell.measures.get(measure["name"])
            if value is not None:
                point = {"bpp": cell.bpp, "value": value, "target": target, "reached": reached}
                curves.setdefault(measure["name"], []).append(point)
    return curves


def picture_paths(run: Run, image: str) -> list[Path]:
    """Return the files of an image's pictures, the original first.

    Raises
    ------
    ValueError
        If one is not in the run's folder.
    """
    rows = (run.rows.get((image, codec, t)) for t in run.targets for codec in run.codecs)
    decoded = (run.folder / row.picture for row in rows if row is not None and row.picture)
    paths = [Places(run.folder).original(image), *decoded]
    root = run.folder.resolve()
    for path in paths:
        # a page may go to others, and a folder may come from them
        if not path.resolve().is_relative_to(root):
            raise ValueError(
                f"{run.folder} names a picture outside the folder of the run: run the bench again"
            )
    return paths


def image_table(run: Run, shown: list[str], places: dict[Path, int]) -> list[dict[str, Any]]:
    """Return what the viewer says of each image that it shows."""
    sizes = {each["name"]: each for each in run.asked.images}
    return [
        {
            "name": image,
            "width": sizes[image]["width"],
            "height": sizes[image]["height"],
            "original": places[Places(run.folder).original(image)],
            "rows": [
                [
                    _shown_row(run, run.rows.get((image, codec, target)), places)
                    for codec in run.codecs
                ]
                for target in run.targets
            ],
        }
        for image in shown
    ]


def _shown_row(run: Run, row: Row | None, places: dict[Path, int]) -> dict[str, Any] | None:
    if row is None:
        return None
    return {
        "bytes": row.bytes,
        "bpp": row.bpp,
        "reached": row.reached,
        "setting": row.setting,
        "measures": row.measures,
        "error": row.error,
        "picture": places.get(run.folder / row.picture) if row.picture else None,
    }
