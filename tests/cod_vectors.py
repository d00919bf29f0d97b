"""Conformance vectors of CoD's networks, and the networks that they belong to."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from make_cod_model import recipe
from PIL import Image
from torch import Tensor

from diffc.codecs.shared.cod.sizes import VelocityConfig
from diffc.codecs.shared.cod.velocity_network import VelocityNetwork
from diffc.codecs.shared.tokens.fixed_length import unpack
from diffc.codecs.shared.tokens.vector_quantiser import words

VECTORS = Path(__file__).parent / "data" / "cod"
_PIXEL = VelocityConfig(
    width=96, heads=4, patch_blocks=3, last_blocks=2, inner_width=256, pixel_width=16
)
CONFIGS = {
    "pixel": _PIXEL,
    "latent": VelocityConfig(
        space="latent", width=64, heads=4, patch_blocks=3, last_blocks=2, inner_width=170
    ),
    "onestep_x": VelocityConfig(
        stride=16,
        bits=8,
        width=96,
        heads=4,
        patch_blocks=3,
        last_blocks=2,
        inner_width=256,
        pixel_width=16,
        one_step="x",
    ),
    "onestep_v": VelocityConfig(
        width=96,
        heads=4,
        patch_blocks=3,
        last_blocks=2,
        inner_width=256,
        pixel_width=16,
        one_step="v",
        noise_level=1.0,
    ),
}
PUBLISHED = {
    "pixel": VelocityConfig(),
    "latent": VelocityConfig(space="latent", patch_blocks=22, last_blocks=6),
    "latent_64bits": VelocityConfig(space="latent", patch_blocks=22, last_blocks=6, stride=128),
}


def shapes_of(name: str) -> dict[str, list[int]]:
    """Return the names and shapes of a network's weights."""
    shapes: dict[str, list[int]] = json.loads((VECTORS / f"{name}.state_dict.json").read_text())
    return shapes


def empty(config: VelocityConfig) -> VelocityNetwork:
    """Return a network whose weights have no memory."""
    with torch.device("meta"):
        return VelocityNetwork(config).eval().requires_grad_(False)


def noise(name: str, shape: tuple[int, ...]) -> Tensor:
    """Return the vectors' noise of a name."""
    source = np.random.RandomState(zlib.crc32(name.encode()))
    return torch.from_numpy(source.standard_normal(shape).astype(np.float32))


@dataclass(frozen=True)
class Vectors:
    """Those of one network."""

    name: str
    config: VelocityConfig
    network: VelocityNetwork
    pixels: Tensor
    facts: dict[str, Any]

    def array(self, name: str) -> Tensor:
        """Return an array of the vectors."""
        return torch.from_numpy(np.load(VECTORS / f"{self.name}.{name}.npy"))

    def tokens(self, stream: str) -> Tensor:
        """Return the tokens (rows, columns) of a stream."""
        rows, columns = (side // self.config.stride for side in self.pixels.shape[2:])
        return unpack(bytes.fromhex(self.facts[stream]), (rows, columns), self.config.bits)

    def condition(self, stream: str) -> Tensor:
        """Return the condition of a stream."""
        codec = self.network.y_embedder
        with torch.no_grad():
            made: Tensor = codec.decoder(words(self.tokens(stream)[None], codec.codebook))
        return made

    @property
    def state_shape(self) -> tuple[int, ...]:
        """Return the shape of what the network denoises."""
        height, width = self.pixels.shape[2:]
        factor = 1 if self.config.space == "pixel" else 8
        return 1, self.config.channels, height // factor, width // factor


@cache
def vectors_of(name: str) -> Vectors:
    """Read the vectors of a network, and fill it."""
    network = empty(CONFIGS[name])
    network.load_state_dict(recipe(shapes_of(name)), assign=True)
    with Image.open(VECTORS / f"{name}.png") as picture:
        pixels = torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None].float() / 255
    facts = json.loads((VECTORS / f"{name}.json").read_text())
    return Vectors(name, CONFIGS[name], network.requires_grad_(False), pixels, facts)
