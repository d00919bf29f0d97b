"""``diffc encode``."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

from diffc.cli.arguments import Parser, add_flags, taken_flags, value_of
from diffc.cli.items import Item, check_target, plan, run_all, stream_of, write
from diffc.cli.progress import Bars
from diffc.errors import CodecNotAvailableError

_NAMED = (
    "backend",
    "bpp",
    "target_size",
    "quality",
    "model",
    "device",
    "alpha",
)


def add_to(commands: Any) -> None:
    """Add the command to a parser's subparsers."""
    parser = commands.add_parser(
        "encode",
        help="make DIFFC files of pictures",
        description="Make DIFFC files of pictures: whatever Pillow reads, and HEIC. Pictures are "
        "turned upright, and their colours converted to sRGB.",
        epilog="name a codec with --backend for the options of its own",
        allow_abbrev=False,
    )
    parser.add_argument("inputs", nargs="+", metavar="INPUT", help="picture; - is standard input")
    parser.add_argument(
        "-o",
        "--output",
        metavar="OUT",
        help="file, existing folder, or - for standard output; default: INPUT with .diffc",
    )
    parser.add_argument("-f", "--force", action="store_true", help="overwrite existing files")
    add_options(parser)
    add_metadata_choices(parser)
    parser.set_defaults(run=_run, usage=parser.error)


def add_options(parser: Parser) -> None:
    """Add what says how a picture is coded; see `taken_options`."""
    rate = parser.add_mutually_exclusive_group()
    rate.add_argument("--bpp", type=float, metavar="BITS", help="most bits per pixel of the file")
    rate.add_argument("--target-size", type=int, metavar="BYTES", help="most bytes of the file")
    rate.add_argument("--quality", type=float, metavar="Q", help="0 to 100; default: 50")
    parser.add_argument("--backend", metavar="CODEC", help="codec; see 'diffc codecs'")
    parser.add_argument("--model", metavar="MODEL", help="name of a model, or its folder")
    parser.add_argument("--device", metavar="DEVICE", help="torch device, such as cuda")
    parser.add_argument(
        "--option",
        dest="options",
        action="append",
        default=[],
        type=key_and_value_of,
        metavar="KEY=VALUE",
        help="any option of the codec; may be repeated",
    )
    parser.add_argument("--alpha", choices=("keep", "drop"), help="transparency; default: keep")
    parser.prepare = partial(_add_flags_of_the_codec, parser)


def add_metadata_choices(parser: Parser) -> None:
    """Add what says which metadata of a picture is kept."""
    parser.add_argument(
        "--icc",
        choices=("convert", "keep"),
        default="convert",
        help="convert colours to sRGB (default), or keep them and store the profile",
    )
    parser.add_argument("--keep-metadata", action="store_true", help="store EXIF and XMP")


def _add_flags_of_the_codec(parser: argparse.ArgumentParser, arguments: Sequence[str]) -> None:
    from diffc.builtin_codecs import DEFAULT_CODEC
    from diffc.registry import declaration

    try:
        codec = declaration(value_of("--backend", arguments) or DEFAULT_CODEC)
    # the encoder says so, in a sentence
    except CodecNotAvailableError:
        codec = declaration(DEFAULT_CODEC)
    add_flags(parser, codec)


def key_and_value_of(text: str) -> tuple[str, Any]:
    """Return an option's name and value; for a parser."""
    # JSON is imported when there is something to read
    from diffc.key_value import key_and_value

    try:
        return key_and_value(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _run(args: argparse.Namespace) -> int:
    items = plan(args.inputs, args.output, ".diffc", args.usage)
    options = taken_options(args)
    stream = stream_of(items)
    earlier: set[str] = set()
    bars = Bars(len(items))

    def work(item: Item) -> None:
        check_target(item, earlier, force=args.force)
        earlier.add(item.target)
        with bars.file(item.source) as progress:
            line = _encode(item, args, options | ({"progress": progress} if progress else {}))
        bars.line(line, stream)

    with bars:
        return run_all(items, work, str, bars.complain)


def taken_options(args: argparse.Namespace) -> dict[str, Any]:
    """Return the keywords of `diffc.encode` that arguments give."""
    options = {name: getattr(args, name) for name in _NAMED if getattr(args, name) is not None}
    options |= taken_flags(args)
    for key, value in args.options:
        if key in options:
            args.usage(f"{key} is given twice: drop one of them")
        options[key] = value
    return options


def _encode(item: Item, args: argparse.Namespace, options: dict[str, Any]) -> str:
    from diffc.batch.files import encode_file

    start = time.perf_counter()
    data, (width, height) = encode_file(
        item.source,
        options,
        keep_profile=args.icc == "keep",
        keep_metadata=args.keep_metadata,
    )
    write(item.target, data)
    bpp = 8 * len(data) / (width * height)
    return f"{item.target}: {len(data)} bytes, {bpp:.4g} bpp, {time.perf_counter() - start:.2f} s"
