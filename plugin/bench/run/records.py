"""The lines of a run: rows and timings, in files of JSON that survive a kill and are read with care."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from diffc.file_io import write_whole

T = TypeVar("T")


def parse(text: bytes) -> Any:
    """Return what a text in JSON says.

    Raises
    ------
    ValueError
        If it is no JSON, or nested too deeply.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply: no file of diffc is") from None


def record(kind: type[T], value: object) -> T | None:
    """Return the dataclass of a JSON object; None if a field is missing, unknown or no such type."""
    hints = get_type_hints(kind)
    names = {each.name for each in fields(kind)}  # type: ignore[arg-type]  # a dataclass
    if not isinstance(value, dict) or set(value) != names:
        return None
    if not all(_fits(value[name], hints[name]) for name in names):
        return None
    return kind(**value)


def _fits(value: object, kind: Any) -> bool:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is UnionType:
        return any(_fits(value, each) for each in arguments)
    if origin is list:
        return isinstance(value, list) and all(_fits(each, arguments[0]) for each in value)
    if origin is dict:
        return isinstance(value, dict) and all(_fits(each, arguments[1]) for each in value.values())
    if kind is Any or kind is NoneType:
        return kind is Any or value is None
    if kind in (int, float):
        # JSON has one kind of numbers; a truth value is none
        plain = isinstance(value, int) and not isinstance(value, bool)
        return plain or (kind is float and isinstance(value, float))
    return isinstance(value, kind)


ROWS, CSV, SPEED = "rows.jsonl", "rows.csv", "speed.jsonl"

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
        lines = data[: data.rfind(b"\n") + 1]
        if len(lines) < len(data):
            with path.open("r+b") as file:
                file.truncate(len(lines))
        self._objects: list[dict[str, Any]] = []
        for number, line in enumerate(lines.splitlines(), 1):
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


DESCRIPTION = {
    "device": "where the codec's networks ran",
    "encode_first_seconds": "first encode of a process: imports and loading of models included",
    "encode_seconds": "median of three further encodes; of codecs whose quality is searched for, "
    "one encode at the quality found, of others the whole call with its target",
    "decode_first_seconds": "first decode of a process: imports and loading of models included",
    "decode_seconds": "median of three further decodes",
    "encode_peak_bytes": "most memory of the encoding process, Python and the picture included",
    "decode_peak_bytes": "most memory of the decoding process, Python and the picture included",
    "resident_before_bytes": "memory of the process before its first call",
    "encode_peak_device_bytes": "most memory on the GPU while encoding",
    "decode_peak_device_bytes": "most memory on the GPU while decoding",
}


@dataclass(frozen=True)
class Speed:
    """What one image cost a codec at a target; a line of ``speed.jsonl``.

    Parameters
    ----------
    codec, target_bpp, image, width, height
        As in `diffc.bench.run.records.Row`.
    device : str
        Torch's name of it.
    others
        See `DESCRIPTION`; None where the system does not say.
    """

    codec: str
    target_bpp: float
    device: str
    image: str
    width: int
    height: int
    encode_first_seconds: float
    encode_seconds: float
    decode_first_seconds: float
    decode_seconds: float
    resident_before_bytes: int | None
    encode_peak_bytes: int | None
    decode_peak_bytes: int | None
    encode_peak_device_bytes: int | None
    decode_peak_device_bytes: int | None


def read_speed(folder: Path) -> list[dict[str, Any]]:
    """Return what was measured of a run, each with the fields of `Speed`.

    Raises
    ------
    ValueError
        If the file is damaged or of another version.
    """
    found = []
    for value in JsonLines(folder / SPEED).objects():
        speed = record(Speed, value)
        if speed is None:
            raise ValueError(
                f"{SPEED} holds timings of another version of diffc: remove it, or name another "
                "folder with --out"
            )
        found.append(asdict(speed))
    return found
