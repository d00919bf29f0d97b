"""Which files a batch reads and writes: folders, patterns and manifests, one file after another.

A manifest has an object of JSON a line: ``{"source": "a.jpg", "target": "a.diffc"}``.  ``target`` may
be left out if there is a folder for the outputs, ``options`` are the file's own.  Paths in it start
at its folder.
"""

from __future__ import annotations

import glob
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from diffc.batch.task import Verb
from diffc.registration import EXTENSION

_MANIFEST = ".jsonl"
_HEIF = (".heic", ".heif", ".hif")
_KEYS = {"source": str, "target": str, "options": dict}
_LONGEST_LINE = 1 << 20


@dataclass(frozen=True)
class Item:
    """A file to read and one to write.

    Parameters
    ----------
    source, target : str
        Absolute paths; the source of what is no item is where that is written.
    options : dict
        Of this file alone.
    error : str, optional
        Why it is no item.
    """

    source: str
    target: str
    options: dict[str, Any] = field(default_factory=dict)
    error: str | None = None


class Plan:
    """The items of a batch, found anew each time that they are gone through.

    Parameters
    ----------
    inputs : sequence of path
        Folders, searched with their subfolders for files of the right extensions; files; patterns
        with ``*``, ``?``, ``[`` or ``**``; manifests, which end in ``.jsonl``.
    output : path, optional
        A folder, which outputs lie in as inputs lie in theirs.  Without one they lie beside them.
    verb : {"encode", "decode", "transcode"}
        Says the extensions of what is read in folders.
    extension : str
        Of what is written.

    Raises
    ------
    ValueError
        If an input is missing.
    """

    def __init__(
        self,
        inputs: Sequence[str],
        output: str | os.PathLike[str] | None,
        verb: Verb,
        extension: str,
    ) -> None:
        self._inputs = [os.fspath(each) for each in inputs]
        self._output = None if output is None else os.path.abspath(output)
        self._extension = extension
        for each in self._inputs:
            if not os.path.exists(each) and not any(glob.iglob(each, recursive=True)):
                raise ValueError(
                    f"an input is a folder, a file or a pattern that fits some, and {each!r} is "
                    "none of them: correct it"
                )
        self._read: tuple[str, ...] = (EXTENSION,)
        if verb == "encode":
            known = (*Image.registered_extensions(), *_HEIF)
            self._read = tuple(sorted({*known} - {EXTENSION}))

    def count(self) -> int:
        """Return how many items there are, without looking into them."""
        return sum(
            sum(1 for _ in _lines(each))
            if _is_manifest(each)
            else sum(1 for _ in self._found(each))
            for each in self._inputs
        )

    def __iter__(self) -> Iterator[Item]:
        """Yield the items, in the same order each time."""
        for each in self._inputs:
            if _is_manifest(each):
                yield from self._listed(each)
            else:
                yield from (Item(*self._placed(*found)) for found in self._found(each))

    def _found(self, name: str) -> Iterator[tuple[str, str]]:
        """Yield absolute paths, and their places below what was named."""
        path = os.path.abspath(name)
        if os.path.isdir(path):
            yield from ((each, os.path.relpath(each, path)) for each in self._walk(path))
        elif os.path.exists(path):
            yield path, os.path.basename(path)
        else:
            # what stands before the first folder with a wildcard
            fixed = Path(*_parts_without_magic(path))
            for each in sorted(glob.iglob(path, recursive=True)):
                if os.path.isfile(each):
                    yield each, os.path.relpath(each, fixed)

    def _walk(self, folder: str) -> Iterator[str]:
        """Yield pictures in a folder and below; nothing hidden, and none of our own outputs."""
        with os.scandir(folder) as entries:
            known = sorted(
                (each.name, each.is_dir(follow_symlinks=False))
                for each in entries
                if not each.name.startswith(".")
            )
        for name, is_folder in known:
            path = os.path.join(folder, name)
            if is_folder and path != self._output:
                yield from self._walk(path)
            elif not is_folder and name.lower().endswith(self._read):
                yield path

    def _placed(self, source: str, place: str) -> tuple[str, str]:
        if self._output is None:
            return source, os.path.splitext(source)[0] + self._extension
        return source, os.path.join(self._output, os.path.splitext(place)[0] + self._extension)

    def _listed(self, manifest: str) -> Iterator[Item]:
        folder = os.path.dirname(os.path.abspath(manifest))
        for number, line in enumerate(_lines(manifest), 1):
            try:
                row = _row(line)
            except ValueError as error:
                place = f"{os.path.abspath(manifest)}:{number}"
                yield Item(place, "", error=str(error))
                continue
            source = os.path.abspath(os.path.join(folder, row["source"]))
            if "target" in row:
                target = os.path.abspath(os.path.join(folder, row["target"]))
            else:
                inside = source.startswith(os.path.join(folder, ""))
                place = os.path.relpath(source, folder) if inside else os.path.basename(source)
                source, target = self._placed(source, place)
            yield Item(source, target, row.get("options", {}))


def _is_manifest(name: str) -> bool:
    return name.endswith(_MANIFEST) and os.path.isfile(name)


def _parts_without_magic(path: str) -> Iterator[str]:
    for part in Path(path).parts[:-1]:
        if glob.has_magic(part):
            return
        yield part


def _lines(manifest: str) -> Iterator[bytes]:
    """Yield the lines that hold something; of one without an end, only its start."""
    with open(manifest, "rb") as file:
        while line := file.readline(_LONGEST_LINE):
            if line.strip():
                yield line


def _row(line: bytes) -> dict[str, Any]:
    try:
        row = json.loads(line)
    # too deep is wrong, too
    except (ValueError, RecursionError):
        raise ValueError("a line of a manifest is an object of JSON: correct it") from None
    if not isinstance(row, dict) or not row.get("source"):
        raise ValueError('a line of a manifest has a "source", a path: add it')
    for key, kind in _KEYS.items():
        if key in row and not isinstance(row[key], kind):
            raise ValueError(f"{key!r} of a manifest's line is a {kind.__name__}: correct it")
    return row
