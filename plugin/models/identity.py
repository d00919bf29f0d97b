"""What a model folder is: its kind, the files that are used, and the fingerprint of these."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from diffc.codec import ModelKind
from diffc.models.hash_cache import sha256_of
from diffc.registry import model_kinds

FINGERPRINT_BYTES = 4
CAPTIONER = "captioner"
# ``model_type`` in the configuration of networks of transformers that describe pictures
_CAPTIONERS = ("blip", "florence2")

# Stable Diffusion 3 has a third, T5, which nothing here reads
TEXT_PARTS = ("text_encoder", "text_encoder_2")
# the names that diffusers and transformers give to weights
_STEMS = ("diffusion_pytorch_model", "model")
_VARIANTS = (None, "fp16", "bf16")
# which program wrote a configuration, and the precision of what it wrote
_INCIDENTAL = ("architectures", "dtype", "torch_dtype", "transformers_version")


def read_object(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises
    ------
    OSError
        If there is none.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise OSError(
            f"{path.parent} has no readable {path.name} ({error}): fetch it anew"
        ) from error
    if not isinstance(value, dict):
        raise OSError(
            f"{path.name} of a model is an object, which {path.parent} lacks: fetch it anew"
        )
    return value


def config_of(folder: Path) -> dict[str, Any]:
    """Read the configuration of a model or of a part of it.

    Raises
    ------
    OSError
        If there is no readable ``config.json``.
    """
    return read_object(folder / "config.json")


def kind_of(folder: Path) -> str | None:
    """Return what kind of model a folder holds; None if it holds none.

    That is ``kind`` in a ``config.json`` of ours; ``captioner`` for BLIP and Florence-2 as
    transformers stores them; and otherwise the kind that a codec declares with a mark, such as
    ``diffusers`` for a pipeline's directory, with a ``model_index.json``.
    """
    try:
        config = config_of(folder)
    except OSError:
        config = {}
    if isinstance(config.get("kind"), str):
        return str(config["kind"])
    if config.get("model_type") in _CAPTIONERS:
        return CAPTIONER
    marked = [each for each in model_kinds().values() if each.mark]
    # a directory with more parts has the marks of those with fewer
    for each in sorted(marked, key=lambda kind: -len(kind.parts)):
        if (folder / each.mark).is_file():
            return each.name
    return None


def fingerprint(
    folder: Path, *, prompted: bool = False, sha256: Callable[[Path], str] = sha256_of
) -> bytes:
    """Return the first bytes of a SHA-256 over the weights that are used and the configuration.

    Hashed are the sorted lines ``<SHA-256 of the file>`` of the weights, then the configuration as
    canonical JSON; file names and precision at run time do not count.  For a folder of ours that
    is all safetensors files, and ``config.json``.  For a pipeline's directory it is those of the
    network and the VAE, and the configuration of network, VAE and scheduler less what names paths,
    versions and precisions.  Its text encoders
    count only if there is a prompt, or if the kind says that they always do: without one the same
    vectors go in for every picture, and a mirror may leave the encoders out.

    Parameters
    ----------
    folder : Path
        See `kind_of`.
    prompted : bool
        Whether the text encoders take part.
    sha256 : callable
        Hashes a file.

    Raises
    ------
    OSError
        If a file is missing or cannot be read.
    """
    files, configuration = _parts(folder, prompted)
    hashes = sorted(sha256(path) for path in files)
    canonical = json.dumps(configuration, sort_keys=True, separators=(",", ":"))
    text = "\n".join([*hashes, canonical])
    return hashlib.sha256(text.encode()).digest()[:FINGERPRINT_BYTES]


def fingerprints(folder: Path, sha256: Callable[[Path], str] = sha256_of) -> tuple[bytes, ...]:
    """Return the fingerprint without text encoders, then the one with them if there are any."""
    plain = fingerprint(folder, sha256=sha256)
    kind = _in_parts(kind_of(folder))
    if kind is not None and not kind.texts and _text_parts(folder):
        return plain, fingerprint(folder, prompted=True, sha256=sha256)
    return (plain,)


def used_files(folder: Path) -> list[Path]:
    """Return all that `fingerprint` reads, text encoders included."""
    kind = _in_parts(kind_of(folder))
    if kind is None:
        return [*sorted(folder.glob("*.safetensors")), folder / "config.json"]
    parts = [folder / part for part in (*_part_names(folder, kind), *_text_parts(folder))]
    weights = [path for part in parts for path in weight_files(part)]
    schedule = folder / "scheduler" / "scheduler_config.json"
    return [*weights, *(part / "config.json" for part in parts), schedule]


def _parts(folder: Path, prompted: bool) -> tuple[list[Path], dict[str, Any]]:
    kind = _in_parts(kind_of(folder))
    if kind is None:
        return list(folder.glob("*.safetensors")), config_of(folder)
    text = _text_parts(folder) if prompted or kind.texts else ()
    names = [*_part_names(folder, kind), *text]
    files = [path for part in names for path in weight_files(folder / part)]
    configs = {part: _essence(config_of(folder / part)) for part in names}
    schedule = read_object(folder / "scheduler" / "scheduler_config.json")
    return files, {"kind": kind.name, "scheduler": _essence(schedule), **configs}


def _text_parts(folder: Path) -> list[str]:
    return [part for part in TEXT_PARTS if (folder / part / "config.json").is_file()]


def _in_parts(name: str | None) -> ModelKind | None:
    """Return a kind whose directories have parts; None for any other."""
    kind = model_kinds().get(name or "")
    return kind if kind is not None and kind.parts else None


def _part_names(folder: Path, kind: ModelKind) -> Iterator[str]:
    for alternatives in kind.parts:
        there = [part for part in alternatives if (folder / part).is_dir()]
        if not there:
            raise OSError(f"{folder} has no {' or '.join(alternatives)}: fetch it anew")
        yield there[0]


def _essence(config: dict[str, Any]) -> dict[str, Any]:
    return {
        key: value
        for key, value in config.items()
        if key not in _INCIDENTAL and (not key.startswith("_") or key == "_class_name")
    }


def variant_of(part: Path) -> str | None:
    """Return the variant of the weights that are used in a subfolder, as diffusers calls it.

    None, that is files without a variant in their names, comes first; then ``fp16``, ``bf16``.

    Raises
    ------
    OSError
        If the subfolder has no safetensors of a known name.
    """
    return _named_weights(part)[0]


def weight_files(part: Path) -> list[Path]:
    """Return the safetensors files that are used of a pipeline's subfolder, such as ``unet``.

    Raises
    ------
    OSError
        If there are none, or the list of pieces is damaged.
    """
    return _named_weights(part)[1]


def _named_weights(part: Path) -> tuple[str | None, list[Path]]:
    for variant in _VARIANTS:
        ending = f".{variant}" if variant else ""
        for stem in _STEMS:
            single = part / f"{stem}{ending}.safetensors"
            if single.is_file():
                return variant, [single]
            pieces = part / f"{stem}.safetensors.index{ending}.json"
            if pieces.is_file():
                return variant, _pieces(pieces)
    raise OSError(f"{part} has no weights in safetensors of a known name: fetch or convert them")


def _pieces(index: Path) -> list[Path]:
    weight_map = read_object(index).get("weight_map")
    names = sorted(set(map(str, weight_map.values()))) if isinstance(weight_map, dict) else []
    for name in names:
        if Path(name).name != name or not name.endswith(".safetensors"):
            raise OSError(f"{index} names {name!r}, which is no file beside it: fetch it anew")
    if not names:
        raise OSError(f"{index} names no files: fetch it anew")
    return [index.parent / name for name in names]
