"""One file after another: where each goes, what may not be overwritten, and how many failed."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO, TypeVar

from PIL import Image

from diffc.errors import reason_of
from diffc.file_io import STANDARD, write_whole
from diffc.urls import exists, is_url, write_url

SOME_FAILED = 3

T = TypeVar("T")


@dataclass(frozen=True)
class Item:
    """A file to read and one to write, paths or addresses; ``-`` is standard input or output."""

    source: str
    target: str

    def __str__(self) -> str:
        """Return what messages call it."""
        return self.source


def stream_of(items: Iterable[Item]) -> TextIO:
    """Return where lines are printed that must not mix with data on standard output."""
    return sys.stderr if any(each.target == STANDARD for each in items) else sys.stdout


def plan(
    sources: Sequence[str], output: str | None, extension: str, usage: Callable[[str], None]
) -> list[Item]:
    """Return what goes where.

    Parameters
    ----------
    sources : sequence of str
        Names of the files to read.
    output : str, optional
        A file, an existing folder or ``-``; an address that ends in a slash is a folder.  If left
        out, each output stands beside its input, and that of standard input goes to standard
        output.
    extension : str
        Of the outputs that the caller gives no name.
    usage : callable
        Called, never to return, with what the caller did wrong.
    """
    if list(sources).count(STANDARD) > 1:
        usage("standard input can be read once: give '-' once")
    if output is None and any(is_url(each) and "::" in each for each in sources):
        usage("an address with '::' has no neighbours: give the output with -o")
    in_folder = output is not None and output != STANDARD and _is_folder(output)
    if output is not None and not in_folder and len(sources) > 1:
        usage(f"several inputs need a folder to go to, which {output!r} is not: create it")
    return [Item(each, _target(each, output, in_folder, extension)) for each in sources]


def _target(source: str, output: str | None, in_folder: bool, extension: str) -> str:
    if output is not None and not in_folder:
        return output
    if output is None:
        return STANDARD if source == STANDARD else os.path.splitext(source)[0] + extension
    stem = "stdin" if source == STANDARD else Path(source).stem
    name = stem + extension
    return output + name if is_url(output) else str(Path(output) / name)


def _is_folder(name: str) -> bool:
    return name.endswith("/") if is_url(name) else Path(name).is_dir()


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
    if item.target in earlier:
        raise ValueError(f"{item.target} is another input's output: give this one another with -o")
    if is_url(item.target):
        if item.source == item.target:
            raise ValueError("input and output are the same file: give another with -o")
        if exists(item.target) and not force:
            raise ValueError(f"{item.target} exists: pass --force to overwrite it")
        return
    target = Path(item.target)
    if not os.access(target.parent, os.W_OK):
        raise ValueError(f"{target.parent} is not a folder to write in: create or change it")
    named = item.source != STANDARD and not is_url(item.source)
    if named and target.exists() and target.samefile(item.source):
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
    if is_url(target):
        write_url(target, data)
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
