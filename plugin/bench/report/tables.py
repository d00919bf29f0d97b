"""The tables of a run: quality at each target, BD-rates, speed."""

from __future__ import annotations

import statistics
from pathlib import Path

from diffc.bench.contenders.specs import target_text
from diffc.bench.report.summary import Cell, Summary
from diffc.bench.report.table import NONE, Table, print_tables
from diffc.bench.run.run_file import RunFile
from diffc.bench.run.speed_rows import read_speed

_SPEED_NOTE = (
    "Each in a process of its own. The first call includes imports and loading of models, the "
    "others are the median of three. Of codecs whose quality is searched for, one encode at the "
    "quality found is timed; of others the whole call with its target. Memory is the most that the "
    "process held, Python and the picture included, on a GPU device also what was allocated there."
)


def speed_table(folder: Path, whole: RunFile) -> Table | None:
    """Return seconds and memory, None if nothing was timed; of several images the median."""
    groups: dict[tuple[str, float, str], list[dict[str, float | None]]] = {}
    for line in read_speed(folder):
        groups.setdefault((line["codec"], line["target_bpp"], line["device"]), []).append(line)
    order = {codec: place for place, codec in enumerate(whole.codecs)}
    rows = []
    sizes = set()
    for key in sorted(groups, key=lambda key: (order.get(key[0], len(order)), key[1:])):
        lines = groups[key]
        sizes |= {f"{line['width']}x{line['height']}" for line in lines}
        codec, target, device = key
        rows.append(
            [
                whole.label(codec),
                target_text(target),
                device,
                _seconds(lines, "encode_first_seconds"),
                _seconds(lines, "encode_seconds"),
                _seconds(lines, "decode_first_seconds"),
                _seconds(lines, "decode_seconds"),
                _memory(lines, "encode"),
                _memory(lines, "decode"),
            ]
        )
    if not rows:
        return None
    return Table(
        f"Speed and memory, {' and '.join(sorted(sizes))} pixels",
        [
            "codec",
            "bpp",
            "device",
            "first encode, s",
            "encode, s",
            "first decode, s",
            "decode, s",
            "encode, MiB",
            "decode, MiB",
        ],
        rows,
        [_SPEED_NOTE],
    )


def _seconds(lines: list[dict[str, float | None]], name: str) -> str:
    values = [value for line in lines if (value := line[name]) is not None]
    return f"{statistics.median(values):.3f}" if values else NONE


def _memory(lines: list[dict[str, float | None]], operation: str) -> str:
    values = [value for line in lines if (value := line[f"{operation}_peak_bytes"]) is not None]
    text = f"{statistics.median(values) / 2**20:.0f}" if values else NONE
    on_device = [v for line in lines if (v := line[f"{operation}_peak_device_bytes"]) is not None]
    if on_device:
        text += f" + {statistics.median(on_device) / 2**20:.0f}"
    return text


__all__ = ["Table", "all_tables", "bd_rate_table", "print_tables", "quality_table"]

_BD_NOTE = (
    "Negative: fewer bytes for equal quality. Only targets that all images reached count, at the "
    "real mean bits per pixel; the last column is how many of them the codec and the anchor have. "
    "It is given where both have three of them and enough quality in common."
)


def all_tables(folder: Path, whole: RunFile, summary: Summary) -> list[Table]:
    """Return the tables of quality at each target, of BD-rates and of speed, as far as they are."""
    tables = [quality_table(whole, summary, target) for target in whole.targets]
    if len(whole.codecs) > 1:
        tables.append(bd_rate_table(whole, summary))
    speed = speed_table(folder, whole)
    return tables if speed is None else [*tables, speed]


def quality_table(whole: RunFile, summary: Summary, target: float) -> Table:
    """Return the quality of all codecs at a target, with the real bits per pixel.

    Those that do not reach the target for all images stand with the rate of their smallest files,
    marked with an asterisk.
    """
    from diffc.bench.measures.available import MEASURES, PATCH_DISTANCE

    cells = [summary.cell(codec, target) for codec in whole.codecs]
    names = [name for name in whole.measures if any(name in cell.measures for cell in cells)]
    columns = ["codec", "bpp", *(MEASURES[name].heading for name in names)]
    patches = any(cell.patch_distance is not None for cell in cells)
    if patches:
        columns.append(PATCH_DISTANCE.heading)
    rows = []
    for cell in cells:
        values = [_number(cell.measures.get(name), MEASURES[name].decimals) for name in names]
        if patches:
            values.append(_with_error(cell))
        rows.append([whole.label(cell.codec), _rate(cell, summary.images), *values])
    notes = [
        f"\\* {whole.label(cell.codec)}: {_shortfall(cell, summary.images)}."
        for cell in cells
        if _falls_short(cell, summary.images)
    ]
    return Table(f"At most {target_text(target)} bpp", columns, rows, notes)


def bd_rate_table(whole: RunFile, summary: Summary) -> Table:
    """Return BD-rates: bytes that a codec needs for equal quality, against the anchor's."""
    from diffc.bench.measures.available import MEASURES

    rows = []
    for codec, rates in summary.bd_rate.items():
        ours, theirs = summary.bd_points[codec]
        noted = summary.bd_notes[codec]
        values = [
            NONE if rate is None else f"{rate:+.1f} %{'†' if name in noted else ''}"
            for name, rate in rates.items()
        ]
        rows.append([whole.label(codec), *values, f"{ours} and {theirs}"])
    names = [MEASURES[name].label for name in whole.measures]
    return Table(
        f"BD-rate against {whole.label(summary.anchor)}",
        ["codec", *names, "targets"],
        rows,
        [_BD_NOTE, *_bd_notes(whole, summary)],
    )


def _bd_notes(whole: RunFile, summary: Summary) -> list[str]:
    """Return what there is to say of BD-rates, once for all measures that share it."""
    from diffc.bench.measures.available import MEASURES

    shared: dict[tuple[str, str], list[str]] = {}
    for codec, notes in summary.bd_notes.items():
        for name, note in notes.items():
            shared.setdefault((codec, note), []).append(name)
    lines = []
    for (codec, note), names in shared.items():
        which = ", ".join(MEASURES[name].label for name in names)
        every = len(names) == len(whole.measures)
        mark = NONE if summary.bd_rate[codec][names[0]] is None else "†"
        label = whole.label(codec)
        lines.append(f"{mark} {label}{'' if every else f' ({which})'}: {note}.")
    return lines


def _number(value: float | None, decimals: int) -> str:
    return NONE if value is None else f"{value:.{decimals}f}"


def _with_error(cell: Cell) -> str:
    if cell.patch_distance is None:
        return NONE
    error = cell.patch_distance_error
    return f"{cell.patch_distance:.4f}" + ("" if error is None else f" ± {error:.4f}")


def _rate(cell: Cell, images: int) -> str:
    mark = "*" if _falls_short(cell, images) else ""
    return _number(cell.bpp, 4) + mark


def _falls_short(cell: Cell, images: int) -> bool:
    return cell.reached < images


def _shortfall(cell: Cell, images: int) -> str:
    told = []
    if cell.errors:
        told.append(f"{cell.errors} of {images} images failed")
    if missing := images - cell.images - cell.errors:
        told.append(f"{missing} of {images} images are still to be coded")
    if cell.images > cell.reached:
        told.append(
            f"the smallest file is above the target for {cell.images - cell.reached} of {images} images"
        )
    return ", ".join(told)
