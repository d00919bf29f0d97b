"""Every codec on one photo at one byte budget: rows, a contact sheet and a page."""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from diffc.bench.contenders.lookup import contender
from diffc.bench.measures.available import MEASURES
from diffc.bench.report.contact_sheet import Entry, write_sheet
from diffc.bench.report.page import PAGE, write_report
from diffc.bench.report.results import Results, read_results
from diffc.bench.report.tables import Table, comparison_table
from diffc.bench.run.pictures import read_rgb
from diffc.bench.run.preparation import Complain, prepare
from diffc.bench.run.records import Row
from diffc.bench.run.run_file import RUN, read_run
from diffc.bench.run.runner import ItemProgress, run
from diffc.errors import reason_of

DEFAULT_BPP = 0.05
SHEET = "sheet.png"
_OTHERS = ("avif-ds", "avif", "webp", "jxl", "heic")
# the first that a row has stands beside the crops
_PERCEPTUAL = ("vgg", "dists", "lpips", "haarpsi", "gmsd", "psnr")
_MADE = ("rows.jsonl", "rows.csv", "speed.jsonl", "summary.json", PAGE, SHEET)
_MADE_FOLDERS = ("originals", "pictures", "files", "features", "plots")


@dataclass(frozen=True)
class Comparison:
    """What came out.

    Parameters
    ----------
    photo : Path
        The file.
    limit : int
        Most bytes that were asked for.
    rows : list of Row
        One for each codec, in the order asked.
    results : Results
        Of the folder, with what earlier comparisons have left there.
    sheet, page : Path
        The contact sheet and the HTML page.
    """

    photo: Path
    limit: int
    rows: list[Row]
    results: Results
    sheet: Path
    page: Path

    def table(self) -> Table:
        """Return bytes, bits per pixel and measures of each codec."""
        title = f"{self.photo.name}, at most {self.limit} bytes"
        return comparison_table(self.results, self.rows, title)


def default_codecs(complain: Complain = print) -> list[str]:
    """Return diffc's codecs that can be loaded, the default first, and others that are here.

    Parameters
    ----------
    complain : callable
        Told in one line of every codec of diffc's registry that cannot be used, and what it needs.
    """
    from diffc.builtin_codecs import DEFAULT_CODEC
    from diffc.codec_list import codecs_available

    found = []
    known = codecs_available()
    ours = sorted(known, key=lambda name: (name != DEFAULT_CODEC, name))
    for spec in [*ours, *_OTHERS]:
        if spec in known and known[spec].needs:
            complain(f"diffc: codec {spec!r} is left out, it needs {known[spec].needs}")
            continue
        try:
            # nothing is measured: any distance will do
            contender(spec, lambda original, decoded: 0.0, None)
        except ValueError as error:
            if spec in ours:
                complain(f"diffc: {reason_of(error)}")
        else:
            found.append(spec)
    return found


def compare(
    photo: Path,
    out: Path,
    *,
    codecs: Sequence[str],
    bpp: float | None = None,
    target_size: int | None = None,
    perceptual_weights: Path | None = None,
    device: str | None = None,
    anew: bool = False,
    progress: ItemProgress = lambda name, done, total: None,
    complain: Complain = print,
) -> Comparison:
    """Code a photo with every codec, and write what there is to see.

    A folder of an earlier comparison of the same photo is added to: what it has is not made again.

    Parameters
    ----------
    photo : Path
        Of any format that Pillow reads.
    out : Path
        Folder for everything; it may be that of an earlier comparison, but no other with files.
    codecs : sequence of str
        Specs, see `diffc.bench.contenders.lookup.contender`.
    bpp : float, optional
        Most bits per pixel of each file; 0.05 if ``target_size`` is not given, either.
    target_size : int, optional
        Most bytes of each file.
    perceptual_weights, device
        See `diffc.bench.run.preparation.prepare`.
    anew : bool
        Remove what an earlier comparison has made.
    progress, complain : callable
        See `diffc.bench.run.runner.run`.

    Raises
    ------
    ValueError, OSError
        If nothing can be done as asked.
    """
    size = _size_of(photo)
    target = _target(size, bpp, target_size)
    prepared = prepare(
        [photo],
        codecs,
        [target],
        out,
        perceptual_weights=perceptual_weights,
        device=device,
        comparison=True,
        clear=_clear if anew else _keep,
        complain=complain,
    )
    run(prepared, progress=progress, complain=complain)
    name = prepared.sources[0].name
    results = read_results(out)
    found = Comparison(
        photo=photo,
        limit=math.floor(target * math.prod(size) / 8),
        rows=[results.rows[name, codec, target] for codec in codecs],
        results=results,
        sheet=out / SHEET,
        page=out / PAGE,
    )
    _write_sheet(found, prepared.places.original(name))
    write_report(results, title=f"{photo.name} at equal bytes", first_target=target)
    return found


