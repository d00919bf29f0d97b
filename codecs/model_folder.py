"""Model folders: safetensors files beside a config.json, found by path or by fingerprint."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from diffc.codec import DecodeOptions
from diffc.errors import ModelNotAvailableError, OptionError

# kind of a model, as its config.json says -> name for ``model=`` -> folder; the default is first
EMBEDDED = {"patch": {"tiny": "tiny"}, "restoring": {"tiny": "relay-tiny"}}
FINGERPRINT_BYTES = 4


def embedded_folder(kind: str, name: str) -> Path:
    """Return where an embedded model lies in the package."""
    return Path(str(files("diffc.codecs").joinpath("weights", EMBEDDED[kind][name])))


def folder_of(model: str | None, kind: str) -> Path:
    """Return the folder of a model that the caller names: an embedded one, or a directory.

    Parameters
    ----------
    model : str, optional
        The name or directory; None is the default of the kind.
    kind : str
        What the codec can use: ``patch`` or ``restoring``.

    Raises
    ------
    OptionError
        If it is neither.
    """
    if model is None:
        return embedded_folder(kind, next(iter(EMBEDDED[kind])))
    if model in EMBEDDED[kind]:
        return embedded_folder(kind, model)
    # longer than any path: not worth asking the file system
    folder = Path(model) if 0 < len(model) < 4096 else None
    if folder is None or not (folder / "config.json").is_file():
        raise OptionError(
            f"model is {', '.join(EMBEDDED[kind])} or a directory with a config.json, not "
            f"{model[:100]!r}: name one of these"
        )
    if not _is_model(folder, kind):
        raise OptionError(
            f"this codec's models are of kind {kind!r}, and that in {model[:100]!r} is not: name "
            "another directory"
        )
    return folder


def config_of(folder: Path) -> dict[str, Any]:
    """Read a model's configuration."""
    try:
        config = json.loads((folder / "config.json").read_text())
    except (OSError, ValueError) as error:
        raise OSError(f"{folder} has no readable config.json ({error}): fetch it anew") from error
    if not isinstance(config, dict):
        raise OSError(f"config.json of a model is an object, which {folder} lacks: fetch it anew")
    return config


@lru_cache(maxsize=64)
def fingerprint(folder: Path) -> bytes:
    """Return the first bytes of a SHA-256 over the configuration and the weights.

    Hashed are the sorted lines ``<SHA-256 of the file>`` of all safetensors files, then the
    configuration as canonical JSON; file names and precision at run time do not count.
    """
    hashes = []
    for path in folder.glob("*.safetensors"):
        with path.open("rb") as file:
            hashes.append(hashlib.file_digest(file, "sha256").hexdigest())
    canonical = json.dumps(config_of(folder), sort_keys=True, separators=(",", ":"))
    text = "\n".join([*sorted(hashes), canonical])
    return hashlib.sha256(text.encode()).digest()[:FINGERPRINT_BYTES]


def _known_folders(options: DecodeOptions, kind: str) -> Iterator[Path]:
    if options.model is not None:
        yield folder_of(options.model, kind)
    for name in EMBEDDED[kind]:
        yield embedded_folder(kind, name)
    for entry in os.environ.get("DIFFC_MODELS", "").split(os.pathsep):
        if entry:
            folder = Path(entry)
            yield from (config.parent for config in sorted(folder.glob("*/config.json")))
            if (folder / "config.json").is_file():
                yield folder


def _is_model(folder: Path, kind: str) -> bool:
    """Tell a folder of ours from others with a config.json, which may be large to hash."""
    try:
        return config_of(folder).get("kind") == kind
    except (OSError, ValueError):
        return False


def folder_with(wanted: bytes | None, options: DecodeOptions, kind: str) -> Path:
    """Return the folder of the model that a file was made with.

    Raises
    ------
    ModelNotAvailableError
        If no known folder has that fingerprint; it names what was looked at.
    """
    if wanted is None:
        raise ModelNotAvailableError("the file names no model, which its codec needs: save it anew")
    seen = []
    for folder in _known_folders(options, kind):
        if not _is_model(folder, kind):
            continue
        found = fingerprint(folder)
        if found == wanted:
            return folder
        seen.append(f"{folder.name} ({found.hex()})")
    raise ModelNotAvailableError(
        f"the file was made with a model of fingerprint {wanted.hex()}, and the models here are "
        f"{', '.join(seen) or 'none'}: name its directory in DIFFC_MODELS or diffc.decoding(model=)"
    )
