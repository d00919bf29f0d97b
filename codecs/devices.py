"""Where networks run, and on how many threads an encoder does."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def device_of(name: str | None) -> str:
    """Return a device's name: the given one, else that of DIFFC_DEVICE, else the CPU.

    Raises
    ------
    ValueError
        If torch knows no such device here.
    """
    name = name or os.environ.get("DIFFC_DEVICE") or "cpu"
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(
            f"device is one that torch has here, not {name!r}: use device='cpu'"
        ) from error
    return str(device)


@contextmanager
def encoding_threads() -> Iterator[None]:
    """Keep what an encoder runs with; see the measurement in docs/results.md."""
    yield
