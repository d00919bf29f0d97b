"""What the report says of speed, the machine, and how things were measured."""

from __future__ import annotations

import statistics
from typing import Any

from diffc.bench.contenders.specs import target_text
from diffc.bench.measures.available import MEASURES
from diffc.bench.report.page_data import Run
from diffc.bench.report.table import NONE
from diffc.bench.run.speed_rows import DESCRIPTION

_RULES = (
    (
        "Each codec gets the highest quality whose whole file, header and all, fits the target; the "
        "file is then decoded, and the decoded picture compared with the original."
    ),
    "Bits per pixel are those of the file over the pixels of the original.",
    (
        "A codec that cannot make so small a file is shown with the smallest that it makes, and the "
        "row says so."
    ),
)
_NAMES = {
    "processor": "Processor",
    "cores": "Cores used",
    "memory": "Memory",
    "gpu": "GPU",
    "system": "System",
    "python": "Python",
}


def machine_table(run: Run) -> list[tuple[str, str]]:
    """Return names and values of what the machine is."""
    return [(_NAMES.get(name, name), str(value)) for name, value in run.asked.machine.items()]


def method(run: Run, measures: list[dict[str, Any]]) -> list[str]:
    """Return sentences on what the figures are."""
    lines = list(_RULES)
    if any(codec.endswith("-ds") for codec in run.codecs):
        names = {each["name"]: each["label"] for each in measures}
        lines.append(
            "Codecs in -ds shrink the picture, code it, and enlarge it after decoding, at the best "
            f"of several scales by {names.get(run.asked.distance, run.asked.distance)}."
        )
    if measures:
        lines.append(f"Measures: {', '.join(map(_described, measures))}.")
    names = {name: measure.label for name, measure in MEASURES.items()}
    for name, why in run.asked.missing.items():
        lines.append(f"Not measured: {names.get(name, name)}. {why[:1].upper()}{why[1:]}.")
    if run.asked.perceptual_weights:
        lines.append(
            f"Weights of the perceptual distance: SHA-256 {run.asked.perceptual_weights[:16]}…"
        )
    return lines


def _described(measure: dict[str, Any]) -> str:
    unit = f"{measure['unit']}, " if measure["unit"] else ""
    return f"{measure['label']} ({unit}{measure['better']} is better)"


_SECONDS = {
    "encode_seconds": "Encode, s",
    "encode_first_seconds": "first, s",
    "decode_seconds": "Decode, s",
    "decode_first_seconds": "first, s",
}
_MEMORY = {
    "encode_peak_bytes": "Encode, MiB",
    "decode_peak_bytes": "Decode, MiB",
    "encode_peak_device_bytes": "Encode, GPU MiB",
    "decode_peak_device_bytes": "Decode, GPU MiB",
}


def speed_table(run: Run) -> dict[str, Any] | None:
    """Return the table of speed and memory, None if nothing was timed.

    Of several images of one size there is the median.
    """
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for line in run.speed:
        if line["codec"] in run.codecs:
            key = (
                run.codecs.index(line["codec"]),
                line["device"],
                line["target_bpp"],
                (line["width"], line["height"]),
            )
            groups.setdefault(key, []).append(line)
    if not groups:
        return None
    memory = [name for name in _MEMORY if any(line[name] is not None for line in run.speed)]
    rows = [
        {
            "codec": key[0],
            "label": run.label(run.codecs[key[0]]),
            "cells": [
                key[1],
                target_text(key[2]),
                "{}×{}".format(*key[3]),
                *(_significant(_median(lines, name)) for name in _SECONDS),
                *(_mebibytes(_median(lines, name)) for name in memory),
            ],
        }
        for key, lines in sorted(groups.items())
    ]
    columns = ["Device", "Target", "Picture", *_SECONDS.values(), *(_MEMORY[m] for m in memory)]
    return {"columns": columns, "rows": rows, "notes": _speed_notes()}


def _speed_notes() -> list[str]:
    said = [
        f"Encode: {DESCRIPTION['encode_seconds']}.",
        f"Decode: {DESCRIPTION['decode_seconds']}.",
    ]
    said.append(f"First: {DESCRIPTION['encode_first_seconds']}.")
    said.append(f"MiB: {DESCRIPTION['encode_peak_bytes']}.")
    return said


def _median(lines: list[dict[str, Any]], name: str) -> float | None:
    values = [line[name] for line in lines if line[name] is not None]
    return statistics.median(values) if values else None


def _significant(value: float | None) -> str:
    if value is None:
        return NONE
    return f"{value:.3f}" if value < 1 else f"{value:.2f}" if value < 10 else f"{value:.1f}"


def _mebibytes(value: float | None) -> str:
    return NONE if value is None else f"{value / 2**20:.0f}"
