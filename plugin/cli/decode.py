"""``diffc decode``."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from diffc.api import info
from diffc.cli.items import Item, check_target, plan, run_all, stream_of, write
from diffc.cli.progress import Bars


def add_to(commands: Any) -> None:
    """Add the command to a parser's subparsers."""
    parser = commands.add_parser(
        "decode",
        help="make pictures of DIFFC files",
        description="Make pictures of DIFFC files: PNG, or what the output's extension says.",
        allow_abbrev=False,
    )
    parser.add_argument("inputs", nargs="+", metavar="INPUT", help="file; - is standard input")
    parser.add_argument(
        "-o",
        "--output",
        metavar="OUT",
        help="file, existing folder, or - for a PNG on standard output; default: INPUT with .png",
    )
    parser.add_argument("-f", "--force", action="store_true", help="overwrite existing files")
    add_options(parser)
    parser.set_defaults(run=_run, usage=parser.error)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what says how a file is decoded; see `taken_options`."""
    parser.add_argument("--model", metavar="DIR", help="folder to look for the model in first")
    parser.add_argument("--device", metavar="DEVICE", help="torch device, such as cuda")
    parser.add_argument("--steps", type=int, metavar="N", help="evaluations after the coded ones")
    parser.add_argument("--realism", type=float, metavar="R", help="0 to 1: generated detail")
    parser.add_argument(
        "--guidance", type=float, metavar="G", help="0 to 20: away from what any picture may show"
    )
    parser.add_argument(
        "--cache", type=int, metavar="N", help="1 to 16: the whole network every N steps"
    )
    parser.add_argument("--precision", metavar="P", help="int8 or fp8: weights of large networks")


def taken_options(args: argparse.Namespace) -> dict[str, Any]:
    """Return the keywords of `diffc.decoding` that arguments give."""
    names = ("model", "device", "steps", "realism", "guidance", "cache", "precision")
    return {name: getattr(args, name) for name in names}


def _run(args: argparse.Namespace) -> int:
    items = plan(args.inputs, args.output, ".png", args.usage)
    stream = stream_of(items)
    options = taken_options(args)
    earlier: set[str] = set()
    bars = Bars(len(items))

    def work(item: Item) -> None:
        # a file of another kind is called so, whatever is wrong with its output
        if Path(item.source).is_file():
            info(item.source)
        check_target(item, earlier, force=args.force)
        earlier.add(item.target)
        with bars.file(item.source) as progress:
            line = _decode(item, options | {"progress": progress})
        bars.line(line, stream)

    with bars:
        return run_all(items, work, str, bars.complain)


def _decode(item: Item, options: dict[str, Any]) -> str:
    from diffc.batch.files import decode_file
    from diffc.pictures.reading import open_input, writable_format

    start = time.perf_counter()
    format_ = writable_format(item.target)
    with open_input(item.source) as file:
        data, picture = decode_file(file, format_, options)
    write(item.target, data)
    seconds = time.perf_counter() - start
    return f"{item.target}: {picture.width}x{picture.height} {picture.mode}, {seconds:.2f} s"
