"""The portable noise that a walk through latents starts from."""

from __future__ import annotations

import torch
from torch import Tensor

from diffc.noise.streams import Purpose, random_normals


def initial_noise(seed: int, shape: tuple[int, int, int], device: str) -> Tensor:
    """Return x_T, (1, channels, height, width) of standard normals from the portable generator."""
    channels, height, width = shape
    indices = torch.arange(channels)
    normals = random_normals(seed, Purpose.INITIAL, 0, indices, height * width, device)
    return normals.reshape(1, channels, height, width)
