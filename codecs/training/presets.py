"""Training presets: TOML files with a table of sizes, weights and lengths for every stage."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

Settings = TypeVar("Settings")


@dataclass(frozen=True)
class StageSettings:
    """Length and batches of a stage: crops a step, their side in pixels, steps, AdamW's rate."""

    batch: int
    crop: int
    steps: int
    learning_rate: float


@dataclass(frozen=True)
class Preset:
    """All that a training run is made of besides its photos.

    Parameters
    ----------
    seed : int
        Of weights, crops and noise.
    tables : mapping
        For each stage its table, as the TOML file has it.
    """

    seed: int
    tables: Mapping[str, Any]

    def settings(self, name: str, kind: type[Settings]) -> Settings:
        """Read a table into a dataclass, tables inside it into those of its fields.

        Raises
        ------
        ValueError
            If there is no such table, or a key is missing or too many.
        """
        if name not in self.tables:
            raise ValueError(f"the preset has no table [{name}], which a stage needs: add it")
        return _read(name, self.tables[name], kind)


def read_preset(name: str) -> Preset:
    """Read a preset by its name (``cpu``, ``gpu``) or from a TOML file.

    Raises
    ------
    ValueError
        If there is none of that name.
    """
    built_in = files("diffc.codecs.training").joinpath("presets", f"{name}.toml")
    if built_in.is_file():
        text = built_in.read_text()
    elif Path(name).is_file():
        text = Path(name).read_text()
    else:
        raise ValueError(f"a preset is cpu, gpu or a TOML file, not {name!r}: name one of them")
    tables = tomllib.loads(text)
    return Preset(tables.pop("seed"), tables)


def _read(name: str, table: object, kind: type[Settings]) -> Settings:
    if not isinstance(table, dict) or not is_dataclass(kind):
        raise ValueError(f"[{name}] of the preset is a table, not {table!r}: write one")
    known = fields(kind)
    needed = {
        each.name for each in known if each.default is MISSING and each.default_factory is MISSING
    }
    if unknown := sorted(set(table) - {each.name for each in known}):
        raise ValueError(f"[{name}] of the preset has no key {unknown[0]!r}: remove it")
    if missing := sorted(needed - set(table)):
        raise ValueError(f"[{name}] of the preset needs the key {missing[0]!r}: add it")
    kinds = get_type_hints(kind)
    return kind(**{key: _value(f"{name}.{key}", value, kinds[key]) for key, value in table.items()})


def _value(name: str, value: object, kind: Any) -> object:
    if isinstance(kind, type) and is_dataclass(kind):
        return _read(name, value, kind)
    return tuple(value) if isinstance(value, list) else value
