"""What models there are and could be, in one list, without reading any weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from diffc.models import store, table
from diffc.models.lookup import embedded_folder
from diffc.models.table import KnownModel
from diffc.registry import declarations, known_codecs


@dataclass(frozen=True)
class Row:
    """A model, for lists.

    Parameters
    ----------
    name, kind, description : str
        As in the table; the kind of an embedded model is empty.
    state : str
        ``embedded``, ``fetched``, ``added``, ``to convert``, ``missing`` (its directory is gone),
        ``not fetched``, or ``by hand`` (no place of the hub serves it).
    codecs : tuple of str
        That it is embedded in.
    size : int or None
        Bytes; of an embedded model, those of its weights.
    fingerprints : tuple of str
        As far as they are known.
    licence, commercial, note : str
        As in the table; ``unknown`` for models that are not in it.
    folder, place, revision : str or None
        Where it is, and where it came from or would come from.
    trust : str or None
        Whose word its hashes are: ``table``, ``first use`` or ``directory``.
    """

    name: str
    kind: str
    state: str
    description: str = ""
    codecs: tuple[str, ...] = ()
    size: int | None = None
    fingerprints: tuple[str, ...] = ()
    licence: str = "unknown"
    commercial: str = "unknown"
    note: str = ""
    folder: str | None = None
    place: str | None = None
    revision: str | None = None
    trust: str | None = None


def overview() -> list[Row]:
    """Return all models: embedded ones, those of the store, and those of the table."""
    known = {each.name: each for each in store.records() if each.folder}
    entries = table.known_models()
    listed = [_row(entry, known.get(name)) for name, entry in entries.items()]
    others = [_stored(record, None) for name, record in known.items() if name not in entries]
    return [*_embedded(), *listed, *others]


def _embedded() -> Iterator[Row]:
    declared = declarations()
    for codec, info in known_codecs().items():
        if info.weights_licence is None or codec not in declared:
            continue
        free = "yes" if info.weights_licence == "MIT" else "unknown"
        models = [(kind.name, name) for kind in declared[codec].kinds for name in kind.embedded]
        for kind, name in models:
            yield Row(
                name,
                "",
                "embedded",
                info.description,
                (codec,),
                size=_weights(embedded_folder(kind, name)),
                licence=info.weights_licence,
                commercial=free,
            )


def _weights(folder: Path) -> int | None:
    """Return the bytes of a model's weights; None if they are not here."""
    sizes = [each.stat().st_size for each in folder.glob("*.safetensors")]
    return sum(sizes) if sizes else None


def _row(entry: KnownModel, record: store.Record | None) -> Row:
    if record is not None:
        return _stored(record, entry)
    place, revision = next(iter(entry.places.items()), (None, None))
    return Row(
        entry.name,
        entry.kind,
        "not fetched" if entry.places else "by hand",
        entry.description,
        size=entry.size,
        fingerprints=entry.fingerprints,
        licence=entry.licence,
        commercial=entry.commercial,
        note=entry.note,
        place=place,
        revision=revision,
    )


def _stored(record: store.Record, entry: KnownModel | None) -> Row:
    state = "fetched" if record.owned else "added"
    if not record.here:
        state = "missing"
    elif record.kind == store.CHECKPOINT:
        state = "to convert"
    return Row(
        record.name,
        record.kind,
        state,
        "" if entry is None else entry.description,
        size=sum(each.size for each in record.files.values()),
        fingerprints=record.fingerprints,
        licence="unknown" if entry is None else entry.licence,
        commercial="unknown" if entry is None else entry.commercial,
        note="" if entry is None else entry.note,
        folder=record.folder,
        place=record.place,
        revision=record.revision,
        trust=record.trust,
    )
