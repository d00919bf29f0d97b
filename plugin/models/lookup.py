"""Where a model is: by the name that a caller gave, or by the fingerprint that a file holds."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from importlib.resources import files
from pathlib import Path

from diffc.decode_options import decode_options
from diffc.errors import ModelNotAvailableError, OptionError
from diffc.models import store, table
from diffc.models.identity import kind_of
from diffc.models.names import is_hub_id, may_be_path
from diffc.registry import model_kinds


def choices(kinds: Iterable[str]) -> str:
    """Say what can stand for ``model=`` besides embedded models."""
    wanted = set(kinds)
    names = [each.name for each in table.known_models().values() if each.kind in wanted]
    directory = "a directory with a config.json or model_index.json"
    if not names:
        return directory
    return f"a model of 'diffc models list' ({', '.join(names)}) or {directory}"


def embedded_folder(kind: str, name: str) -> Path:
    """Return where an embedded model lies in its package."""
    package, _, inside = model_kinds()[kind].embedded[name].partition(":")
    return Path(str(files(package).joinpath(*inside.split("/"))))


def named_folder(
    model: str, kinds: Sequence[str], *, allow_download: bool | None = None
) -> Path | None:
    """Return the folder of a model in the store, or the directory of that path; None if neither.

    A name is looked up before a path: write ``./name`` for a directory that has such a name.

    Parameters
    ----------
    model : str
        As the caller gave it; only a name or a hub id ever reaches the hub.
    kinds : sequence of str
        What would do, should it have to be fetched.
    allow_download : bool, optional
        Whether it may be; None is what `diffc.decoding` or DIFFC_ALLOW_DOWNLOAD says.

    Raises
    ------
    OptionError
        If it is a known name that is not here, and may not be fetched.
    OSError
        If it may be fetched, and cannot.
    """
    record = store.find(model)
    if record is not None and record.here:
        return _usable(record)
    directory = _directory(model)
    if directory is not None:
        return directory
    entry = table.known_models().get(model)
    if entry is None and record is None and not is_hub_id(model):
        return None
    if entry is not None and entry.kind not in kinds:
        return None
    if entry is None and record is not None and record.place is None:
        raise OptionError(
            f"model {model!r} was a directory that is gone or was removed: bring it back and run "
            "'diffc models add DIR'"
        )
    if allow_download is None:
        allow_download = decode_options().allow_download
    if not allow_download:
        raise OptionError(
            f"model {model!r} is not here, and nothing is downloaded unasked: run 'diffc models "
            f"fetch {model}', or pass allow_download=True"
        )
    return _usable(_fetch(model))


def _directory(model: str) -> Path | None:
    if not may_be_path(model):
        return None
    folder = Path(model)
    try:
        # a configuration that says nothing we know is still worth naming in the complaint
        there = (folder / "config.json").is_file() or kind_of(folder) is not None
    except OSError:
        return None
    return folder if there else None


def directories_of_environment() -> list[Path]:
    """Return what DIFFC_MODELS names: models, and folders of models."""
    entries = os.environ.get("DIFFC_MODELS", "").split(os.pathsep)
    return [Path(entry) for entry in entries if entry]


def known_folders() -> Iterator[Path]:
    """Yield the folders of the store's models, then those that DIFFC_MODELS names."""
    for record in store.records():
        if record.here:
            yield Path(record.folder)
    for directory in directories_of_environment():
        yield from (each.parent for each in sorted(directory.glob("*/config.json")))
        yield from (each.parent for each in sorted(directory.glob("*/model_index.json")))
        if kind_of(directory) is not None:
            yield directory


def folders_of(kinds: Sequence[str]) -> Iterator[Path]:
    """Yield the folders of models of some kinds that are here, see `known_folders`."""
    yield from (each for each in known_folders() if kind_of(each) in kinds)


def fetched(
    wanted: bytes, kinds: Sequence[str], seen: Sequence[str], *, allow_download: bool
) -> Path:
    """Fetch the model that a file needs and no folder holds, if it is known and that is allowed.

    Parameters
    ----------
    wanted : bytes
        The fingerprint.
    kinds : sequence of str
        What the codec can use.
    seen : sequence of str
        The models that were looked at, for the complaint.
    allow_download : bool
        Whether the caller has agreed.

    Raises
    ------
    ModelNotAvailableError
        If it is not known, may not be fetched, or is not what was wanted.
    OSError
        If it cannot be fetched.
    """
    mark = wanted.hex()
    says = f"the file was made with a model of fingerprint {mark}"
    entry = table.entry_with_fingerprint(mark)
    if entry is not None and entry.kind not in kinds:
        entry = None
    record = _recorded(mark, kinds)
    if record is not None and record.here:
        raise ModelNotAvailableError(
            f"{says}, which was that of {record.name!r} in {record.folder}, and the models here "
            f"are {', '.join(seen)}: its files were changed; run 'diffc models verify "
            f"{record.name}'"
        )
    if entry is None and record is None:
        raise ModelNotAvailableError(
            f"{says}, and the models here are {', '.join(seen) or 'none'}: name its directory in "
            "DIFFC_MODELS or diffc.decoding(model=)"
        )
    if entry is None and record is not None and record.place is None:
        raise ModelNotAvailableError(
            f"{says}, which was that of {record.name!r}, a directory that is gone or was removed: "
            "bring it back and run 'diffc models add DIR'"
        )
    name = entry.name if entry is not None else record.name if record is not None else ""
    if not allow_download:
        raise ModelNotAvailableError(
            f"{says}, that of {name!r}, which is not here: run 'diffc models fetch {name}', or "
            "allow it with diffc.decoding(allow_download=True)"
        )
    came = _fetch(name)
    if came.kind == store.CHECKPOINT:
        raise ModelNotAvailableError(f"{says}, that of {name!r}: {_unconverted(came)}")
    if mark not in came.fingerprints:
        raise ModelNotAvailableError(
            f"{says}, and what is here as {name!r} has {came.fingerprints[0]}: run 'diffc models "
            f"remove {name}', then 'diffc models fetch {name}'"
        )
    return Path(came.folder)


def _recorded(mark: str, kinds: Sequence[str]) -> store.Record | None:
    """Return what has, or had, a fingerprint; rather what is still here."""
    found = [each for each in store.records() if mark in each.fingerprints and each.kind in kinds]
    return max(found, key=lambda each: each.here, default=None)


def _fetch(name: str) -> store.Record:
    # imports what talks to a network, so nobody gets here without consent
    from diffc.models.transfer import fetch

    return fetch(name)


def _usable(record: store.Record) -> Path:
    if record.kind == store.CHECKPOINT:
        raise OptionError(f"model {record.name!r} cannot be used yet: {_unconverted(record)}")
    return Path(record.folder)


def _unconverted(record: store.Record) -> str:
    return f"it came as a checkpoint; run 'diffc models convert {record.name}'"
