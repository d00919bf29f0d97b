"""The report: one HTML page that holds all it shows, and asks nothing of any network."""

from __future__ import annotations

import base64
import hashlib
from importlib import resources
from pathlib import Path
from typing import Any

from diffc.bench.contenders.specs import target_text
from diffc.bench.measures.available import Measure
from diffc.bench.packages import load_package
from diffc.bench.report.method import machine, method
from diffc.bench.report.page_pictures import Embedded, embed, image_table, picture_paths
from diffc.bench.report.results import Results
from diffc.bench.report.tables import bd_rate_table, quality_table, spectrum_table, speed_table
from diffc.bench.run.run_file import RunFile
from diffc.file_io import write_whole
from diffc.progress import Progress, no_progress

PAGE = "report.html"
PICTURE_LIMIT = 60_000_000
_COLOURS = 10
_SCRIPTS = ("page.js", "curves.js", "viewer.js")


def write_report(
    results: Results,
    *,
    title: str | None = None,
    first_target: float | None = None,
    limit: int = PICTURE_LIMIT,
    progress: Progress = no_progress,
) -> Path:
    """Write the page of a run, whole or not at all.

    Parameters
    ----------
    results : Results
        Of the run.  Some may be missing; the page shows those that are there.
    title : str, optional
        The page's.
    first_target : float, optional
        That the viewer begins with; the middle one if left out.
    limit : int
        Most characters of all pictures in it; see `diffc.bench.report.page_pictures.embed` for which
        images are left out.  The page says how many are.
    progress : callable
        Called with the number of images whose pictures are in, and of all.

    Returns
    -------
    Path
        ``report.html`` in the folder.

    Raises
    ------
    ValueError
        If the run has no such target, names pictures elsewhere, or Jinja2 is missing.
    OSError
        If something cannot be read or written.
    """
    targets = results.run_file.targets
    if first_target is not None and first_target not in targets:
        known = ", ".join(map(target_text, targets))
        raise ValueError(f"the run's targets are {known}, not {first_target!r}: choose one")
    complete = {image: picture_paths(results, image) for image in results.images}
    pictures = embed(
        {image: paths for image, paths in complete.items() if paths[0].is_file()}, limit, progress
    )
    first = _first_view(results, first_target)
    page = _page(results, title or _title(results), pictures, first, limit)
    path = results.folder / PAGE
    # a title may be the name of a file, which need not be text
    write_whole(path, page.encode(errors="replace"))
    return path


def _page(
    results: Results, title: str, pictures: Embedded, first: dict[str, int], limit: int
) -> str:
    run_file = results.run_file
    codecs = codec_table(results)
    style = _asset("style.css")
    script = "\n".join(map(_asset, _SCRIPTS))
    jinja = load_package("jinja2")
    environment = jinja.Environment(autoescape=True, undefined=jinja.StrictUndefined)
    safe = load_package("markupsafe").Markup
    rates = bd_rate_table(results)
    known = any(
        rate.percent is not None for of in results.bd_rates.values() for rate in of.values()
    )
    text: str = environment.from_string(_asset("page.html")).render(
        title=title,
        lead=_lead(run_file),
        version=run_file.diffc,
        style=safe(style),
        style_hash=_hash(style),
        script=safe(script),
        script_hash=_hash(script),
        quality=[quality_table(results, target) for target in run_file.targets],
        spectra=[table for each in run_file.targets if (table := spectrum_table(results, each))],
        bd=rates if known else None,
        speed=speed_table(results),
        failures=[row for row in results.rows.values() if row.error is not None],
        label=results.label,
        target_text=target_text,
        machine=machine(results),
        method=method(results),
        notes=_notes(results, pictures, limit),
        pictures=pictures.texts,
        data={
            "measures": [_described(measure, codecs) for measure in results.averaged],
            "codecs": codecs,
            "targets": [target_text(each) for each in run_file.targets],
            "images": image_table(results, pictures.images, pictures.places),
            "first": first,
        },
    )
    return text


def _described(measure: Measure, codecs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what the scripts know of a measure."""
    return {
        "name": measure.name,
        "label": measure.label,
        "unit": measure.unit,
        "better": measure.better,
        "arrow": measure.arrow,
        "digits": measure.decimals,
        "drawn": any(measure.name in codec["curves"] for codec in codecs),
    }


def codec_table(results: Results) -> list[dict[str, Any]]:
    """Return what the page says of each codec: name, colour and curves."""
    styles = _styles(results.run_file.codecs)
    return [
        {
            "label": results.label(codec),
            "colour": styles[codec][0],
            "dashed": styles[codec][1],
            "curves": _curves(results, codec),
        }
        for codec in results.run_file.codecs
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


def _curves(results: Results, codec: str) -> dict[str, Any]:
    curves: dict[str, list[dict[str, Any]]] = {}
    for target in results.run_file.targets:
        cell = results.cell(codec, target)
        # a mean over other images would be no point of the same curve
        if cell.images < len(results.run_file.images):
            continue
        for measure in results.averaged:
            value = cell.measures.get(measure.name)
            if value is not None:
                reached = results.meets(cell)
                point = {"bpp": cell.bpp, "value": value, "target": target, "reached": reached}
                curves.setdefault(measure.name, []).append(point)
    return curves


def _asset(name: str) -> str:
    return (resources.files("diffc.bench.report") / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """Return what a content security policy calls an inline style or script by."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _title(results: Results) -> str:
    if len(results.images) == 1:
        return f"{results.images[0]} at equal bytes"
    return "Image codecs at equal bytes"


def _lead(run_file: RunFile) -> str:
    def counted(count: int, noun: str) -> str:
        return f"{count} {noun}{'' if count == 1 else 's'}"

    *others, last = map(target_text, run_file.targets)
    targets = f"{', '.join(others)} and {last}" if others else last
    return (
        f"{counted(len(run_file.images), 'image')}, {counted(len(run_file.codecs), 'codec')}, "
        f"files of at most {targets} bits per pixel."
    )


def _first_view(results: Results, first_target: float | None) -> dict[str, int]:
    """Return what the viewer begins with.

    The first codec that has a picture stands to the right, and to the left the first other one
    whose files meet the target for every image; else any other one, or the original.
    """
    targets, codecs = results.run_file.targets, results.run_file.codecs
    target = len(targets) // 2 if first_target is None else targets.index(first_target)
    cells = [results.cell(codec, targets[target]) for codec in codecs]
    coded = [number for number, cell in enumerate(cells) if cell.images]
    right = coded[0] if coded else 0
    others = [number for number in coded if number != right]
    others.sort(key=lambda number: not results.meets(cells[number]))
    return {"target": target, "left": others[0] if others else -1, "right": right}


def _notes(results: Results, pictures: Embedded, limit: int) -> list[str]:
    shown, total = len(pictures.images), len(results.images)
    if shown == total:
        return []
    if not shown:
        return ["The originals are not in the folder of the run: this page shows no pictures."]
    return [_subset_note(shown, total, limit)]


def _subset_note(shown: int, total: int, limit: int) -> str:
    return (
        f"This page holds the pictures of {shown} of {total} images, taken evenly from the list, "
        f"to stay under {limit / 1e6:g} MB; the figures are over all of them, and all pictures are "
        "in the folder of the run."
    )
