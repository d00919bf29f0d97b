"""``diffc models``: what models there are; fetch, add, check, convert and remove them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from diffc.cli.items import run_all
from diffc.cli.progress import Bars

if TYPE_CHECKING:
    from diffc.models.overview import Row
    from diffc.models.store import Record

_DESCRIPTION = """\
Models that do not come with the package. They lie in the folder that DIFFC_STORE names, else in
'diffc' among the user's caches. Nothing but 'fetch' uses the network.
"""


def add_to(commands: Any) -> None:
    """Add the command to a parser's subparsers."""
    parser = commands.add_parser(
        "models",
        help="list, fetch, add, check, convert and remove models",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    action = _action(actions, "list", _list, "list all models that are known here")
    action.add_argument("--json", action="store_true", help="one JSON list")
    action = _action(actions, "fetch", _fetch, "download models, which is agreeing to their terms")
    action.add_argument("names", nargs="+", metavar="NAME", help="of the list, or a hub id")
    action.add_argument(
        "--revision", metavar="REV", help="commit, branch or tag; the table's hashes do not hold"
    )
    action.add_argument(
        "--variant", choices=("fp16", "fp32"), help="of the weights, where the table leaves it open"
    )
    action = _action(actions, "add", _add, "make a directory's model known; it stays where it is")
    action.add_argument("folder", metavar="DIR", help="of a pipeline, or of a model of ours")
    action.add_argument("--name", metavar="NAME", help="default: the directory's own")
    action = _action(actions, "verify", _verify, "hash models' files anew")
    action.add_argument("names", nargs="*", metavar="NAME", help="default: all in the store")
    _add_convert(actions)
    action = _action(actions, "path", _path, "print a model's directory")
    action.add_argument("name", metavar="NAME", help="of the list, or a hub id")
    action = _action(actions, "remove", _remove, "delete what was fetched, forget what was added")
    action.add_argument("names", nargs="+", metavar="NAME", help="of the list, or a hub id")


def _action(actions: Any, name: str, run: Callable[..., int], text: str) -> Any:
    parser = actions.add_parser(
        name, help=text, description=f"{text[0].upper()}{text[1:]}.", allow_abbrev=False
    )
    parser.set_defaults(run=partial(_run, run), usage=parser.error)
    return parser


def _run(run: Callable[[argparse.Namespace], int], args: argparse.Namespace) -> int:
    from diffc.registry import import_offered

    # other packages' codecs know models, too
    import_offered()
    return run(args)


def _add_convert(actions: Any) -> None:
    text = "make safetensors of a released checkpoint; nothing that it says is run"
    action = _action(actions, "convert", _convert, text)
    action.add_argument(
        "source", metavar="SOURCE", help="a .pt or .ckpt file, or the name of a fetched checkpoint"
    )
    action.add_argument("--kind", metavar="KIND", help="of the model to make, such as cod")
    action.add_argument("--config", metavar="FILE", help="its configuration, YAML or JSON")
    action.add_argument("--name", metavar="NAME", help="of the model, in the store")
    action.add_argument(
        "--vae", metavar="DIR", help="autoencoder of diffusers, for networks of its latents"
    )
    action.add_argument("--key", metavar="KEY", help="entry of the checkpoint with the weights")
    action.add_argument(
        "-o", "--output", metavar="FILE", help="plain safetensors instead of a model"
    )


def _list(args: argparse.Namespace) -> int:
    from diffc.models.overview import overview

    rows = overview()
    if args.json:
        import json
        from dataclasses import asdict

        print(json.dumps([asdict(row) for row in rows], ensure_ascii=False, indent=1))
        return 0
    head = ("NAME", "KIND", "STATE", "SIZE", "FINGERPRINT", "COMMERCIAL", "LICENCE")
    table = [head, *map(_cells, rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for cells in table:
        line = "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        print(line.rstrip())
    return 0


def _cells(row: Row) -> tuple[str, ...]:
    kind = row.kind or f"in {', '.join(row.codecs)}"
    mark = row.fingerprints[0] if row.fingerprints else "-"
    return (row.name, kind, row.state, _size(row.size), mark, row.commercial, row.licence)


def _size(size: int | None) -> str:
    if size is None:
        return "-"
    return f"{size / 1e9:.1f} GB" if size >= 10**9 else f"{size / 1e6:.1f} MB"


def _fetch(args: argparse.Namespace) -> int:
    from diffc.models.transfer import fetch

    if len(args.names) > 1 and args.revision is not None:
        args.usage("--revision is one model's: give one NAME")
    bars = Bars(len(args.names))

    def work(name: str) -> None:
        bars.line(_terms(name), sys.stderr)
        with bars.file(name, unit="B") as progress:
            record = fetch(name, revision=args.revision, variant=args.variant, progress=progress)
        bars.line(_arrived(record), sys.stdout)

    with bars:
        return run_all(args.names, work, _shown, bars.complain)


def _shown(name: str) -> str:
    """Return a name that may be anything, for a line of a terminal."""
    return (name if name.isprintable() else ascii(name))[:100]


def _terms(name: str) -> str:
    from diffc.models.names import check_name
    from diffc.models.table import entry_named

    entry = entry_named(check_name(name))
    if entry is None:
        return f"{name}: not in the table of known models; its terms are in its model card"
    note = f"; {entry.note}" if entry.note else ""
    return (
        f"{entry.name}: {entry.licence} ({entry.licence_url}), commercial use: "
        f"{entry.commercial}{note}"
    )


def _arrived(record: Record) -> str:
    from diffc.models import store

    size = _size(sum(each.size for each in record.files.values()))
    line = f"{record.name}: {size} in {record.folder}, from {record.place} at {record.revision}"
    if record.trust == store.TABLE:
        line += "; the hashes are those of the table"
    else:
        line += (
            f"; the table has no hashes of it: those of its {len(record.pins)} files were recorded "
            "and are what the next transfer must bring (trust on first use)"
        )
    if record.kind == store.CHECKPOINT:
        line += f"; run 'diffc models convert {record.name}' to use it"
    return line


def _add(args: argparse.Namespace) -> int:
    from pathlib import Path

    from diffc.models.adding import add

    record = add(Path(args.folder), args.name)
    print(f"{record.name}: {record.kind}, fingerprint {record.fingerprints[0]}, {record.folder}")
    return 0


def _verify(args: argparse.Namespace) -> int:
    from diffc.models import store
    from diffc.models.verify import verify

    names = args.names or [each.name for each in store.records() if each.folder]
    bars = Bars(len(names))

    def work(name: str) -> None:
        record = store.stored(name)
        with bars.file(name, unit="B") as progress:
            verify(record, progress)
        bars.line(f"{record.name}: {len(record.files)} files as they were", sys.stdout)

    with bars:
        return run_all(names, work, _shown, bars.complain)


def _convert(args: argparse.Namespace) -> int:
    from pathlib import Path

    from diffc.models.convert import fetched_checkpoint, to_model, to_safetensors

    if args.output is not None:
        if args.kind or args.config or args.name or args.vae:
            args.usage("-o makes plain safetensors: drop --kind, --config, --name and --vae")
        to_safetensors(Path(args.source), Path(args.output), args.key)
        print(args.output)
        return 0
    fetched = fetched_checkpoint(args.source)
    vae = None if args.vae is None else Path(args.vae)
    if fetched is not None:
        if args.kind or args.config or args.name:
            args.usage("a fetched checkpoint's kind, configuration and name are known: drop them")
        source, config, kind, origin = fetched
        record = to_model(source, origin.name, kind, config, args.key, origin, vae)
    else:
        if not args.kind or not args.name:
            args.usage("a model needs --kind and --name, and plain safetensors need -o FILE")
        settings = None if args.config is None else Path(args.config)
        record = to_model(Path(args.source), args.name, args.kind, settings, args.key, vae=vae)
    print(f"{record.name}: {record.kind}, fingerprint {record.fingerprints[0]}, {record.folder}")
    return 0


def _path(args: argparse.Namespace) -> int:
    from diffc.models.store import stored

    print(stored(args.name).folder)
    return 0


def _remove(args: argparse.Namespace) -> int:
    from diffc.models.store import remove

    def work(name: str) -> None:
        record = remove(name)
        size = _size(sum(each.size for each in record.files.values()))
        done = f"deleted, {size}" if record.owned else f"forgotten; {record.folder} stays"
        print(f"{record.name}: {done}")

    return run_all(args.names, work, _shown, lambda text: print(text, file=sys.stderr))
