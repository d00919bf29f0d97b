"""The terminal's table of a comparison."""

from __future__ import annotations

from diffc.bench.comparison import Comparison
from diffc.bench.measures.available import MEASURES, Measure
from diffc.bench.report.table import NONE, Table
from diffc.bench.run.rows import Row


def comparison_table(found: Comparison) -> Table:
    """Return a line for each codec: bytes, bits per pixel and measures.

    What misses the budget, and what failed, is named below the table.
    """
    measures = [
        each for name, each in MEASURES.items() if any(name in row.measures for row in found.rows)
    ]
    rows = [_line(found.label(row), row, measures) for row in found.rows]
    return Table(
        f"{found.photo.name}, at most {found.limit} bytes",
        ["codec", "bytes", "bpp", *(each.heading for each in measures)],
        rows,
        _notes(found),
    )


def _line(label: str, row: Row, measures: list[Measure]) -> list[str]:
    if row.error is not None:
        return [label, "failed", NONE, *(NONE for _ in measures)]
    values = (
        f"{row.measures[each.name]:.{each.decimals}f}" if each.name in row.measures else NONE
        for each in measures
    )
    return [label, f"{row.bytes}{'' if row.reached else '*'}", f"{row.bpp:.4f}", *values]


def _notes(found: Comparison) -> list[str]:
    notes = []
    over = [found.label(row) for row in found.rows if row.error is None and not row.reached]
    if over:
        notes.append(f"* {'; '.join(over)}: more than that, the smallest file that it makes.")
    if not any("vgg" in row.measures for row in found.rows):
        text = "No perceptual distance: it needs --perceptual-weights"
        if any(row.codec.endswith("-ds") for row in found.rows):
            text += f"; codecs in -ds choose their scale by {MEASURES['gmsd'].label}"
        notes.append(f"{text}.")
    return notes
