"""The store: one folder with a record for each model, and the files of those that it fetched.

A record is a small JSON file that is replaced whole, so that two processes never share a write.
Models that were added lie where they are, and are never written to or deleted.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from diffc.errors import OptionError
from diffc.models.names import file_stem, is_name

_VERSION = 1
# what a record's ``trust`` may be: whose word the hashes are
TABLE, FIRST_USE, DIRECTORY = "table", "first use", "directory"
# the kind of what has to be converted before a codec can use it
CHECKPOINT = "checkpoint"


def store_folder() -> Path:
    """Return the folder of the store: DIFFC_STORE, else ``diffc`` among the user's caches.

    It may not exist yet.
    """
    named = os.environ.get("DIFFC_STORE")
    if named:
        return Path(named).absolute()
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        return (Path(local) if local else Path.home() / "AppData" / "Local") / "diffc" / "Cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "diffc"
    caches = os.environ.get("XDG_CACHE_HOME", "")
    # by the specification of base directories, a relative one is ignored
    return (Path(caches) if os.path.isabs(caches) else Path.home() / ".cache") / "diffc"


@dataclass(frozen=True)
class StoredFile:
    """What a file of a model was when it was fetched or added."""

    sha256: str
    size: int


@dataclass(frozen=True)
class Record:
    """What the store knows of a model.

    Parameters
    ----------
    name : str
        See `diffc.models.names`.
    kind : str
        See `diffc.models.identity.kind_of`.
    folder : str
        Absolute; empty for a model that was removed, whose record tells its name and hashes.
    owned : bool
        Whether the folder is the store's, to be deleted with the model.
    trust : str
        Whose word the hashes are: ``table``, ``first use`` or ``directory``.
    fingerprints : tuple of str
        Without text encoders, then with them if there are any; hexadecimal.
    place, revision : str, optional
        The hub id and commit that it was fetched from.
    files : dict
        By path below the folder, with ``/``.
    pins : dict
        By path at the place: what the next transfer has to bring.
    """

    name: str
    kind: str
    folder: str
    owned: bool
    trust: str
    fingerprints: tuple[str, ...] = ()
    place: str | None = None
    revision: str | None = None
    files: dict[str, StoredFile] = field(default_factory=dict)
    pins: dict[str, StoredFile] = field(default_factory=dict)

    @property
    def here(self) -> bool:
        """Whether the folder exists."""
        return bool(self.folder) and Path(self.folder).is_dir()


def owned_folder(name: str) -> Path:
    """Return where the store keeps its own copy of a model."""
    return store_folder() / "models" / file_stem(name)


def staging_folder() -> Path:
    """Return where transfers and conversions lie until they are whole, on the same disk."""
    return store_folder() / "staging"


def _record_file(name: str) -> Path:
    return store_folder() / "records" / f"{file_stem(name)}.json"


def records() -> Iterator[Record]:
    """Yield what is known, removed models included, by name; damaged records are passed over."""
    for path in sorted((store_folder() / "records").glob("*.json")):
        record = _read(path)
        if record is not None:
            yield record


def find(name: str) -> Record | None:
    """Return the record of a model by its name, or by the hub id that it came from."""
    if not is_name(name):
        return None
    found = _read(_record_file(name))
    if found is not None or "/" not in name:
        return found
    return next((each for each in records() if each.place == name and each.folder), None)


def stored(name: str) -> Record:
    """Return the record of a model that is in the store.

    Raises
    ------
    OptionError
        If there is none, or it was removed.
    """
    record = find(name)
    if record is None or not record.folder:
        raise OptionError(f"the store has no model {name[:100]!r}: see 'diffc models list'")
    return record


def keep(record: Record) -> None:
    """Write a record, in place of one of the same name.

    Raises
    ------
    OSError
        If the store's folder cannot be written in.
    """
    path = _record_file(record.name)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}.part")
    try:
        text = json.dumps({"version": _VERSION, **asdict(record)}, indent=1, sort_keys=True)
        partial.write_text(text + "\n", encoding="utf-8")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def remove(name: str) -> Record:
    """Delete the store's own copy of a model, or forget a directory; return the former record.

    What it was stays known, so that a file which needs it can be told its name.

    Raises
    ------
    OptionError
        If the store has no such model.
    OSError
        If it cannot be deleted.
    """
    record = stored(name)
    keep(replace(record, folder="", owned=False))
    if record.owned and Path(record.folder) == owned_folder(record.name):
        discard(owned_folder(record.name))
    return record


def discard(folder: Path) -> None:
    """Delete a folder of the store: out of sight at once, then file by file."""
    if not folder.exists():
        return
    trash = staging_folder() / f"{folder.name}.{os.getpid()}.removed"
    trash.parent.mkdir(parents=True, exist_ok=True)
    folder.replace(trash)
    shutil.rmtree(trash)


def _read(path: Path) -> Record | None:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return _record(data) if data["version"] == _VERSION else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _record(data: dict[str, Any]) -> Record:
    texts = {each: data[each] for each in ("name", "kind", "folder", "trust")}
    if not all(isinstance(each, str) for each in texts.values()) or not is_name(data["name"]):
        raise ValueError("a record's name, kind, folder and trust are texts")
    return Record(
        **texts,
        owned=data["owned"] is True,
        fingerprints=tuple(map(str, data["fingerprints"])),
        place=data["place"],
        revision=data["revision"],
        files=_files(data["files"]),
        pins=_files(data["pins"]),
    )


def _files(data: dict[str, Any]) -> dict[str, StoredFile]:
    return {name: StoredFile(str(each["sha256"]), int(each["size"])) for name, each in data.items()}
