"""``diffc info``, which loads neither numpy nor torch."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from typing import Any

from diffc.api import Info, info
from diffc.cli.items import run_all
from diffc.file_io import STANDARD


def add_to(commands: Any) -> None:
    """Add the command to a parser's subparsers."""
    parser = commands.add_parser(
        "info",
        help="say what DIFFC files hold",
        description="Say what DIFFC files hold, by their headers, without decoding.",
        allow_abbrev=False,
    )
    parser.add_argument("inputs", nargs="+", metavar="FILE", help="file; - is standard input")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.set_defaults(run=_run_info)


def _run_info(args: argparse.Namespace) -> int:
    def work(name: str) -> None:
        found = info(sys.stdin.buffer if name == STANDARD else name)
        print(_as_json({"file": name, **asdict(found)}) if args.json else _as_text(name, found))

    return run_all(args.inputs, work, str, lambda text: print(text, file=sys.stderr))


def _as_json(data: dict[str, Any]) -> str:
    import json

    return json.dumps(data, ensure_ascii=False)


def _as_text(name: str, found: Info) -> str:
    fields = {
        "size": f"{found.size[0]}x{found.size[1]}",
        "mode": found.mode,
        "codec": f"{found.codec}, version {found.bitstream_version}",
        "model": found.model or "none",
        "payload": f"{found.payload_bytes} bytes",
        "file": f"{found.file_bytes} bytes, {found.bpp:.4g} bpp",
    }
    fields |= {kind: f"{size} bytes" for kind, size in found.metadata_bytes.items()}
    if found.caption is not None:
        # a caption is a stranger's text, and may hold what moves a terminal's cursor
        fields["caption"] = (
            ascii(found.caption) if not found.caption.isprintable() else found.caption
        )
    return "\n".join([name, *(f"  {key:<8} {value}" for key, value in fields.items())])
