"""Fetching a model: into a staging folder, checked there, and moved to its place as a whole."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from diffc.errors import OptionError
from diffc.models import hub, store
from diffc.models.adding import describe
from diffc.models.hash_cache import hash_anew, remember
from diffc.models.hub import Listing, PlaceError
from diffc.models.identity import kind_of
from diffc.models.names import check_name, is_hub_id
from diffc.models.selection import select
from diffc.models.staging import check_room, staging, watched
from diffc.models.table import KnownModel, entry_named
from diffc.progress import Progress


def fetch(
    name: str,
    *,
    revision: str | None = None,
    variant: str | None = None,
    progress: Progress | None = None,
) -> store.Record:
    """Fetch a model into the store, unless it is there; the caller has the user's consent.

    Where the table knows the files' hashes, they must be met.  Where it does not, or another
    revision is asked for, what came is recorded and must be met from then on (trust on first use).

    Parameters
    ----------
    name : str
        A name of the table, or a hub id.
    revision : str, optional
        A commit, branch or tag, in place of the one that the table or an earlier transfer names.
    variant : {"fp16", "fp32"}, optional
        Of the weights of a model whose files are not listed in the table.
    progress : callable, optional
        Called with the bytes that have come and their sum.

    Raises
    ------
    OptionError
        If it is no such name, or the name of a directory that was added.
    OSError
        If it cannot be reached, is not what it should be, or finds no room.
    """
    entry = entry_named(check_name(name))
    name = entry.name if entry is not None else name
    record = store.find(name)
    if record is not None and record.here:
        if record.owned and revision in (None, record.revision):
            return record
        raise OptionError(
            f"{name!r} is in {record.folder}: run 'diffc models remove {name}' before fetching it"
        )
    if entry is not None and not entry.places:
        raise OptionError(f"{name!r} is not served by the hub: {entry.note}")
    if entry is None and not is_hub_id(name):
        raise OptionError(
            f"{name!r} is not in the table: see 'diffc models list', or give a hub id"
        )
    wanted = _Wanted(name, entry, record, revision, variant)
    failures = []
    for place in wanted.places:
        try:
            return _fetch_from(place, wanted, progress)
        except PlaceError as error:
            failures.append(str(error))
    raise OSError(f"{name!r} is not fetched, for {'; '.join(failures)}")


class _Wanted:
    """What to fetch, and what is known of it beforehand."""

    def __init__(
        self,
        name: str,
        entry: KnownModel | None,
        record: store.Record | None,
        revision: str | None,
        variant: str | None,
    ) -> None:
        self.name, self.entry = name, entry
        self.places = tuple(entry.places) if entry is not None else (name,)
        self._asked, self._variant = revision, variant
        # another revision than the table's or the recorded one is the user's own choice
        self._record = record if revision is None else None
        self.pins: dict[str, str] = {}
        if self._record is not None:
            self.pins |= {path: pin.sha256 for path, pin in self._record.pins.items()}
        if entry is not None and revision is None:
            self.pins |= {path: each.sha256 for path, each in entry.files.items() if each.sha256}
        checked = entry is not None and entry.checked and revision is None
        self.trust = store.TABLE if checked else store.FIRST_USE

    def revision_at(self, place: str) -> str | None:
        """Return the commit to ask a place for; None is its newest."""
        if self._asked is not None:
            return self._asked
        if self._record is not None and self._record.place == place:
            return self._record.revision
        return self.entry.places[place] if self.entry is not None else None

    def names(self, listing: Listing) -> dict[str, str]:
        """Return name at the place -> name here."""
        listed = self.entry.files if self.entry is not None and self.entry.files else self.pins
        if not listed:
            return select(listing.files, self._variant)
        missing = sorted(set(listed) - set(listing.files))
        if missing:
            raise PlaceError(f"{missing[0]} is not there: try another place")
        return {path: path.replace(".fp16.safetensors", ".safetensors") for path in listed}


def _fetch_from(place: str, wanted: _Wanted, progress: Progress | None) -> store.Record:
    listing = hub.listing(place, wanted.revision_at(place))
    names = wanted.names(listing)
    for path in names:
        # before gigabytes come that will not do
        _compare(place, path, listing.files[path].sha256, wanted.pins.get(path))
    size = sum(listing.files[path].size or 0 for path in names)
    with staging() as folder:
        check_room(folder, size, wanted.name)
        arriving, model = folder / "arriving", folder / "model"
        pins = {}
        with watched(folder, size, progress):
            for path, here in names.items():
                came = hub.download(place, path, listing.revision, arriving)
                found = hash_anew(came)
                _compare(place, path, found, wanted.pins.get(path) or listing.files[path].sha256)
                pins[path] = store.StoredFile(found, came.stat().st_size)
                target = model / here
                target.parent.mkdir(parents=True, exist_ok=True)
                came.replace(target)
        hashes = {model / here: pins[path].sha256 for path, here in names.items()}
        record = _recorded(model, hashes, place, wanted)
        record = replace(record, place=place, revision=listing.revision, pins=pins)
        return _settle(model, record)


def _compare(place: str, path: str, found: str | None, expected: str | None) -> None:
    if found is not None and expected is not None and found != expected:
        raise PlaceError(
            f"{path} of {place} has the SHA-256 {found}, not {expected}: fetch it again, or choose "
            "another revision with --revision"
        )


def _recorded(model: Path, hashes: dict[Path, str], place: str, wanted: _Wanted) -> store.Record:
    entry = wanted.entry
    if entry is not None and entry.checkpoint is not None:
        files = {
            path.relative_to(model).as_posix(): store.StoredFile(found, path.stat().st_size)
            for path, found in hashes.items()
        }
        return store.Record(
            wanted.name, store.CHECKPOINT, str(model), owned=True, trust=wanted.trust, files=files
        )
    kind = kind_of(model)
    if kind is None or (entry is not None and kind != entry.kind):
        raise PlaceError(f"{place} holds no model that can be used here: choose another")
    return describe(
        model, wanted.name, kind, owned=True, trust=wanted.trust, sha256=hashes.__getitem__
    )


def _settle(model: Path, record: store.Record) -> store.Record:
    """Move a folder to its place and record it."""
    folder = store.owned_folder(record.name)
    folder.parent.mkdir(parents=True, exist_ok=True)
    # what has no record was left by a process that ended between the next two lines
    store.discard(folder)
    model.replace(folder)
    record = replace(record, folder=str(folder))
    store.keep(record)
    for name, each in record.files.items():
        remember(folder / name, each.sha256)
    return record
