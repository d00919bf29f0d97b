"""Results row by row: one for each image, codec and target, in a file that survives a kill."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from diffc.bench.run.json_records import parse, record
from diffc.file_io import write_whole

ROWS, CSV = "rows.jsonl", "rows.csv"

Key = tuple[str, str, float]


@dataclass(frozen=True)
class Row:
    """What one codec made of one image at one target.

    Parameters
    ----------
    image : str
        The image's name in the run's folder.
    width, height : int
        Its size in pixels.
    codec : str
        The spec as asked, such as ``ddcm:steps=2`` or ``avif-ds``.
    target_bpp : float
        Most bits per pixel that were asked for.
    reached : bool
        Whether the file fits the target; if not, it is the smallest that the codec makes.
    bytes : int
        Length of the real file.
    bpp : float
        Its bits over the image's pixels.
    setting : str
        What was found, such as ``quality=34 scale=1/2``.
    measures : dict
        Values by the names of `diffc.bench.measures.available.MEASURES`, those that are available.
    error : str, optional
        One line; it stands instead of everything after ``target_bpp``.
    picture : str
        Path of the decoded picture, relative to the run's folder; empty on an error.
    """

    image: str
    width: int
    height: int
    codec: str
    target_bpp: float
    reached: bool = False
    bytes: int = 0
    bpp: float = 0.0
    setting: str = ""
    measures: dict[str, float] = field(default_factory=dict)
    error: str | None = None
    picture: str = ""

    @property
    def key(self) -> Key:
        """What the row is about."""
        return self.image, self.codec, self.target_bpp


class JsonLines:
    """A file of JSON objects, one a line, each on the disk before `append` returns.

    Parameters
    ----------
    path : Path
        The file; it need not exist.  A last line that a kill has torn is cut off.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        data = path.read_bytes() if path.exists() else b""
        whole = data[: data.rfind(b"\n") + 1]
        if len(whole) < len(data):
            with path.open("r+b") as file:
                file.truncate(len(whole))
        self._objects: list[dict[str, Any]] = []
        for number, line in enumerate(whole.splitlines(), 1):
            try:
                value = parse(line)
            except ValueError:
                value = None
            if not isinstance(value, dict):
                raise ValueError(
                    f"{path.name} has a line {number} that is no JSON object: remove it, or name "
                    "another folder with --out"
                )
            self._objects.append(value)

    def objects(self) -> list[dict[str, Any]]:
        """Return all objects in the order of the file."""
        return list(self._objects)

    def append(self, value: dict[str, Any]) -> None:
        """Add an object."""
        with self._path.open("ab") as file:
            file.write(_line(value))
            file.flush()
            os.fsync(file.fileno())
        self._objects.append(value)

    def replace(self, values: Iterable[dict[str, Any]]) -> None:
        """Put other objects in place of all, at once."""
        self._objects = list(values)
        write_whole(self._path, b"".join(map(_line, self._objects)))


def _line(value: dict[str, Any]) -> bytes:
    # a NaN is a bug of a measure, and no JSON
    return json.dumps(value, ensure_ascii=False, allow_nan=False).encode() + b"\n"


class RowStore:
    """The rows of a run.

    Parameters
    ----------
    folder : Path
        The run's; it exists.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lines = JsonLines(folder / ROWS)
        self._rows: dict[Key, Row] = {}
        for value in self._lines.objects():
            row = record(Row, value)
            if row is None:
                raise ValueError(
                    f"{ROWS} holds rows of another version of diffc: name another folder with --out"
                )
            self._rows[row.key] = row

    def done(self, image: str, codec: str, target_bpp: float) -> bool:
        """Tell whether a row is there that carries no error; others are tried again."""
        row = self._rows.get((image, codec, target_bpp))
        return row is not None and row.error is None

    def append(self, row: Row) -> None:
        """Add a row; it takes the place of an earlier one about the same."""
        self._lines.append(asdict(row))
        self._rows[row.key] = row

    def rows(self) -> list[Row]:
        """Return the rows, for each key the last."""
        return list(self._rows.values())

    def sort(self, keys: Iterable[Key]) -> None:
        """Put the rows in an order, which makes files of interrupted and other runs the same.

        Parameters
        ----------
        keys : iterable of tuple
            The order; rows about something else follow.
        """
        order = {key: place for place, key in enumerate(keys)}
        found = sorted(self._rows.values(), key=lambda row: order.get(row.key, len(order)))
        self._rows = {row.key: row for row in found}
        self._lines.replace(asdict(row) for row in found)

    def write_csv(self) -> Path:
        """Write ``rows.csv``, a column for every measure, and return its path."""
        measures = list(dict.fromkeys(name for row in self.rows() for name in row.measures))
        plain = [each.name for each in fields(Row) if each.name != "measures"]
        out = io.StringIO(newline="")
        writer = csv.DictWriter(out, [*plain, *measures], restval="", lineterminator="\n")
        writer.writeheader()
        for row in self.rows():
            values = asdict(row)
            writer.writerow(values.pop("measures") | values)
        path = self._folder / CSV
        write_whole(path, out.getvalue().encode())
        return path
