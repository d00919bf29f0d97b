"""Models of a folder, read once in a process; numbers that the hardware is fast with."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from torch import nn

from diffc.models.identity import fingerprint, kind_of

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
_loading = threading.RLock()


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
        return kind(folder, device)
    except (KeyError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
        raise OSError(f"{folder} is no model of this kind ({error}): fetch it anew") from error
