"""Models of codecs: folders, embedded or found by name, path or fingerprint, and read once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from torch import nn

from diffc.codec import DecodeOptions
from diffc.errors import ModelNotAvailableError, OptionError
from diffc.models import lookup
from diffc.models.identity import (
    DIFFUSERS,
    PERCO_SD,
    config_of,
    fingerprint,
    kind_of,
    variant_of,
    weight_files,
)
from diffc.threads import ForkSafeLock
from diffc.torch_state import lacks_memory, weights_to_come

__all__ = [
    "DIFFUSERS",
    "EMBEDDED",
    "PERCO_SD",
    "config_of",
    "embedded_folder",
    "fast_dtype",
    "fingerprint",
    "folder_of",
    "folder_with",
    "kind_of",
    "load_once",
    "release",
    "variant_of",
    "weight_files",
    "with_convolutions_in",
]

# kind of a model, as its config.json says -> name for ``model=`` -> folder; the default is first
EMBEDDED = {
    "patch": {"tiny": "tiny"},
    "restoring": {"tiny": "relay-tiny"},
    "tokens": {"tiny": "perco-tiny"},
}


def embedded_folder(kind: str, name: str) -> Path:
    """Return where an embedded model lies in the package."""
    return Path(str(files("diffc.codecs").joinpath("weights", EMBEDDED[kind][name])))


def _embedded(kinds: tuple[str, ...]) -> dict[str, Path]:
    return {
        name: embedded_folder(kind, name)
        for kind in reversed(kinds)
        for name in EMBEDDED.get(kind, {})
    }


def folder_of(model: str | None, *kinds: str, allow_download: bool | None = None) -> Path:
    """Return the folder of a model that the caller names.

    Parameters
    ----------
    model : str, optional
        The name of an embedded model or of one in the store, a hub id that was fetched, or a
        directory; None is the default of the first kind that has an embedded model.  A missing
        one is fetched only if the caller has allowed it.
    *kinds : str
        What the codec can use, see `kind_of`.
    allow_download : bool, optional
        Whether the caller has; None is what `diffc.decoding` or DIFFC_ALLOW_DOWNLOAD says.

    Raises
    ------
    OptionError
        If it is none of these, or of another kind.
    OSError
        If it may be fetched, and cannot.
    """
    embedded = _embedded(kinds)
    if model is None:
        if not embedded:
            raise OptionError(
                f"this codec has no model of its own: name one with model=, {lookup.choices(kinds)}"
            )
        return next(
            embedded_folder(kind, next(iter(EMBEDDED[kind]))) for kind in kinds if kind in EMBEDDED
        )
    if model in embedded:
        return embedded[model]
    folder = lookup.named_folder(model, kinds, allow_download=allow_download)
    if folder is None:
        raise OptionError(
            f"model is {' or '.join([*embedded, lookup.choices(kinds)])}, not {model[:100]!r}: "
            "name one of these"
        )
    if kind_of(folder) not in kinds:
        raise OptionError(
            f"this codec's models are of kind {' or '.join(map(repr, kinds))}, and that in "
            f"{model[:100]!r} is not: name another"
        )
    return folder


def _known_folders(options: DecodeOptions, kinds: tuple[str, ...]) -> Iterator[Path]:
    if options.model is not None:
        yield folder_of(options.model, *kinds, allow_download=options.allow_download)
    yield from _embedded(kinds).values()
    yield from lookup.known_folders()


def folder_with(
    wanted: bytes | None, options: DecodeOptions, *kinds: str, prompted: bool = False
) -> Path:
    """Return the folder of the model that a file was made with.

    Looked through are the model that the caller names, those embedded, those of the store, and
    those that DIFFC_MODELS names; what is missing is fetched if the caller has allowed it.

    Parameters
    ----------
    wanted : bytes, optional
        The file's fingerprint.
    options : DecodeOptions
        ``model`` and ``allow_download`` count.
    *kinds : str
        What the codec can use, see `kind_of`.
    prompted : bool
        Whether the fingerprint is one with text encoders, see `fingerprint`.

    Raises
    ------
    ModelNotAvailableError
        If no known folder has that fingerprint; it names the model, as far as it is known, and
        what was looked at.
    """
    if wanted is None:
        raise ModelNotAvailableError("the file names no model, which its codec needs: save it anew")
    seen = []
    for folder in dict.fromkeys(_known_folders(options, kinds)):
        if kind_of(folder) not in kinds:
            continue
        try:
            found = fingerprint(folder, prompted=prompted)
        # a damaged folder must not hide the one that is wanted
        except OSError as error:
            seen.append(f"{folder.name} ({error})")
            continue
        if found == wanted:
            return folder
        seen.append(f"{folder.name} ({found.hex()})")
    return lookup.fetched(wanted, kinds, seen, allow_download=options.allow_download)


Model = TypeVar("Model")


def fast_dtype(device: str) -> torch.dtype:
    """Return bfloat16 where the hardware multiplies it, else float32.

    Nothing entropy-coded depends on it: a file written with one decodes with the other.
    """
    if device == "cpu":
        # torch has no public question for it; without an answer float32 is always right
        probe = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
        native = probe is not None and bool(probe())
    else:
        native = device.startswith("cuda") and torch.cuda.get_device_capability(device) >= (8, 0)
    return torch.bfloat16 if native else torch.float32


def with_convolutions_in(network: nn.Module, dtype: torch.dtype) -> nn.Module:
    """Convert the convolutions' weights, and with them the features between; the rest stays."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            module.to(dtype)
    return network


# a model may load another that it stands beside
_loading = ForkSafeLock()


def load_once(kind: Callable[[Path, str], Model], folder: Path, device: str) -> Model:
    """Return ``kind(folder, device)``, made once in a process as long as the files stay the same.

    Raises
    ------
    OSError
        If the folder holds no such model.
    """
    # threads that ask at the same time wait for one reading
    with _loading, torch.inference_mode(False):
        mark = fingerprint(folder) if kind_of(folder) is not None else b""
        model: Model = _load(kind, folder.resolve(), device, mark)
        return model


@lru_cache(maxsize=8)
def _load(kind: Callable[[Path, str], Any], folder: Path, device: str, mark: bytes) -> Any:
    try:
        with weights_to_come():
            return kind(folder, device)
    except (KeyError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
        if lacks_memory(error):
            raise
        raise OSError(f"{folder} is no model of this kind ({error}): fetch it anew") from error


def release() -> None:
    """Forget all models, whose memory is free as soon as nobody computes with them."""
    with _loading:
        _load.cache_clear()
