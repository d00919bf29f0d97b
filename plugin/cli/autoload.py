"""``diffc autoload``."""

from __future__ import annotations

import argparse
from typing import Any

_DESCRIPTION = """\
Make Pillow open and save DIFFC files in every Python process of this environment, without
'import diffc': in workers, servers and scripts of others. That is a start-up file beside the packages,
which waits for the import of Pillow and imports nothing before that. It is off until somebody switches it
on, and it stays if diffc is uninstalled, harmless: switch it off before.
"""
_SAID = {
    "on": "on: {path}",
    "off": "off: no {path}",
    "outdated": "on, by another version of diffc: {path}; run 'diffc autoload on' again",
}


def add_to(commands: Any) -> None:
    """Add the command to a parser's subparsers."""
    parser = commands.add_parser(
        "autoload",
        help="make Pillow know the format without 'import diffc'",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("action", choices=("on", "off", "status"))
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from diffc.autoload.switch import startup_file, state, switch_off, switch_on

    if args.action == "on":
        switch_on()
    elif args.action == "off":
        switch_off()
    print(_SAID[state()].format(path=startup_file()))
    return 0
