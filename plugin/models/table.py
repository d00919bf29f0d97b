"""The table of known models, signed off by hand: table.json beside this module."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import files
from typing import Any


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
        ``yes``, ``no``, ``conditions`` or ``unknown``.
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


@lru_cache(maxsize=1)
def known_models() -> dict[str, KnownModel]:
    """Return the table, by name."""
    text = files("diffc.models").joinpath("table.json").read_text(encoding="utf-8")
    return {each["name"]: entry_of(each) for each in json.loads(text)["models"]}


def entry_of(data: dict[str, Any]) -> KnownModel:
    """Return an entry of its JSON object."""
    known = {name: KnownFile(**each) for name, each in data.get("files", {}).items()}
    marks = tuple(data.get("fingerprints", ()))
    return KnownModel(**{**data, "files": known, "fingerprints": marks})


def entry_named(name: str) -> KnownModel | None:
    """Return the entry of a name, or of a hub id that serves it."""
    table = known_models()
    served = (each for each in table.values() if name in each.places)
    return table.get(name) or next(served, None)


def entry_with_fingerprint(mark: str) -> KnownModel | None:
    """Return the entry with a fingerprint, in hexadecimal."""
    return next((each for each in known_models().values() if mark in each.fingerprints), None)
