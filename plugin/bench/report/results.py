"""``docs/results.md``: a run's tables as a page, with the machine and how to repeat it."""

from __future__ import annotations

import hashlib
import shlex
from pathlib import Path

from diffc.bench.contenders.host_codecs import HOST_CODECS
from diffc.bench.contenders.lookup import SHRUNK
from diffc.bench.contenders.specs import label_of, parse_spec, target_text
from diffc.bench.measures.available import MEASURES
from diffc.bench.report.summary import Summary
from diffc.bench.report.tables import all_tables
from diffc.bench.run.run_file import RunFile
from diffc.file_io import write_whole


def results_page(folder: Path, whole: RunFile, summary: Summary) -> str:
    """Return the page in Markdown; the same rows make the same page.

    Parameters
    ----------
    folder : Path
        The run's; no path stands on the page.
    whole : RunFile
        What was asked.
    summary : Summary
        What came of it.
    """
    parts = [
        "# Results\n",
        "This page is generated from a run of `diffc bench`; nothing in it is written by hand.\n",
        f"{_what(whole)}\n",
    ]
    for table in all_tables(folder, whole, summary):
        parts += [f"## {table.title}\n", table.as_markdown()]
    parts += ["## What is measured\n", _measures(whole), "## Machine\n", _machine(whole)]
    parts += ["## To repeat it\n", _command(whole, summary)]
    return "\n".join(parts)


def write_results(path: Path, folder: Path, whole: RunFile, summary: Summary) -> None:
    """Write the page, whole or not at all."""
    write_whole(path, results_page(folder, whole, summary).encode())


def _what(whole: RunFile) -> str:
    sizes = sorted({f"{each['width']}x{each['height']}" for each in whole.images})
    count = len(whole.images)
    shown = ", ".join(sizes) if len(sizes) <= 4 else f"{len(sizes)} sizes"
    together = hashlib.sha256("".join(each["sha256"] for each in whole.images).encode())
    return (
        f"{count} image{'' if count == 1 else 's'} of {shown} pixels (SHA-256 of their pixels' "
        f"SHA-256: `{together.hexdigest()[:16]}`). Each codec gives its highest quality whose "
        "whole file fits the target; figures are means over the images, of pictures that were "
        "decoded from the files. A codec that cannot make so small a file stands with the "
        "smallest that it makes, marked with an asterisk: compare its bits per pixel before its "
        "quality."
    )


def _measures(whole: RunFile) -> str:
    lines = []
    names = {parse_spec(each)[0].removesuffix(SHRUNK) for each in whole.codecs}
    used = [f"{c.label}: {c.about}" for c in HOST_CODECS.values() if c.name in names]
    if used:
        lines.append(f"Encoders of other formats: {'; '.join(used)}; otherwise their defaults.")
    if any(each.endswith(SHRUNK) for each in whole.codecs):
        lines.append(
            "A codec with -ds codes the picture at 1, 1/1.5, 1/2 or 1/3 of its sides and "
            "enlarges what is decoded, whichever of the files that fit is the best by "
            f"{MEASURES[whole.distance].label}; the size to enlarge to is not counted."
        )
    lines.append(
        "Arrows point to where a measure is better. The patch distance is an unbiased "
        "discrepancy between the patches of all decoded pictures and of their originals, as the "
        "kernel inception distance is of whole pictures, and compares with itself only."
        if whole.perceptual_weights
        else "Arrows point to where a measure is better."
    )
    if whole.perceptual_weights:
        lines.append(
            "Weights of the VGG-19 distance: a file with SHA-256 "
            f"`{whole.perceptual_weights[:16]}`."
        )
    lines += [
        f"Not measured here: {MEASURES[name].label}." for name in whole.missing if name in MEASURES
    ]
    return "\n\n".join(lines) + "\n"


def _machine(whole: RunFile) -> str:
    return "".join(f"* {name}: {value}\n" for name, value in whole.machine.items())


def _command(whole: RunFile, summary: Summary) -> str:
    codecs = shlex.quote(",".join(map(label_of, whole.codecs)))
    anchor = shlex.quote(label_of(summary.anchor))
    bpps = " ".join(map(target_text, whole.targets))
    weights = " \\\n  --perceptual-weights WEIGHTS" if whole.perceptual_weights else ""
    device = f" --device {whole.device}" if whole.device != "cpu" else ""
    return (
        "```sh\n"
        f"diffc bench PHOTOS --codecs {codecs} \\\n  --bpp {bpps} --out DIR{weights}{device} \\\n"
        f"  --images {len(whole.images)} --anchor {anchor} --results docs/results.md\n```\n"
    )
