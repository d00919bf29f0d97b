"""One file after another: where each goes, what may not be overwritten, and how many failed."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from PIL import Image

from diffc.errors import reason_of
from diffc.file_io import STANDARD, write_whole

SOME_FAILED = 3

T = TypeVar("T")


@dataclass(frozen=True)
class Item:
    """A file to read and one to write; ``-`` is standard input or output."""

    source: str
    target: str


def plan(
    sources: Sequence[str], output: str | None, extension: str, usage: Callable[[str], None]
) -> list[Item]:
    """Return what goes where.

    Parameters
    ----------
    sources : sequence of str
        Names of the files to read.
    output : str, optional
        A file, an existing folder or ``-``; if left out, each output stands beside its input, and
        that of standard input goes to standard output.
    extension : str
        Of the outputs that the caller gives no name.
    usage : callable
        Called, never to return, with what the caller did wrong.
    """
    if list(sources).count(STANDARD) > 1:
        usage("standard input can be read once: give '-' once")
    in_folder = output is not None and output != STANDARD and Path(output).is_dir()
    if output is not None and not in_folder and len(sources) > 1:
        usage(f"several inputs need a folder to go to, which {output!r} is not: create it")
    return [Item(each, _target(each, output, in_folder, extension)) for each in sources]


def _target(source: str, output: str | None, in_folder: bool, extension: str) -> str:
    if output is not None and not in_folder:
        return output
    if output is None:
        return STANDARD if source == STANDARD else os.path.splitext(source)[0] + extension
    stem = "stdin" if source == STANDARD else Path(source).stem
    return str(Path(output) / (stem + extension))


def check_target(item: Item, earlier: Iterable[str], *, force: bool) -> None:
    """Refuse, before any work, to write where one should not or cannot.

    Raises
    ------
    ValueError
        If the target exists, is the source or another input's target, or has no folder.
    """
    if item.target == STANDARD:
        if sys.stdout.isatty():
            raise ValueError("binary data is not written to a terminal: give -o FILE, or a pipe")
        return
    target = Path(item.target)
    if item.target in earlier:
        raise ValueError(f"{item.target} is another input's output: give this one another with -o")
    if not os.access(target.parent, os.W_OK):
        raise ValueError(f"{target.parent} is not a folder to write in: create or change it")
    if item.source != STANDARD and target.exists() and target.samefile(item.source):
        raise ValueError("input and output are the same file: give another with -o")
    if target.is_dir():
        raise ValueError(f"{item.target} is a folder: give -o FILE, or move it away")
    if target.is_file() and not force:
        raise ValueError(f"{item.target} exists: pass --force to overwrite it")


def write(target: str, data: bytes) -> None:
    """Write a file whole or not at all; pipes and devices, as they come."""
    if target == STANDARD:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    path = Path(target)
    if path.exists() and not path.is_file():
        # /dev/null and its like must not be replaced
        path.write_bytes(data)
    else:
        # nor must a link, but the file that it leads to
        write_whole(path.resolve(), data)


def run_all(
    items: Sequence[T],
    work: Callable[[T], None],
    name_of: Callable[[T], str],
    complain: Callable[[str], None],
) -> int:
    """Work on all, whichever fail; return the exit code.

    Parameters
    ----------
    items : sequence
        What to work on.
    work : callable
        Works on one.
    name_of : callable
        Its name in messages.
    complain : callable
        Told of each that failed, in one line.
    """
    failed = 0
    for item in items:
        try:
            work(item)
        except BrokenPipeError:
            raise
        except (
            OSError,
            ValueError,
            ImportError,
            MemoryError,
            Image.DecompressionBombError,
        ) as error:
            failed += 1
            complain(f"diffc: {name_of(item)}: {reason_of(error)}")
    return 0 if not failed else 1 if len(items) == 1 else SOME_FAILED
