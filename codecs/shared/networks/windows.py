"""Outgoing windows that overlap and fade: pixels from features at 1/4 of the size, without a grid."""

from __future__ import annotations

import torch
from torch import Tensor

STRIDE, TAPS = 4, 3
"""Pixels of a cell along a side, and cells that a window reaches over."""


def fading_window() -> Tensor:
    """Return the factors (48, 1, 3, 3) that make the outgoing windows fade at their borders.

    A feature at a position of the 1/4 grid reaches the 12x12 pixels around it.  The output pixel
    ``i`` of its own cell takes tap ``k`` from the cell ``k - 1`` cells away, in whose window it
    lies at 4 (2 - k) + i.
    """
    size = STRIDE * TAPS
    fade = torch.sin(torch.pi * (torch.arange(size) + 0.5) / size).square()
    line = torch.stack([fade[STRIDE * (2 - k) : STRIDE * (3 - k)] for k in range(TAPS)], dim=1)
    plane = line[:, None, :, None] * line[None, :, None, :]
    return plane.reshape(1, STRIDE**2, TAPS, TAPS).repeat(3, 1, 1, 1).reshape(-1, 1, TAPS, TAPS)


def faded_kernel(weights: Tensor, window: Tensor) -> Tensor:
    """Return windows (48, C, 3, 3), faded, and even: a constant feature adds a constant."""
    faded = weights * window
    sums = faded.sum((2, 3)).reshape(3, STRIDE**2, -1)
    excess = (sums - sums.mean(1, keepdim=True)).reshape(len(faded), -1, 1, 1)
    return faded - excess * window / window.sum((2, 3), keepdim=True)
