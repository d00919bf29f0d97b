"""The tables of the report, as texts."""

from __future__ import annotations

import math
from typing import Any

from diffc.bench.contenders.specs import target_text
from diffc.bench.measures.available import PATCH_DISTANCE
from diffc.bench.report.page_data import Run, described
from diffc.bench.report.summary import Cell
from diffc.bench.report.table import NONE

_PATCH = PATCH_DISTANCE.name


def quality_columns(run: Run, measures: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the columns of the headline table: measures with a mean, then the patch distance."""
    having = {name for cell in run.cells.values() for name in cell.measures}
    columns = [each for each in measures if each["name"] in having]
    if any(patch_distance(run, codec, t) is not None for codec in run.codecs for t in run.targets):
        columns.append(described(PATCH_DISTANCE))
    return columns


def patch_distance(run: Run, codec: str, target: float) -> float | None:
    """Return what the summary says of a codec's patches at a target."""
    for cell in run.summary.get("cells", []):
        if cell["codec"] == codec and cell["target_bpp"] == target:
            value = cell.get(_PATCH)
            return None if value is None else float(value)
    return None


def quality_groups(run: Run, columns: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the headline table: for each target a line for each codec.

    The best of a column is marked among the codecs whose files meet the target for every image,
    if there are two of them.
    """
    return [_group(run, target, columns) for target in run.targets]


def _group(run: Run, target: float, columns: list[dict[str, Any]]) -> dict[str, Any]:
    cells = {codec: run.cell(codec, target) for codec in run.codecs}
    full = [codec for codec, cell in cells.items() if meets(run, cell)]
    values = {
        (codec, column["name"]): patch_distance(run, codec, target)
        if column["name"] == _PATCH
        else cell.measures.get(column["name"])
        for codec, cell in cells.items()
        for column in columns
    }
    lines = []
    for number, codec in enumerate(run.codecs):
        cell = cells[codec]
        lines.append(
            {
                "codec": number,
                "label": run.label(codec),
                "over": codec not in full,
                "remark": _remark(run, cell),
                "bpp": NONE if cell.bpp is None else f"{cell.bpp:.4f}",
                "cells": [_value_cell(values, codec, column, full) for column in columns],
            }
        )
    return {"target": target_text(target), "lines": lines}


def meets(run: Run, cell: Cell) -> bool:
    """Return whether a codec's files meet the target for every image of the run."""
    return cell.reached == len(run.images)


def _remark(run: Run, cell: Cell) -> str:
    total = len(run.images)
    remarks = []
    if cell.images < total:
        remarks.append(f"{cell.images} of {total} images coded" if cell.images else "not coded")
    over = cell.images - cell.reached
    if over:
        remarks.append("over the target" + (f" for {over} of {total}" if over < total else ""))
    return ", ".join(remarks)


def _value_cell(
    values: dict[tuple[str, str], float | None],
    codec: str,
    column: dict[str, Any],
    full: list[str],
) -> dict[str, Any]:
    value = values[codec, column["name"]]
    if value is None:
        return {"text": NONE, "best": False}
    text = _rounded(value, column["digits"])
    rivals = [found for each in full if (found := values[each, column["name"]]) is not None]
    best = False
    if column["better"] and codec in full and len(rivals) > 1:
        choose = max if column["better"] == "higher" else min
        # as it is read: what is printed alike is alike
        best = text == _rounded(choose(rivals), column["digits"])
    return {"text": text, "best": best}


def _rounded(value: float, digits: int) -> str:
    return f"{value:.{digits}f}".replace("-", "−")


def failures(run: Run) -> list[dict[str, str]]:
    """Return the rows that carry an error."""
    return [
        {
            "codec": run.label(row.codec),
            "image": row.image,
            "target": target_text(row.target_bpp),
            "error": row.error,
        }
        for row in run.rows.values()
        if row.error is not None
    ]


def bd_table(run: Run, measures: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the BD-rates; without rows if the summary has none that can be computed."""
    rates: dict[str, Any] = run.summary.get("bd_rate", {})
    notes: dict[str, Any] = run.summary.get("bd_notes", {})
    anchor = run.summary.get("anchor", "")
    rows: list[dict[str, Any]] = []
    for number, codec in enumerate(run.codecs):
        if codec == anchor or codec not in rates:
            continue
        cells = [
            _rate_cell(rates[codec].get(each["name"]), notes.get(codec, {}).get(each["name"], ""))
            for each in measures
        ]
        rows.append({"codec": number, "label": run.label(codec), "cells": cells})
    known = any(cell["text"] != NONE for row in rows for cell in row["cells"])
    remarks = dict.fromkeys(cell["title"] for row in rows for cell in row["cells"])
    return {
        "anchor": run.label(anchor),
        "columns": [each["label"] for each in measures],
        "rows": rows if known else [],
        "notes": [each for each in remarks if each],
    }


def _rate_cell(value: float | None, note: str) -> dict[str, str]:
    if value is None or not math.isfinite(value):
        return {"text": NONE, "tone": "", "title": note}
    text = f"{value:+.1f} %".replace("-", "−")
    tone = "good" if value < 0 else "bad" if value > 0 else ""
    return {"text": text, "tone": tone, "title": note}
