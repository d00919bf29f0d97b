"""SHA-256 of large files, remembered as long as size and times of a file are the same."""

from __future__ import annotations

import hashlib
import json
import os
import time
from contextlib import suppress
from pathlib import Path

from diffc.models.store import store_folder

# smaller files are hashed faster than it is worth to write that down
SMALLEST_KEPT = 1 << 25
# a file written to within the resolution of its time stamp could change unnoticed
_SETTLED_NS = 2_000_000_000

_hashes: dict[tuple[str, int, int, int], str] = {}


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file as hexadecimal digits.

    The answer is kept for the process and, for large files, in the store's folder.  It is used
    again only for the same path, size, time of modification and time of change.

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    path = path.resolve()
    key = _key(path)
    found = _hashes.get(key) or _recall(key)
    if found is None:
        found = hash_anew(path)
        _keep(path, key, found)
    return found


def remember(path: Path, found: str) -> None:
    """Keep what a file's hash was a moment ago."""
    path = path.resolve()
    _keep(path, _key(path), found)


def _keep(path: Path, key: tuple[str, int, int, int], found: str) -> None:
    # a write in between has changed the times
    if _key(path) != key or time.time_ns() - max(key[2], key[3]) < _SETTLED_NS:
        return
    _hashes[key] = found
    _record(key, found)


def hash_anew(path: Path) -> str:
    """Return the SHA-256 of a file, whatever is remembered."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _key(path: Path) -> tuple[str, int, int, int]:
    status = path.stat()
    return str(path), status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _record_of(path: str) -> Path:
    name = hashlib.sha256(os.fsencode(path)).hexdigest()[:32]
    return store_folder() / "hashes" / f"{name}.json"


def _recall(key: tuple[str, int, int, int]) -> str | None:
    if key[1] < SMALLEST_KEPT:
        return None
    try:
        *kept, found = json.loads(_record_of(key[0]).read_text(encoding="utf-8"))
    except (OSError, ValueError, TypeError):
        return None
    return found if tuple(kept) == key and isinstance(found, str) else None


def _record(key: tuple[str, int, int, int], found: str) -> None:
    if key[1] < SMALLEST_KEPT:
        return
    # a store that cannot be written in costs time, nothing else
    with suppress(OSError):
        record = _record_of(key[0])
        record.parent.mkdir(parents=True, exist_ok=True)
        partial = record.with_suffix(f".{os.getpid()}.part")
        partial.write_text(json.dumps([*key, found]), encoding="utf-8")
        partial.replace(record)
