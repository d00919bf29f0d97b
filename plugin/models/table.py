"""The models that others publish, as the codecs that use them know them.

A kind of models names its table (`diffc.codec.ModelKind.published`), a file in JSON that lies with
the codec and is signed off by hand: a list of objects with the fields of `KnownModel`, less the
kind.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import files
from typing import Any

from diffc.codec import ModelKind
from diffc.errors import FileError
from diffc.models.identity import CAPTIONER
from diffc.models.names import is_hub_id, is_own_name
from diffc.registry import model_kinds

COMMERCIAL = ("yes", "no", "conditions", "unknown")
# no codec's: they describe a picture before any of these codes it
_CAPTIONERS = ModelKind(CAPTIONER, published="diffc.models:captioners.json")
_REVISION = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class KnownFile:
    """What a file has to be; None where nobody has checked it."""

    sha256: str | None = None
    size: int | None = None


@dataclass(frozen=True)
class KnownModel:
    """A model that somebody publishes.

    Parameters
    ----------
    name : str
        For ``model=`` and the command line.
    kind : str
        See `diffc.models.identity.kind_of`.
    description : str
        One line.
    licence, licence_url : str
        Of the weights.
    commercial : str
        One of `COMMERCIAL`.
    places : dict
        Hub ids that serve the same files, the preferred one first, and the commit to fetch from
        each; None is the newest.  Empty if it can only be fetched by hand.
    files : dict
        What to fetch, by path at the places; empty if that is chosen from what is there.
    fingerprints : tuple of str
        Of the whole, see `diffc.models.identity.fingerprints`; empty where files are unchecked.
    checkpoint, config : str, optional
        Those of ``files`` that have to be converted before a codec can use them.
    note : str
        What else a user has to know.
    """

    name: str
    kind: str
    description: str
    licence: str
    licence_url: str
    commercial: str
    places: dict[str, str | None] = field(default_factory=dict)
    files: dict[str, KnownFile] = field(default_factory=dict)
    fingerprints: tuple[str, ...] = ()
    checkpoint: str | None = None
    config: str | None = None
    note: str = ""

    @property
    def checked(self) -> bool:
        """Whether the hashes of all that renders a picture are known."""
        return bool(self.fingerprints)

    @property
    def size(self) -> int | None:
        """Bytes of the weights to fetch, if they are known."""
        ends = (".safetensors", ".pt")
        sizes = [each.size for path, each in self.files.items() if path.endswith(ends)]
        return sum(filter(None, sizes)) if sizes and None not in sizes else None


def known_models() -> dict[str, KnownModel]:
    """Return the models of all codecs that are known in this process, and captioners, by name.

    Raises
    ------
    FileError
        If a table is damaged.
    """
    found: dict[str, KnownModel] = {}
    for kind in (*model_kinds().values(), _CAPTIONERS):
        for entry in read_table(kind.published, kind.name) if kind.published else ():
            found.setdefault(entry.name, entry)
    return found


@lru_cache(maxsize=64)
def read_table(location: str, kind: str) -> tuple[KnownModel, ...]:
    """Return the models of a kind in a table.

    Parameters
    ----------
    location : str
        ``"package:folder/models.json"``.
    kind : str
        Of all of them.

    Raises
    ------
    FileError
        If it is missing or damaged.
    """
    package, _, inside = location.partition(":")
    try:
        place = files(package)
        for part in inside.split("/"):
            place = place.joinpath(part)
        entries = json.loads(place.read_text(encoding="utf-8"))
        return tuple(entry_of({"kind": kind, **each}) for each in entries)
    except (OSError, ImportError, TypeError, ValueError, AttributeError) as error:
        raise FileError(
            f"{location!r} is no table of models of kind {kind!r} ({error}): install its package "
            "anew, or tell its author"
        ) from error


def entry_of(data: dict[str, Any]) -> KnownModel:
    """Return an entry of its JSON object.

    Raises
    ------
    TypeError, ValueError
        If it is none.
    """
    known = {name: KnownFile(**each) for name, each in data.get("files", {}).items()}
    marks = tuple(data.get("fingerprints", ()))
    entry = KnownModel(**{**data, "files": known, "fingerprints": marks})
    if fault := _fault(entry):
        raise ValueError(f"the model {entry.name[:60]!r} {fault}")
    return entry


def _fault(entry: KnownModel) -> str:
    """Say what is wrong with an entry; empty if nothing is."""
    if not is_own_name(entry.name):
        return "has a name that is none of a model's"
    if entry.commercial not in COMMERCIAL:
        return f"is for commercial use {' or '.join(COMMERCIAL)}, not {entry.commercial!r}"
    if not all(is_hub_id(place) for place in entry.places):
        return "lies at places account/name of the hub, and one of these is none"
    if not all(each is None or _REVISION.fullmatch(each) for each in entry.places.values()):
        return "is fetched from a commit of 40 hexadecimal digits, or from the newest"
    if not all(_is_inside(path) for path in entry.files):
        return "has files inside its folder, and one of these is not"
    hashes = [each.sha256 for each in entry.files.values()]
    if not all(each is None or _SHA256.fullmatch(each) for each in hashes):
        return "has SHA-256 hashes of 64 hexadecimal digits, and one of these is none"
    if not {entry.checkpoint, entry.config} <= {None, *entry.files}:
        return "converts a checkpoint and a configuration that are among its files"
    return ""


def _is_inside(path: str) -> bool:
    return not {"..", ".", ""} & set(path.split("/"))


def entry_named(name: str) -> KnownModel | None:
    """Return the entry of a name, or of a hub id that serves it."""
    table = known_models()
    served = (each for each in table.values() if name in each.places)
    return table.get(name) or next(served, None)


def entry_with_fingerprint(mark: str) -> KnownModel | None:
    """Return the entry with a fingerprint, in hexadecimal."""
    return next((each for each in known_models().values() if mark in each.fingerprints), None)
