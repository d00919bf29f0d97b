"""Directories that are made known to the store, and stay where they are."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

from diffc.errors import OptionError
from diffc.models import store, table
from diffc.models.hash_cache import sha256_of
from diffc.models.identity import fingerprints, kind_of, used_files
from diffc.models.names import check_name, is_own_name
from diffc.registry import known_codecs


def add(folder: Path, name: str | None = None) -> store.Record:
    """Register a directory, so that files find their model in it.

    Parameters
    ----------
    folder : Path
        Holds a model, see `diffc.models.identity.kind_of`.
    name : str, optional
        For ``model=``; the directory's own name by default.

    Raises
    ------
    OptionError
        If it holds no model, or the name cannot be used.
    OSError
        If its files cannot be read.
    """
    folder = folder.resolve()
    kind = kind_of(folder)
    if kind is None:
        raise OptionError(
            f"{folder} holds no model, which is a pipeline of diffusers or a folder with a "
            "config.json and safetensors: name another"
        )
    name = free_name(name, folder)
    record = describe(folder, name, kind, owned=False, trust=store.DIRECTORY)
    entry = table.known_models().get(name)
    if (
        entry is not None
        and entry.fingerprints
        and record.fingerprints[0] not in entry.fingerprints
    ):
        raise OptionError(
            f"{name!r} is a model of fingerprint {entry.fingerprints[0]}, and {folder} holds one of "
            f"{record.fingerprints[0]}: give it another name with --name"
        )
    store.keep(record)
    return record


def free_name(name: str | None, folder: Path) -> str:
    """Return a name that can be given to a model that lies in a folder.

    Raises
    ------
    OptionError
        If it is malformed, or another model has it.
    """
    if name is None:
        name = folder.name.lower()
        if not is_own_name(name):
            raise OptionError(f"{folder.name!r} cannot be a model's name: give one with --name")
    check_name(name)
    # codecs that come without weights name models that are fetched
    if any(name in each.models for each in known_codecs().values() if each.weights_licence):
        raise OptionError(f"{name!r} is an embedded model: give another name with --name")
    there = store.find(name)
    if there is not None and there.folder and Path(there.folder) != folder:
        raise OptionError(
            f"{name!r} is the model in {there.folder}: give another name with --name, or run "
            f"'diffc models remove {name}'"
        )
    return name


def describe(
    folder: Path,
    name: str,
    kind: str,
    *,
    owned: bool,
    trust: str,
    sha256: Callable[[Path], str] = sha256_of,
) -> store.Record:
    """Hash a model's files and return its record."""
    # a file is hashed once, whether that may be remembered for longer or not
    hashed = cache(sha256)
    files = {
        path.relative_to(folder).as_posix(): store.StoredFile(hashed(path), path.stat().st_size)
        for path in used_files(folder)
    }
    return store.Record(
        name=name,
        kind=kind,
        folder=str(folder),
        owned=owned,
        trust=trust,
        fingerprints=tuple(each.hex() for each in fingerprints(folder, hashed)),
        files=files,
    )
