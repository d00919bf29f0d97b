"""The command ``diffc``.

Exit codes: 0, all is well; 1, an error of one line on stderr; 2, wrong usage; 3, some of several
files failed; 130, interrupted; 141, the reader of the output has gone.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
import warnings
from collections.abc import Sequence
from types import ModuleType

from PIL import Image

import diffc
from diffc.cli import (
    autoload,
    batch,
    bench,
    codecs,
    compare,
    decode,
    encode,
    extract,
    info,
    metadata,
    models,
    restore,
)
from diffc.cli.arguments import Parser
from diffc.errors import DiffcWarning, reason_of

_INTERRUPTED, _BROKEN_PIPE = 130, 141


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments; those of the process if left out.
    """
    _print_any_text()
    try:
        code = _run(argv)
        # here, where a reader that has gone is still handled
        sys.stdout.flush()
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        # the interpreter flushes once more when it ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _BROKEN_PIPE
    return code


def _print_any_text() -> None:
    """Put "?" for characters that the output's encoding lacks, such as those of a file's name."""
    stream = sys.stdout
    if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
        stream.reconfigure(errors="replace")


def _run(argv: Sequence[str] | None) -> int:
    try:
        args = _parser().parse_args(argv)
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            # what the command has to say is said, whatever PYTHONWARNINGS holds
            warnings.simplefilter("always", DiffcWarning)
            return int(args.run(args))
    except SystemExit as stop:  # argparse has printed help, the version or what is wrong
        return stop.code if isinstance(stop.code, int) else 0
    except BrokenPipeError:
        raise
    except (OSError, ValueError, MemoryError, Image.DecompressionBombError) as error:
        print(f"diffc: {reason_of(error)}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="diffc",
        description="Diffusion image codecs as an image format.",
        epilog="exit codes: 0 done, 1 error, 2 usage, 3 some of several files failed",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"diffc {diffc.__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for module in (
        encode,
        decode,
        restore,
        extract,
        batch,
        info,
        metadata,
        codecs,
        models,
        bench,
        compare,
        autoload,
    ):
        module.add_to(commands)
    return parser


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    print(f"diffc: warning: {' '.join(str(message).split())}", file=sys.stderr)


class _Command(ModuleType):
    """A module that is called as its function is: ``from diffc.cli import main``."""

    def __call__(self, argv: Sequence[str] | None = None) -> int:
        """Run the command; see `main`."""
        return main(argv)


sys.modules[__name__].__class__ = _Command

if __name__ == "__main__":
    sys.exit(main())