def _size_of(photo: Path) -> tuple[int, int]:
    try:
        return read_rgb(photo).size
    except (OSError, ValueError, MemoryError, Image.DecompressionBombError) as error:
        raise ValueError(f"{photo}: {reason_of(error)}") from error


def _target(size: tuple[int, int], bpp: float | None, target_size: int | None) -> float:
    """Return the target in bits per pixel."""
    if target_size is None:
        return DEFAULT_BPP if bpp is None else bpp
    if bpp is not None:
        raise ValueError("bpp and target_size are two targets: give one of them")
    if target_size < 1:
        raise ValueError(f"a target size is 1 byte or more, not {target_size}: try 2000")
    pixels = math.prod(size)
    target = 8 * target_size / pixels
    # the bytes come back from it, rounded down
    while math.floor(target * pixels / 8) < target_size:
        target = math.nextafter(target, math.inf)
    return target


def _keep(out: Path) -> None:
    """Remove nothing."""


def _clear(out: Path) -> None:
    """Remove what a comparison has made.

    Raises
    ------
    ValueError
        If there is anything else, or it is a run of the bench: nothing is removed.
    """
    if not (out / RUN).is_file():
        return
    if not read_run(out).comparison:
        raise ValueError(
            f"{out} holds a run of diffc bench, which --force does not remove: name another folder "
            "with --out"
        )
    for path in sorted(out.iterdir()):
        torn = path.name.startswith(".") and path.suffix == ".part"
        if path.name not in (*_MADE_FOLDERS, *_MADE, RUN) and not torn:
            raise ValueError(
                f"{out} holds {path.name}, which no comparison has made: move it away, or name "
                "another folder with --out"
            )
    for path in out.iterdir():
        # the file that says what the folder is goes last
        if path.name != RUN:
            _remove(path)
    (out / RUN).unlink()


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _write_sheet(found: Comparison, original: Path) -> None:
    shown = _picture(original)
    raw = f"{3 * shown.width * shown.height} bytes raw"
    entries = [Entry("Original", [f"{shown.width}x{shown.height}", raw], shown)]
    for row in found.rows:
        picture = _picture(found.sheet.parent / row.picture) if row.picture else None
        entries.append(Entry(found.results.label(row.codec), _lines(row), picture))
    write_sheet(found.sheet, shown, entries)


def _picture(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return image.convert("RGB")


def _lines(row: Row) -> list[str]:
    if row.error is not None:
        return [f"failed: {row.error}"]
    lines = [f"{row.bytes} bytes", f"{row.bpp:.4f} bpp"]
    if not row.reached:
        lines.append("over: its smallest file")
    measure = next((MEASURES[name] for name in _PERCEPTUAL if name in row.measures), None)
    if measure is not None:
        value = f"{row.measures[measure.name]:.{measure.decimals}f}"
        lines.append(f"{measure.label} {value} {measure.unit}".rstrip())
    return lines
