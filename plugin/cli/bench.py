"""``diffc bench``."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diffc.cli.items import SOME_FAILED
from diffc.cli.progress import Bars

if TYPE_CHECKING:
    from diffc.bench.run.run_file import RunFile

_CODECS = """\
codecs:
  jpeg, webp, avif, jpeg2000, heic, jxl   the highest quality whose file fits
  avif-ds and so on                       shrink, code, enlarge: the best of 1, 1/1.5, 1/2 and 1/3
  any codec of 'diffc codecs'             with options: ddcm:steps=20,atoms=4
  codecs that other packages offer        entry points diffc.codecs and diffc.contenders

  After a comma, KEY=VALUE belongs to the codec before it: ddcm:steps=20,atoms=4,avif are two
  codecs. KEY is an option of the encoder; those of the decoder are written decode.steps=4 (so
  ddcm:steps=20 is the encoder's). device holds for both, and so does a model that is a folder.

files in DIR:
  rows.jsonl and rows.csv (one row per image, codec and target), summary.json, speed.jsonl,
  plots/, report.html, the coded files and the decoded pictures. Run the command again to go on
  after an interruption; without FOLDER it makes tables, plots and report from what is there.

exit codes: 0 done, 1 error, 2 usage, 3 some images, rows or timings failed
"""


def add_to(commands: Any) -> None:
    """Add the command to a parser's subparsers."""
    parser = commands.add_parser(
        "bench",
        help="measure codecs on a folder of pictures",
        description="Measure rate, quality, speed and memory of codecs on a folder of pictures: "
        "real files, opened again.",
        epilog=_CODECS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("folder", nargs="?", type=Path, metavar="FOLDER", help="with pictures")
    parser.add_argument(
        "--codecs",
        action="append",
        default=[],
        metavar="A,B",
        help="codecs, separated by commas; may be repeated",
    )
    parser.add_argument(
        "--bpp", nargs="+", type=float, default=[], metavar="X", help="targets in bits per pixel"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the run")
    parser.add_argument(
        "--perceptual-weights",
        type=Path,
        metavar="FILE",
        help="VGG-19 up to conv3_1, safetensors: instead of the package's",
    )
    parser.add_argument("--anchor", metavar="NAME", help="codec that BD-rates are against")
    parser.add_argument("--device", metavar="DEVICE", help="torch device, such as cuda")
    parser.add_argument("--images", type=int, metavar="N", help="only the first N pictures")
    parser.add_argument(
        "--speed-images", type=int, default=1, metavar="N", help="pictures to time; default: 1"
    )
    parser.add_argument(
        "--speed-all", action="store_true", help="time all targets, not only the middle one"
    )
    parser.add_argument("--no-speed", action="store_true", help="time nothing")
    parser.add_argument("--no-report", action="store_true", help="make no report.html")
    parser.add_argument("--results", type=Path, metavar="FILE", help="write a page in Markdown")
    parser.set_defaults(run=_run, usage=parser.error)


def _run(args: argparse.Namespace) -> int:
    _check(args)
    _need_packages(args)
    if args.results is not None:
        _check_writable(args.results)
    bars = Bars()
    with bars:
        failed, run_file = _code(args, bars)
        if args.folder is not None and not args.no_speed:
            failed += _time(args, run_file, bars)
    _show(args)
    return SOME_FAILED if failed else 0


def _check(args: argparse.Namespace) -> None:
    if args.folder is None:
        if args.codecs or args.bpp or args.perceptual_weights:
            args.usage("codecs, targets and weights need a FOLDER with pictures")
        return
    if not args.codecs:
        args.usage("the following arguments are required: --codecs")
    if not args.bpp:
        args.usage("the following arguments are required: --bpp")
    for name in ("images", "speed_images"):
        value = getattr(args, name)
        if value is not None and value < 1:
            args.usage(f"--{name.replace('_', '-')} is at least 1, not {value}")


def _check_writable(path: Path) -> None:
    """Miss where a page cannot go before the work, not after it."""
    if path.is_dir():
        raise ValueError(f"{path} is a folder: name a file in it")
    if not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise ValueError(f"{path} has no folder that can be written in: create or change it")


def _need_packages(args: argparse.Namespace) -> None:
    """Miss what is needed at the end before the work, not after it."""
    from diffc.bench.packages import load_package

    for name in ("rich", "matplotlib", "bjontegaard", *(() if args.no_report else ("jinja2",))):
        load_package(name)


def _code(args: argparse.Namespace, bars: Bars) -> tuple[int, RunFile]:
    from diffc.bench.report.results import choose_anchor
    from diffc.bench.run.run_file import RUN, read_run

    if args.folder is None:
        run_file = read_run(args.out)
        choose_anchor(run_file.codecs, args.anchor)
        return 0, run_file
    from diffc.bench.contenders.specs import split_specs
    from diffc.bench.run.pictures import find_pictures
    from diffc.bench.run.preparation import prepare
    from diffc.bench.run.runner import run

    codecs = split_specs(args.codecs)
    paths = find_pictures(args.folder)[: args.images]
    there = read_run(args.out).codecs if (args.out / RUN).exists() else []
    # before anything of the run is written
    choose_anchor([*there, *codecs], args.anchor)
    prepared = prepare(
        paths,
        codecs,
        args.bpp,
        args.out,
        perceptual_weights=args.perceptual_weights,
        device=args.device,
        complain=bars.complain,
    )
    failed = run(prepared, progress=bars.show, complain=bars.complain)
    return failed + prepared.unreadable, prepared.run_file


def _time(args: argparse.Namespace, run_file: RunFile, bars: Bars) -> int:
    from diffc.bench.run.speed import jobs, measure_all

    todo = jobs(args.out, run_file, images=args.speed_images, every_target=args.speed_all)
    return measure_all(args.out, todo, progress=bars.show, complain=bars.complain)


def _show(args: argparse.Namespace) -> None:
    """Write all files, then print: what reads the output may go away."""
    from diffc.bench.report.plots import write_curves
    from diffc.bench.report.results import read_results, write_summary
    from diffc.bench.report.tables import all_tables, print_tables

    results = read_results(args.out, args.anchor)
    write_summary(results)
    made = []
    if write_curves(results):
        made.append(f"plots: {args.out / 'plots'}")
    if args.results is not None:
        from diffc.bench.report.markdown_page import write_markdown

        write_markdown(args.results, results)
        made.append(f"results: {args.results}")
    if not args.no_report:
        from diffc.bench.report.page import write_report

        made.append(f"report: {write_report(results)}")
    print_tables(all_tables(results), sys.stdout)
    for line in made:
        print(line)
