"""Converting a released checkpoint once, on explicit command, to safetensors."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from diffc.errors import OptionError
from diffc.models import store, table
from diffc.models.adding import describe, free_name
from diffc.models.checkpoint import read_checkpoint
from diffc.models.identity import kind_of
from diffc.models.staging import check_room, staging
from diffc.registry import model_kinds

_LARGEST_CONFIG = 1 << 20


def to_safetensors(source: Path, target: Path, key: str | None = None) -> None:
    """Write the tensors of a checkpoint, under the names that they have, to one file.

    Raises
    ------
    OptionError
        If it is not clear which weights to take.
    OSError
        If the checkpoint is refused, or the file cannot be written.
    """
    from safetensors.torch import save_file

    state = read_checkpoint(source, key)
    partial = target.with_name(f".{target.name}.part")
    try:
        # a copy each: tied weights and views are stored as they are named
        save_file({name: each.clone().contiguous() for name, each in state.items()}, partial)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def to_model(
    source: Path,
    name: str,
    kind: str,
    config: Path | None,
    key: str | None = None,
    origin: store.Record | None = None,
    vae: Path | None = None,
) -> store.Record:
    """Convert a checkpoint to a model of the store.

    Parameters
    ----------
    source : Path
        The checkpoint.
    name : str
        Of the model.
    kind : str
        One that a codec can convert checkpoints of.
    config : Path, optional
        Its published configuration, YAML or JSON.
    key : str, optional
        The entry of the checkpoint that holds the weights.
    origin : Record, optional
        Of the checkpoint, if it was fetched; the model takes its place.
    vae : Path, optional
        A directory of diffusers with the autoencoder that the model is put together with.

    Raises
    ------
    OptionError
        If the kind is unknown or has no autoencoder, or the name is taken.
    OSError
        If the checkpoint or its configuration is refused, or there is no room.
    """
    write = converter(kind)
    parts = {} if vae is None else {"vae": vae}
    if not parts.keys() <= inspect.signature(write).parameters.keys():
        raise OptionError(f"models of kind {kind!r} are made without an autoencoder: drop --vae")
    folder = store.owned_folder(name)
    free_name(name, folder)
    arguments = {} if config is None else network_arguments(read_settings(config))
    with staging() as place:
        check_room(place, source.stat().st_size, name)
        model = place / "model"
        write(read_checkpoint(source, key), arguments, model, **parts)
        if kind_of(model) != kind:
            raise OSError(f"converting {source} made no model of kind {kind!r}: get it anew")
        trust = store.DIRECTORY if origin is None else origin.trust
        record = describe(model, name, kind, owned=True, trust=trust)
        folder.parent.mkdir(parents=True, exist_ok=True)
        store.discard(folder)
        model.replace(folder)
    record = replace(record, folder=str(folder))
    if origin is not None:
        record = replace(record, place=origin.place, revision=origin.revision, pins=origin.pins)
    store.keep(record)
    return record


def fetched_checkpoint(name: str) -> tuple[Path, Path, str, store.Record] | None:
    """Return the checkpoint, configuration, kind and record of a fetched, unconverted model."""
    entry, record = table.known_models().get(name), store.find(name)
    if entry is None or entry.checkpoint is None or entry.config is None:
        return None
    if record is None or not record.here or record.kind != store.CHECKPOINT:
        return None
    folder = Path(record.folder)
    return folder / entry.checkpoint, folder / entry.config, entry.kind, record


def converter(kind: str) -> Callable[..., None]:
    """Import what writes models of a kind, see `diffc.codec.ModelKind`.

    Raises
    ------
    OptionError
        If there is none.
    """
    converters = {name: each.converter for name, each in model_kinds().items() if each.converter}
    if kind not in converters:
        raise OptionError(
            f"models of kind {kind[:60]!r} cannot be made: choose {', '.join(converters)}, or leave "
            "--kind out for plain safetensors"
        )
    write: Callable[..., None] = resolve_name(converters[kind])
    return write


def read_settings(path: Path) -> dict[str, Any]:
    """Read a published configuration: plain values only, from JSON or YAML.

    Raises
    ------
    OSError
        If it is neither, or too large.
    """
    if path.stat().st_size > _LARGEST_CONFIG:
        raise OSError(f"{path} has more than a mebibyte, as no configuration does: name another")
    text = path.read_text(encoding="utf-8")
    try:
        settings = json.loads(text) if path.suffix == ".json" else _yaml(text)
    except (ValueError, RecursionError) as error:
        raise OSError(f"{path} is no configuration ({error}): get it anew") from error
    if not isinstance(settings, dict):
        raise OSError(f"{path} is no table of settings: get it anew")
    return settings


def network_arguments(settings: dict[str, Any]) -> dict[str, Any]:
    """Return what a configuration says of the network: all, or ``model.net.init_args`` of it.

    The classes that such a configuration names are not looked at.
    """
    for key in ("model", "net", "init_args"):
        inner = settings.get(key)
        settings = inner if isinstance(inner, dict) else settings
    return settings


def _yaml(text: str) -> object:
    try:
        import yaml  # type: ignore[import-untyped]
    except ImportError as error:
        raise OptionError(
            'a configuration in YAML needs a package: pip install "diffc[models]", or give it as '
            "JSON"
        ) from error
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from error
