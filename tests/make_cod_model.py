"""Write the small CoD model that the tests and the frozen files use, once.

Its weights come of the recipe of the conformance vectors, not of training: files made with it show
that the format does not change, not how good it is.  Run ``python tests/make_cod_model.py FOLDER``
to write another one; that in tests/data stays.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from diffc.codecs.cod.config import CodConfig
from diffc.codecs.cod.folder import empty_network, write_folder
from diffc.codecs.shared.cod.folder import empty, write_velocity_folder
from diffc.codecs.shared.cod.sizes import LATENT, PIXEL, VelocityConfig
from diffc.codecs.shared.cod.velocity_network import VelocityNetwork

TINY = CodConfig(
    stride=16,
    bits=4,
    width=16,
    pixel_width=8,
    patch_blocks=2,
    pixel_blocks=2,
    expansion=2,
    encoder_width=4,
    code_length=4,
    noise_features=4,
    time_features=8,
    frequencies=2,
    groups=4,
    window=4,
)
TINY_PIXELS = VelocityConfig(
    space=PIXEL,
    width=32,
    heads=2,
    patch_blocks=2,
    last_blocks=1,
    inner_width=40,
    pixel_width=8,
    frequencies=2,
    time_features=8,
    encoder_width=4,
    code_length=4,
    groups=4,
)
TINY_LATENTS = replace(TINY_PIXELS, space=LATENT)


def recipe(shapes: Mapping[str, Sequence[int]]) -> dict[str, Tensor]:
    """Return weights that depend on their names and shapes alone."""
    weights = {}
    for name, shape in shapes.items():
        source = np.random.RandomState(zlib.crc32(name.encode()))
        values = source.standard_normal(shape).astype(np.float32)
        if len(shape) > 1:
            values /= np.sqrt(np.prod(shape[1:]))
        else:
            values = np.float32(0.02) * values + name.endswith("weight")
        weights[name] = torch.from_numpy(values.astype(np.float32))
    return weights


def tiny_weights(config: CodConfig) -> dict[str, Tensor]:
    """Return a small network's weights by the recipe, but for what few channels are not good at.

    Its pixels do not come near the zero vector, where the last normalisation would make much of
    the rounding of some number format, and its colours are not far from grey.
    """
    shapes = {name: value.shape for name, value in empty_network(config).state_dict().items()}
    weights = recipe(shapes)
    weights["dec_net.input_proj.bias"] += torch.tensor([3.0, -3.0]).repeat(config.pixel_width // 2)
    weights["y_embedder_x.weight"] *= 6.0
    weights["final_layer.linear.weight"] *= 0.1
    return {name: value.half() for name, value in weights.items()}


def write_tiny(folder: Path, stride: int = TINY.stride, bits: int = TINY.bits) -> Path:
    """Write a small model of some rate; return its folder."""
    config = replace(TINY, stride=stride, bits=bits)
    write_folder(tiny_weights(config), config, folder)
    return folder


def velocity_weights(config: VelocityConfig) -> dict[str, Tensor]:
    """Return a velocity network's weights by the recipe, in half precision."""
    network = empty(lambda: VelocityNetwork(config))
    shapes = {name: value.shape for name, value in network.state_dict().items()}
    return {name: value.half() for name, value in recipe(shapes).items()}


def write_velocity(folder: Path, config: VelocityConfig, vae: Path | None = None) -> Path:
    """Write a small model of many steps; return its folder."""
    write_velocity_folder(velocity_weights(config), config, folder, vae)
    return folder


if __name__ == "__main__":
    write_tiny(Path(sys.argv[1]))
