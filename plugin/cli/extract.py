"""``diffc extract``."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from diffc.cli.items import Item, check_target, write
from diffc.container.layout import MAGIC
from diffc.file_io import STANDARD

# a DIFFC file inside a DIFFC file must not be written over that
_EXTENSIONS = {b"\xff\xd8": ".jpg", b"RIFF": ".webp", MAGIC: ".base.diffc"}
_BRANDS = {b"avif": ".avif", b"heic": ".heic"}


def add_to(commands: Any) -> None:
    """Add the command to a parser's subparsers."""
    parser = commands.add_parser(
        "extract",
        help="give back the JPEG inside a file made with --keep-original, to the byte",
        description="Write the file of another format that a DIFFC file holds: the original JPEG of "
        "a file made with --keep-original, to the byte, else the base picture of relay.",
        allow_abbrev=False,
    )
    parser.add_argument("input", metavar="FILE", help="file; - is standard input")
    parser.add_argument(
        "-o",
        "--output",
        metavar="OUT",
        help="file, or -; default: FILE with the extension it is of",
    )
    parser.add_argument("-f", "--force", action="store_true", help="overwrite existing files")
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from diffc.api import extract

    data = extract(sys.stdin.buffer if args.input == STANDARD else args.input)
    target = args.output
    if target is None and args.input == STANDARD:
        target = STANDARD
    elif target is None:
        target = os.path.splitext(args.input)[0] + _extension(data)
    elif Path(target).is_dir():
        target = str(Path(target) / (Path(args.input).stem + _extension(data)))
    check_target(Item(args.input, target), (), force=args.force)
    write(target, data)
    stream = sys.stderr if target == STANDARD else sys.stdout
    print(f"{target}: {len(data)} bytes", file=stream)
    return 0


def _extension(data: bytes) -> str:
    known = (name for start, name in _EXTENSIONS.items() if data.startswith(start))
    return next(known, _BRANDS.get(data[8:12], ".bin"))
