"""The report: one HTML page that holds all it shows, and asks nothing of any network."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from importlib import resources
from pathlib import Path

from diffc.bench.contenders.specs import target_text
from diffc.bench.packages import load_package
from diffc.bench.report import page_data, page_machine, page_tables
from diffc.bench.report.page_data import Run
from diffc.bench.report.page_pictures import Embedded, embed
from diffc.file_io import write_whole

PAGE = "report.html"
PICTURE_LIMIT = 60_000_000
_SCRIPTS = ("page.js", "curves.js", "viewer.js")


def write_report(
    folder: Path,
    *,
    title: str | None = None,
    first_target: float | None = None,
    limit: int = PICTURE_LIMIT,
    progress: Callable[[int, int], None] = lambda step, total: None,
) -> Path:
    """Write the page of a run, whole or not at all.

    Parameters
    ----------
    folder : Path
        Of the run.  Results may be missing; the page shows those that are there.
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
        If it is no folder of a run or has no such target, or Jinja2 is missing.
    OSError
        If something cannot be read or written.
    """
    run = page_data.read_run(folder)
    if first_target is not None and first_target not in run.targets:
        targets = ", ".join(map(target_text, run.targets))
        raise ValueError(f"the run's targets are {targets}, not {first_target!r}: choose one")
    complete = {image: page_data.picture_paths(run, image) for image in run.images}
    pictures = embed(
        {image: paths for image, paths in complete.items() if paths[0].is_file()}, limit, progress
    )
    first = _first_view(run, first_target)
    page = _page(run, title or _title(run), pictures, first, _notes(run, pictures, limit))
    path = folder / PAGE
    # a title may be the name of a file, which need not be text
    write_whole(path, page.encode(errors="replace"))
    return path


def _page(run: Run, title: str, pictures: Embedded, first: dict[str, int], notes: list[str]) -> str:
    measures = page_data.measure_table(run)
    codecs = page_data.codec_table(run, measures)
    columns = page_tables.quality_columns(run, measures)
    for measure in measures:
        measure["drawn"] = any(measure["name"] in codec["curves"] for codec in codecs)
    style = _asset("style.css")
    script = "\n".join(map(_asset, _SCRIPTS))
    jinja = load_package("jinja2")
    environment = jinja.Environment(autoescape=True, undefined=jinja.StrictUndefined)
    safe = load_package("markupsafe").Markup
    text: str = environment.from_string(_asset("page.html")).render(
        title=title,
        lead=_lead(run),
        version=run.asked.diffc,
        style=safe(style),
        style_hash=_hash(style),
        script=safe(script),
        script_hash=_hash(script),
        columns=columns,
        groups=page_tables.quality_groups(run, columns),
        bd=page_tables.bd_table(run, measures),
        speed=page_machine.speed_table(run),
        failures=page_tables.failures(run),
        machine=page_machine.machine_table(run),
        method=page_machine.method(run, measures),
        notes=notes,
        pictures=pictures.texts,
        data={
            "measures": measures,
            "codecs": codecs,
            "targets": [target_text(each) for each in run.targets],
            "images": page_data.image_table(run, pictures.images, pictures.places),
            "first": first,
        },
    )
    return text


def _asset(name: str) -> str:
    return (resources.files("diffc.bench.report") / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """Return what a content security policy calls an inline style or script by."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _title(run: Run) -> str:
    if len(run.images) == 1:
        return f"{run.images[0]} at equal bytes"
    return "Image codecs at equal bytes"


def _lead(run: Run) -> str:
    def counted(count: int, noun: str) -> str:
        return f"{count} {noun}{'' if count == 1 else 's'}"

    *others, last = map(target_text, run.targets)
    targets = f"{', '.join(others)} and {last}" if others else last
    return (
        f"{counted(len(run.images), 'image')}, {counted(len(run.codecs), 'codec')}, "
        f"files of at most {targets} bits per pixel."
    )


def _first_view(run: Run, first_target: float | None) -> dict[str, int]:
    """Return what the viewer begins with.

    The first codec that has a picture stands to the right, and to the left the first other one
    whose files meet the target for every image; else any other one, or the original.
    """
    target = len(run.targets) // 2 if first_target is None else run.targets.index(first_target)
    cells = [run.cell(codec, run.targets[target]) for codec in run.codecs]
    coded = [number for number, cell in enumerate(cells) if cell.images]
    right = coded[0] if coded else 0
    others = [number for number in coded if number != right]
    others.sort(key=lambda number: not page_tables.meets(run, cells[number]))
    return {"target": target, "left": others[0] if others else -1, "right": right}


def _notes(run: Run, pictures: Embedded, limit: int) -> list[str]:
    shown, total = len(pictures.images), len(run.images)
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
