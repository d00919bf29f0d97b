"""Where networks run."""

from __future__ import annotations

import os

import torch

from diffc.errors import OptionError


def device_of(name: str | None) -> str:
    """Return a device's name: the given one, else that of DIFFC_DEVICE, else the CPU.

    Raises
    ------
    OptionError
        If torch knows no such device here.
    """
    name = name or os.environ.get("DIFFC_DEVICE") or "cpu"
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise OptionError(
            f"device is one that torch has here, not {name!r}: use device='cpu'"
        ) from error
    return str(device)
