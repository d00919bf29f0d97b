"""``docs/results.md``: a run's tables as a page, with the machine and how to repeat it."""

from __future__ import annotations

import hashlib
import shlex
from pathlib import Path

from diffc.bench.contenders.specs import label_of, target_text
from diffc.bench.measures.perceptual import weights_sha256
from diffc.bench.report.method import machine, method
from diffc.bench.report.results import Results
from diffc.bench.report.tables import all_tables
from diffc.file_io import write_whole


def markdown_page(results: Results) -> str:
    """Return the page; the same rows make the same page, and no path stands on it."""
    parts = [
        "# Results\n",
        "This page is generated from a run of `diffc bench`; nothing in it is written by hand.\n",
        f"{_what(results)}\n",
    ]
    for table in all_tables(results):
        parts += [f"## {table.title}\n", table.as_markdown()]
    parts += ["## What is measured\n", "\n\n".join(method(results)) + "\n", "## Machine\n"]
    parts.append("".join(f"* {name}: {value}\n" for name, value in machine(results)))
    return "\n".join([*parts, "## To repeat it\n", _command(results)])


def write_markdown(path: Path, results: Results) -> None:
    """Write the page, whole or not at all."""
    write_whole(path, markdown_page(results).encode())


def _what(results: Results) -> str:
    images = results.run_file.images
    sizes = sorted({f"{each['width']}x{each['height']}" for each in images})
    shown = ", ".join(sizes) if len(sizes) <= 4 else f"{len(sizes)} sizes"
    together = hashlib.sha256("".join(each["sha256"] for each in images).encode())
    return (
        f"{len(images)} image{'' if len(images) == 1 else 's'} of {shown} pixels (SHA-256 of their "
        f"pixels' SHA-256: `{together.hexdigest()[:16]}`). A line marked with an asterisk compares "
        "with others only in part: what stands below the table says why."
    )


def _command(results: Results) -> str:
    run_file = results.run_file
    codecs = shlex.quote(",".join(map(label_of, run_file.codecs)))
    anchor = shlex.quote(label_of(results.anchor))
    bpps = " ".join(map(target_text, run_file.targets))
    weights = (
        " \\\n  --perceptual-weights WEIGHTS"
        if run_file.perceptual_weights != weights_sha256()
        else ""
    )
    device = f" --device {run_file.device}" if run_file.device != "cpu" else ""
    return (
        "```sh\n"
        f"diffc bench PHOTOS --codecs {codecs} \\\n  --bpp {bpps} --out DIR{weights}{device} \\\n"
        f"  --images {len(run_file.images)} --anchor {anchor} --results docs/results.md\n```\n"
    )
