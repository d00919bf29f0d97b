"""The table of seconds and memory."""

from __future__ import annotations

import statistics
from pathlib import Path

from diffc.bench.contenders.specs import target_text
from diffc.bench.report.table import NONE, Table
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
