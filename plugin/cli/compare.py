"""``diffc compare``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from diffc.cli.items import SOME_FAILED
from diffc.cli.progress import Bars
from diffc.file_io import STANDARD


def add_to(commands: Any) -> None:
    """Add the command to a parser's subparsers."""
    parser = commands.add_parser(
        "compare",
        help="show a photo as every codec makes it, at equal bytes",
        description="Code one photo with every codec at one byte budget, decode the files again, "
        "and show the results: a table, a contact sheet (sheet.png) and a page (report.html).",
        epilog="A folder of an earlier comparison of the same photo is added to. "
        'Needs pip install "diffc[bench]".',
        allow_abbrev=False,
    )
    parser.add_argument("photo", metavar="PHOTO", help="picture of any format that Pillow reads")
    rate = parser.add_mutually_exclusive_group()
    rate.add_argument(
        "--bpp", type=float, metavar="BITS", help="most bits per pixel; default: 0.05"
    )
    rate.add_argument("--target-size", type=int, metavar="BYTES", help="most bytes of each file")
    parser.add_argument(
        "--codecs",
        action="append",
        metavar="A,B:KEY=VALUE,...",
        help="codecs to compare; default: those of diffc, AVIF, WebP, JPEG XL and HEIC, as far as "
        "they are here",
    )
    parser.add_argument("--out", metavar="DIR", help="folder; default: PHOTO-compare, here")
    parser.add_argument(
        "--perceptual-weights",
        metavar="FILE",
        help="VGG-19 up to conv3_1, safetensors: instead of the package's",
    )
    parser.add_argument("--device", metavar="DEVICE", help="torch device, such as cuda")
    parser.add_argument("--open", action="store_true", help="open the page in a browser")
    parser.add_argument(
        "-f", "--force", action="store_true", help="make all of an earlier comparison anew"
    )
    parser.set_defaults(run=_run, usage=parser.error)


def _run(args: argparse.Namespace) -> int:
    from diffc.bench.packages import load_package

    # missed before the work, not after it
    for name in ("jinja2", "rich"):
        load_package(name)
    from diffc.bench.comparison import compare, default_codecs
    from diffc.bench.contenders.specs import split_specs
    from diffc.bench.report.tables import print_tables

    if args.photo == STANDARD:
        args.usage("a photo is read more than once: name a file, not '-'")
    photo = Path(args.photo)
    out = Path(args.out) if args.out else Path(f"{photo.stem}-compare")
    bars = Bars()

    codecs = split_specs(args.codecs) if args.codecs else default_codecs(bars.complain)
    weights = args.perceptual_weights
    with bars:
        found = compare(
            photo,
            out,
            codecs=codecs,
            bpp=args.bpp,
            target_size=args.target_size,
            perceptual_weights=None if weights is None else Path(weights),
            device=args.device,
            anew=args.force,
            progress=bars.show,
            complain=bars.complain,
        )
    print_tables([found.table()], sys.stdout)
    print(found.sheet)
    print(found.page)
    if args.open:
        import webbrowser

        if not webbrowser.open(found.page.resolve().as_uri()):
            bars.complain(f"diffc: no browser opens here: open {found.page} yourself")
    failed = sum(row.error is not None for row in found.rows)
    return 0 if not failed else 1 if failed == len(found.rows) else SOME_FAILED
