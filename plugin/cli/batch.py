"""``diffc batch``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diffc.cli import decode, encode
from diffc.cli.items import SOME_FAILED
from diffc.cli.progress import Bars

if TYPE_CHECKING:
    from diffc.batch import Executor, Row, Summary
    from diffc.cli.arguments import Parser

_DESCRIPTION = """\
{what}

Inputs are folders, searched with their subfolders; files; patterns in quotes ('photos/**/*.jpg');
and manifests, which end in .jsonl and have an object a line:
{{"source": "a.jpg", "target": "b.diffc", "options": {{"bpp": 0.1}}}}, the latter two if wanted.

Results are an object of JSON a file: source, target, status, error, bytes, bpp, seconds, codec, sha256
and more. Run the command again to go on after it was ended, in whatever way: what is there and made
of the same source with the same options is kept.
"""
_EPILOG = "exit codes: 0 done, 1 error, 2 usage, 3 some files failed, 130 interrupted"
_WHAT = {
    "encode": "Make DIFFC files of many pictures.",
    "decode": "Make pictures of many DIFFC files.",
    "transcode": "Make other DIFFC files of many DIFFC files, with their metadata.",
}
_TO = {"encode": "encode", "decode": "decode", "transcode": "code"}


def add_to(commands: Any) -> None:
    """Add the command to a parser's subparsers."""
    parser = commands.add_parser(
        "batch",
        help="encode, decode or transcode many files, on one machine or many",
        description="Code many files, by several processes or a cluster, and go on where it ended.",
        allow_abbrev=False,
    )
    verbs = parser.add_subparsers(metavar="ACTION", required=True)
    for verb, what in _WHAT.items():
        added = verbs.add_parser(
            verb,
            help=what[0].lower() + what[1:-1],
            description=_DESCRIPTION.format(what=what),
            epilog=_EPILOG,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        _add_common(added)
        if verb == "decode":
            added.add_argument("--format", metavar="EXT", help="of the pictures; default: png")
            added.add_argument(
                "--batch-size",
                type=int,
                metavar="N",
                help="files of one size that are decoded together; default: 1, on a GPU 8",
            )
            decode.add_options(added)
        else:
            encode.add_options(added)
        if verb == "encode":
            encode.add_metadata_choices(added)
        if verb == "transcode":
            added.add_argument(
                "--decode-option",
                dest="decode_options",
                action="append",
                default=[],
                type=encode.key_and_value_of,
                metavar="KEY=VALUE",
                help="steps, realism, guidance, cache, precision, model or device of decoding; may be "
                "repeated",
            )
        added.set_defaults(run=_run, verb=verb, usage=added.error)


def _add_common(parser: Parser) -> None:
    add = parser.add_argument
    add("inputs", nargs="+", metavar="INPUT", help="folder, file, 'pattern' or manifest")
    add("-o", "--output", metavar="DIR", help="folder for the outputs; default: beside the inputs")
    add("--results", metavar="FILE", help="default: diffc-batch.jsonl in the folder of outputs")
    add(
        "--executor",
        choices=("serial", "process", "ray"),
        default="process",
        help="who works: this process, several (default), or Ray",
    )
    add("--workers", type=int, metavar="N", help="default: as many as there are cores")
    add("--address", metavar="ADDRESS", help="of a cluster of Ray; default: a local one")
    add(
        "--num-gpus", type=float, metavar="F", help="GPUs that each worker of Ray takes; default: 0"
    )
    add("-f", "--force", action="store_true", help="replace files that others have made, too")
    add("--fail-fast", action="store_true", help="end with the first file that fails")
    add("--plan-only", action="store_true", help="say what would be done, and do nothing")


def _run(args: argparse.Namespace) -> int:
    from diffc import batch

    bars = Bars()

    def watch(row: Row, summary: Summary) -> None:
        if row.status == "error" and row.error is not None:
            bars.complain(f"diffc: {row.source}: {row.error}")
        saved = _bytes(summary.source_bytes - summary.target_bytes)
        bars.count(summary.done, summary.total, summary.kept, f"saved {saved}")

    try:
        summary = batch.run(
            args.verb,
            args.inputs,
            args.output,
            results=args.results,
            executor=_executor(args),
            force=args.force,
            fail_fast=args.fail_fast,
            plan_only=args.plan_only,
            watch=watch,
            **_choices(args),
        )
    except KeyboardInterrupt:
        bars.complain("diffc: stopped; what is done is whole: run the command again to go on")
        raise
    finally:
        bars.close()
    print(_planned(summary, args.verb) if args.plan_only else _done(summary))
    return SOME_FAILED if summary.failed else 0


def _executor(args: argparse.Namespace) -> Executor:
    from diffc import batch

    if args.executor == "ray":
        return batch.Ray(args.workers, args.address, num_gpus=args.num_gpus or 0.0)
    for name in ("address", "num_gpus"):
        if getattr(args, name) is not None:
            args.usage(f"--{name.replace('_', '-')} is for --executor ray: drop it")
    if args.executor == "process":
        return batch.Processes(args.workers)
    if args.workers not in (None, 1):
        args.usage(f"--executor serial has one worker, not {args.workers}: choose another executor")
    return batch.Serial()


def _choices(args: argparse.Namespace) -> dict[str, Any]:
    if args.verb == "decode":
        given = {name: v for name, v in decode.taken_options(args).items() if v is not None}
        return given | {"extension": args.format, "batch_size": args.batch_size}
    options = encode.taken_options(args)
    if args.verb == "encode":
        return options | {"icc": args.icc, "keep_metadata": args.keep_metadata}
    return options | {"decode_options": dict(args.decode_options)}


def _done(summary: Summary) -> str:
    return (
        f"{summary.made} made, {summary.kept} kept, {summary.failed} failed: "
        f"{_bytes(summary.target_bytes)} of {_bytes(summary.source_bytes)} in "
        f"{summary.seconds:.1f} s"
    )


def _planned(summary: Summary, verb: str) -> str:
    memory = _most_memory()
    return (
        f"{summary.made} to {_TO[verb]}, {summary.kept} to keep, {summary.failed} to fail; planned "
        f"in {summary.seconds:.1f} s" + (f" with {_bytes(memory)} of memory" if memory else "")
    )


def _most_memory() -> int | None:
    """Return the most bytes that this process has held; None where nobody says."""
    try:
        text = Path("/proc/self/status").read_text()
    except OSError:
        return None
    (line,) = (line for line in text.splitlines() if line.startswith("VmHWM:"))
    return 1024 * int(line.split()[1])


def _bytes(count: int) -> str:
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if abs(count) >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} B"
