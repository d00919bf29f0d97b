"""Weights in one byte each: for networks whose room in the package is short."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import torch
from torch import Tensor

_SCALE = ".scale"


def to_bytes(state: Mapping[str, Tensor], exact: Collection[str] = ()) -> dict[str, Tensor]:
    """Return tensors of two or more axes as int8 with a scale for each first index.

    The others, which are few and small, become float16; those named in ``exact`` stay float32.
    """
    made = {}
    for name, value in state.items():
        if name in exact:
            made[name] = value.float().contiguous()
            continue
        if value.dim() < 2:
            made[name] = value.half().contiguous()
            continue
        rows = value.float().flatten(1)
        scale = (rows.abs().amax(1) / 127).clamp_min(2.0**-14).half()
        shape = (-1,) + (1,) * (value.dim() - 1)
        levels = (value.float() / scale.float().reshape(shape)).round().clamp(-127, 127)
        made[name] = levels.to(torch.int8).contiguous()
        made[name + _SCALE] = scale
    return made


def from_bytes(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the float32 tensors of what `to_bytes` made.

    Raises
    ------
    ValueError
        If a scale is missing or does not fit.
    """
    made = {}
    for name, value in state.items():
        if name.endswith(_SCALE):
            continue
        if value.dtype != torch.int8:
            made[name] = value.float()
            continue
        scale = state.get(name + _SCALE)
        if scale is None or scale.shape != value.shape[:1]:
            raise ValueError(f"{name} has no scale for each of its rows: fetch the model anew")
        made[name] = value.float() * scale.float().reshape((-1,) + (1,) * (value.dim() - 1))
    return made
