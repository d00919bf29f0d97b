"""Models of codecs: folders, embedded or found by name, path or fingerprint, and read once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import torch
from safetensors import SafetensorError
from torch import nn

from diffc.codec import Codec, Coded, DecodeOptions
from diffc.devices import device_of
from diffc.errors import ModelNotAvailableError, OptionError
from diffc.models import lookup
from diffc.models.identity import config_of, fingerprint, kind_of, variant_of, weight_files
from diffc.models.loaded import loaded
from diffc.registry import declarations, model_kinds
from diffc.torch_state import lacks_memory, weights_to_come

__all__ = [
    "chosen",
    "config_of",
    "fast_dtype",
    "fingerprint",
    "folder_of",
    "folder_with",
    "kind_of",
    "load_once",
    "recorded",
    "variant_of",
    "weight_files",
    "with_convolutions_in",
]

Model = TypeVar("Model")
Load = Callable[[Path, str], Model]


def chosen(load: Load[Model], codec: Codec) -> Model:
    """Return the model that an encoder's options name, on the device that they name.

    Parameters
    ----------
    load : callable
        Makes a model of its folder and a device, such as the model's class.
    codec : Codec
        Its options ``model`` and ``device`` count, and the kinds that it uses.

    Raises
    ------
    OptionError
        If it is none that the codec can use, or there is no such device.
    OSError
        If it cannot be read or fetched.
    """
    return load_once(load, folder_of(codec.model, *names_of(codec)), device_of(codec.device))


def recorded(load: Load[Model], codec: type[Codec], coded: Coded, options: DecodeOptions) -> Model:
    """Return the model that a file was made with, on the device that the options name.

    Parameters
    ----------
    load : callable
        See `chosen`.
    codec : type
        The kinds that it uses count.
    coded : Coded
        Its fingerprint counts.
    options : DecodeOptions
        See `folder_with`.

    Raises
    ------
    ModelNotAvailableError
        If it is not here.
    OSError
        If it cannot be read or fetched.
    """
    folder = folder_with(coded.fingerprint, options, *names_of(codec))
    return load_once(load, folder, device_of(options.device))


def names_of(codec: Codec | type[Codec]) -> tuple[str, ...]:
    """Return the names of the kinds of models that a codec uses."""
    return tuple(kind.name for kind in codec.kinds)


def _embedded(kinds: tuple[str, ...]) -> dict[str, Path]:
    """Return the embedded models of several kinds by name; the first kind's come first."""
    known = model_kinds()
    found: dict[str, Path] = {}
    for kind in kinds:
        for name in known[kind].embedded if kind in known else ():
            found.setdefault(name, lookup.embedded_folder(kind, name))
    return found


def folder_of(model: str | None, *kinds: str, allow_download: bool | None = None) -> Path:
    """Return the folder of a model that the caller names.

    Parameters
    ----------
    model : str, optional
        The name of an embedded model or of one in the store, a hub id that was fetched, or a
        directory; None is the default of the first kind that has an embedded model, else the first
        one of the store.  A missing one is fetched only if the caller has allowed it.
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
        default = next(iter((*embedded.values(), *lookup.folders_of(kinds))), None)
        if default is None:
            raise OptionError(
                "this codec has no model of its own, and none was fetched: name one with model=, "
                f"{lookup.choices(kinds)}"
            )
        return default
    if model in embedded:
        return embedded[model]
    folder = lookup.named_folder(model, kinds, allow_download=allow_download)
    if folder is None:
        raise OptionError(
            f"model is {' or '.join([*embedded, lookup.choices(kinds)])}, not {model[:100]!r}: "
            "name one of these"
        )
    if kind_of(folder) not in kinds:
        users = [name for name, each in declarations().items() if kind_of(folder) in names_of(each)]
        remedy = f"choose backend={users[0]!r}, which uses it" if users else "name another"
        raise OptionError(
            f"this codec's models are of kind {' or '.join(map(repr, kinds))}, and that in "
            f"{model[:100]!r} is not: {remedy}"
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


def load_once(load: Load[Model], folder: Path, device: str) -> Model:
    """Return ``load(folder, device)``, made once in a process as long as the files stay the same.

    How much is kept is in `diffc.models.loaded`.

    Raises
    ------
    OSError
        If the folder holds no such model.
    """

    def read() -> Model:
        try:
            with torch.inference_mode(False), weights_to_come():
                return load(folder, device)
        except (KeyError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
            if lacks_memory(error):
                raise
            raise OSError(f"{folder} is no model of this kind ({error}): fetch it anew") from error

    mark = fingerprint(folder) if kind_of(folder) is not None else b""
    return loaded((load, folder.resolve(), device, mark), read)
