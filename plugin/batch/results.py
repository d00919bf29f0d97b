"""The results of a batch: a row of JSON a file, which a later run goes on from.

A file is announced here when it is whole on the disk, just before it appears at its place.  So what
is at its place has a row, at whatever moment a run ends.
"""

from __future__ import annotations

import io
import json
import os
import signal
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from hashlib import file_digest, sha256
from pathlib import Path
from types import FrameType, TracebackType
from typing import BinaryIO, Literal, Self

from diffc.file_io import part_of, write_whole

_TABLE = "CREATE TABLE files (key BLOB PRIMARY KEY, start INTEGER, taken INTEGER) WITHOUT ROWID"


@dataclass(frozen=True)
class Row:
    """What became of a file.

    Parameters
    ----------
    source : str
        Absolute path; or manifest and line, where that is no item.
    target : str, optional
        Absolute path; None if the file there is not this one's.
    status : {"ok", "error"}
        Whether the target was made.
    error : str, optional
        Why it was not.
    bytes : int, optional
        Of the target.
    bpp : float, optional
        Bits of the DIFFC file over pixels.
    seconds : float, optional
        That the coding took.
    codec : str, optional
        Of the DIFFC file.
    sha256 : str, optional
        Of what the batch has last put at the target, hexadecimal.
    options_hash : str, optional
        Of all that the target was made with.
    source_bytes, source_modified : int, optional
        Of the source; the time in nanoseconds.
    warnings : list of str
        What was warned of.
    """

    source: str
    target: str | None
    status: Literal["ok", "error"] = "error"
    error: str | None = None
    bytes: int | None = None
    bpp: float | None = None
    seconds: float | None = None
    codec: str | None = None
    sha256: str | None = None
    options_hash: str | None = None
    source_bytes: int | None = None
    source_modified: int | None = None
    warnings: list[str] | None = None

    def is_of(self, other: Row) -> bool:
        """Return whether both are the same source, coded in the same way."""
        same = ("source", "options_hash", "source_bytes", "source_modified")
        return all(getattr(self, name) == getattr(other, name) for name in same)


_FIELDS = {each.name for each in fields(Row)}


