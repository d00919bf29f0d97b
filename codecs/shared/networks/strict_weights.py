"""Weights of a subfolder's safetensors files: all that are wanted, none besides, each of its shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from diffc.models.identity import weight_files


def read_weights(
    part: Path, wanted: Mapping[str, Sequence[int]], dtype: torch.dtype, unused: Sequence[str] = ()
) -> dict[str, Tensor]:
    """Read the weights of a part of a model, on the CPU.

    Parameters
    ----------
    part : Path
        The subfolder.
    wanted : mapping
        The shape of each weight, by its name in the files.
    dtype : torch.dtype
        To convert to, one weight after the other.
    unused : sequence of str
        Those of ``wanted`` that have to be there, but need not be read.

    Raises
    ------
    OSError
        If the files are not readable, or hold other weights; nothing has been read then.
    """
    files = weight_files(part)
    try:
        check_shapes(part, wanted, _shapes(files))
        return {
            name: tensor
            for path in files
            for name, tensor in _tensors(path, dtype)
            if name not in unused
        }
    except SafetensorError as error:
        raise OSError(f"{part} has damaged weights ({error}): fetch the model anew") from error


def check_shapes(
    part: Path, wanted: Mapping[str, Sequence[int]], found: Mapping[str, Sequence[int]]
) -> None:
    """Require that weights found are those wanted.

    Raises
    ------
    OSError
        If one is missing, too many, or of another shape; it says how many are, and names one.
    """
    faults = {
        "missing keys": set(wanted) - set(found),
        "unexpected keys": set(found) - set(wanted),
        "keys of other shapes": {
            name for name in set(wanted) & set(found) if tuple(wanted[name]) != tuple(found[name])
        },
    }
    for fault, names in faults.items():
        if names:
            raise OSError(
                f"{part} has {len(names)} {fault}, such as {min(names)[:200]}: fetch the model anew"
            )


def _shapes(files: Sequence[Path]) -> dict[str, list[int]]:
    shapes: dict[str, list[int]] = {}
    for path in files:
        with safe_open(path, framework="pt") as file:
            shapes |= {name: file.get_slice(name).get_shape() for name in list(file.keys())}
    return shapes


def _tensors(path: Path, dtype: torch.dtype) -> list[tuple[str, Tensor]]:
    with safe_open(path, framework="pt") as file:
        return [(name, file.get_tensor(name).to(dtype)) for name in list(file.keys())]
