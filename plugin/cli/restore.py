"""``diffc restore``."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diffc.cli.items import Item, check_target, plan, run_all, stream_of, write
from diffc.cli.progress import Bars
from diffc.file_io import STANDARD

if TYPE_CHECKING:
    from PIL import Image

_LOSSY = {".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".avif", ".heic", ".heif", ".jxl"}


def add_to(commands: Any) -> None:
    """Add the command to a parser's subparsers."""
    parser = commands.add_parser(
        "restore",
        help="take the traces of compression out of JPEG, WebP, AVIF and HEIC pictures",
        description="Take the traces of compression out of pictures: JPEG, WebP, AVIF, HEIC, JPEG "
        "XL, or others in which the blocks of a JPEG are still found.  What is restored from a JPEG "
        "is a picture that this very file could have come from.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "inputs", nargs="+", metavar="INPUT", help="file, folder of them, or -, standard input"
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="OUT",
        help="file, existing folder, or - for a PNG on standard output; default: INPUT with "
        ".restored.png",
    )
    parser.add_argument("-f", "--force", action="store_true", help="overwrite existing files")
    parser.add_argument(
        "--realism", type=float, metavar="R", help="0, least error, to 1, most natural"
    )
    parser.add_argument(
        "--strength",
        type=float,
        metavar="S",
        help="error to take away, in grey levels of 255; left out, it is estimated",
    )
    parser.add_argument(
        "--free",
        action="store_true",
        help="do not keep a restored JPEG to what its file's coefficients allow",
    )
    parser.add_argument(
        "--compare",
        action="store_true",
        help="also write a sheet of before and after, OUT with .compare.png",
    )
    parser.add_argument("--steps", type=int, metavar="N", help="steps of restoring")
    parser.add_argument("--model", metavar="DIR", help="folder of another restoring model")
    parser.add_argument("--device", metavar="DEVICE", help="torch device, such as cuda")
    parser.set_defaults(run=_run, usage=parser.error)


def _run(args: argparse.Namespace) -> int:
    sources = list(_files(args.inputs, args.usage))
    in_folder = args.output is not None and Path(args.output).is_dir()
    items = plan(sources, args.output, ".png" if in_folder else ".restored.png", args.usage)
    stream = stream_of(items)
    options = {"realism": args.realism, "strength": args.strength, "steps": args.steps}
    options |= {"model": args.model, "device": args.device}
    options["consistent"] = False if args.free else None
    earlier: set[str] = set()
    bars = Bars(len(items))

    def work(item: Item) -> None:
        targets = [item.target, *([_sheet_of(item.target)] if args.compare else [])]
        for target in targets:
            check_target(Item(item.source, target), earlier, force=args.force)
        earlier.update(targets)
        with bars.file(item.source) as progress:
            line = _restore(item, options | {"progress": progress}, compare=args.compare)
        bars.line(line, stream)

    with bars:
        return run_all(items, work, str, bars.complain)


def _files(inputs: list[str], usage: Any) -> Iterator[str]:
    """Yield inputs, and of folders the lossy pictures in them."""
    for each in inputs:
        if each == STANDARD or not Path(each).is_dir():
            yield each
            continue
        found = sorted(p for p in Path(each).iterdir() if p.suffix.lower() in _LOSSY)
        if not found:
            usage(f"{each} has no picture of a lossy format: name files")
        yield from map(str, found)


def _sheet_of(target: str) -> str:
    return "compare.png" if target == STANDARD else f"{os.path.splitext(target)[0]}.compare.png"


def _restore(item: Item, options: dict[str, Any], *, compare: bool) -> str:
    from diffc.pictures.reading import open_input, upright, writable_format
    from diffc.pictures.writing import picture_bytes
    from diffc.restoration import restore

    start = time.perf_counter()
    format_ = writable_format(item.target)
    with open_input(item.source) as file:
        data = file.read()
    picture = upright(restore(data, **options))
    write(item.target, picture_bytes(picture, format_))
    if compare:
        write(_sheet_of(item.target), _sheet(data, picture))
    seconds = time.perf_counter() - start
    return f"{item.target}: {picture.width}x{picture.height} {picture.mode}, {seconds:.2f} s"


def _sheet(data: bytes, restored: Image.Image) -> bytes:
    """Return a PNG of a picture before and after, whole and where most happens."""
    import io

    from diffc.bench.report.contact_sheet import Entry, contact_sheet
    from diffc.pictures.reading import open_picture, upright

    before = upright(open_picture(io.BytesIO(data), data[:16])).convert("RGB")
    after = restored.convert("RGB")
    rows = [Entry("before", [f"{len(data)} bytes"], before), Entry("restored", [], after)]
    sheet = contact_sheet(before, rows)
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG")
    return buffer.getvalue()