class Results:
    """A file of rows that grows while a batch runs; one row a target when it is closed.

    How many rows there are does not matter to memory: an index of them is on the disk.

    Parameters
    ----------
    path : path
        The file, made if it is missing.
    fixed : bool
        Only look; nothing is changed or written.

    Raises
    ------
    OSError
        If it cannot be written, or another run writes it.
    """

    def __init__(self, path: str | os.PathLike[str], *, fixed: bool = False) -> None:
        self._path = Path(os.path.abspath(path))
        self._fixed = fixed
        self._superseded = False
        self._file = self._opened()
        # a database without a name is a file without one, gone when it is closed
        self._index = sqlite3.connect("", isolation_level=None)
        try:
            if not fixed:
                _lock(self._file, self._path)
            for setting in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -16000"):
                self._index.execute(f"PRAGMA {setting}")
            self._index.execute(_TABLE)
            self._read()
        except BaseException:
            self._superseded = False
            self.close()
            raise

    def _opened(self) -> BinaryIO:
        if self._fixed:
            return self._path.open("rb") if self._path.exists() else io.BytesIO()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        return self._path.open("a+b")

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close; see `close`.  Who interrupts does not wait for it: the next run has time."""
        self._superseded = self._superseded and kind is not KeyboardInterrupt
        self.close()

    def close(self) -> None:
        """Leave the latest row of each target, and let others write."""
        try:
            if self._superseded and not self._fixed:
                self._compact()
        finally:
            self._index.close()
            self._file.close()

    def _read(self) -> None:
        """Find what is there; a last line without an end was being written when a run ended."""
        end = 0
        self._index.execute("BEGIN")
        for start, line in _lines(self._file):
            if not line.endswith(b"\n"):
                break
            end = start + len(line)
            row = _parsed(line)
            if row is not None:
                self._note(_key_of(row), start)
        self._index.execute("COMMIT")
        if not self._fixed:
            self._file.truncate(end)

    def _note(self, key: bytes, start: int) -> None:
        known = self._known(key)
        if known is None:
            self._index.execute("INSERT INTO files VALUES (?, ?, 0)", (key, start))
            return
        self._index.execute("UPDATE files SET start = ? WHERE key = ?", (start, key))
        self._superseded = self._superseded or known[0] is not None

    def _known(self, key: bytes) -> tuple[int | None, int] | None:
        """Return where a file's latest row starts, and whether its target is taken."""
        found: tuple[int | None, int] | None = self._index.execute(
            "SELECT start, taken FROM files WHERE key = ?", (key,)
        ).fetchone()
        return found

    def take(self, target: str) -> bool:
        """Say that a file of this run goes to a target; return whether no other one does."""
        key = _key(target)
        known = self._known(key)
        if known is None:
            self._index.execute("INSERT INTO files VALUES (?, NULL, 1)", (key,))
        elif not known[1]:
            self._index.execute("UPDATE files SET taken = 1 WHERE key = ?", (key,))
        return known is None or not known[1]

    def find(self, target: str) -> Row | None:
        """Return the latest row of a target."""
        known = self._known(_key(target))
        if known is None or known[0] is None:
            return None
        self._file.seek(known[0])
        return _parsed(self._file.readline())

    def holds(self, row: Row) -> bool:
        """Return whether a row's target is there and what was written.

        One that was whole when a run ended, and not yet at its place, is moved there.
        """
        if row.target is None or row.sha256 is None:
            return False
        if _hash_of(Path(row.target)) == row.sha256:
            return True
        part = part_of(row.target)
        if self._fixed or _hash_of(part) != row.sha256:
            return False
        os.replace(part, os.path.realpath(row.target))
        return True

    def place(self, row: Row, data: bytes) -> None:
        """Write the target of a row, whole or not at all, and the row before it appears.

        Raises
        ------
        OSError
            If it cannot be written; the row is not, then.
        """
        assert row.target is not None
        Path(row.target).parent.mkdir(parents=True, exist_ok=True)
        # a row and its file belong together
        with _without_interrupts():
            write_whole(row.target, data, lambda: self.add(row))

    def add(self, row: Row) -> None:
        """Write a row; nothing if results are fixed."""
        if self._fixed:
            return
        line = json.dumps(asdict(row), ensure_ascii=False, allow_nan=False)
        start = self._file.seek(0, os.SEEK_END)
        self._file.write(line.encode("utf-8", "surrogatepass") + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        self._note(_key_of(row), start)

    def _compact(self) -> None:
        def latest() -> Iterator[bytes]:
            for start, line in _lines(self._file):
                row = _parsed(line)
                if row is None:
                    continue
                known = self._known(_key_of(row))
                if known is not None and known[0] == start:
                    yield line

        part = part_of(self._path)
        try:
            with part.open("wb") as file:
                file.writelines(latest())
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, self._path)
        finally:
            part.unlink(missing_ok=True)


def _key(path: str, kind: bytes = b"target") -> bytes:
    return sha256(kind + os.fsencode(path)).digest()[:16]


def _key_of(row: Row) -> bytes:
    """Return what tells a row from those of other files."""
    return _key(row.source, b"source") if row.target is None else _key(row.target)


def hash_of(data: bytes) -> str:
    """Return the SHA-256 of data, hexadecimal."""
    return sha256(data).hexdigest()


def _hash_of(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def _lines(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    file.seek(0)
    start = 0
    while line := file.readline():
        yield start, line
        start += len(line)


def _parsed(line: bytes) -> Row | None:
    """Return the row of a line; None if it is something else, which stays out of the way."""
    try:
        found = json.loads(line.decode("utf-8", "surrogatepass"))
        row = Row(**{name: value for name, value in found.items() if name in _FIELDS})
    except (ValueError, AttributeError, TypeError, RecursionError):
        return None
    return row if isinstance(row.target, str | None) and isinstance(row.source, str) else None


def _lock(file: BinaryIO, path: Path) -> None:
    """Keep other runs away until the file is closed, or this process ends."""
    try:
        import fcntl
    except ImportError:
        return
    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise OSError(
            f"{path} is being written by another batch: wait for it, or give this one another file"
        ) from None
    # a file system without locks is not the batch's fault
    except OSError:
        return


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Put Ctrl-C off until the end of the block; it is only heard in the main thread."""
    handler = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(handler):
        yield
        return
    came: list[tuple[int, FrameType | None]] = []
    signal.signal(signal.SIGINT, lambda *call: came.append(call))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
    if came:
        handler(*came[0])
