"""The embedded restoring model: its folder, its number formats, and its tiles.

`RestoringModel` is what `diffc.codecs.relay.decoder.Restorer` asks for.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from diffc.codecs.relay.codec import RESTORING
from diffc.codecs.relay.network import RestoringConfig, RestoringNetwork
from diffc.codecs.shared.models import (
    config_of,
    fast_dtype,
    fingerprint,
    with_convolutions_in,
)
from diffc.codecs.shared.networks.blocks import to_device
from diffc.codecs.shared.tiling.exact import in_tiles
from diffc.models.byte_weights import from_bytes

KIND = RESTORING.name
WEIGHTS = "restoring.safetensors"


class RestoringModel:
    """Photographs from base pictures.

    Parameters
    ----------
    folder : Path
        Holds config.json and restoring.safetensors.
    device : str
        Where it runs.
    """

    # the network halves its windows' grid twice, so pictures are padded to this multiple
    multiple = 16
    # a tile's features stay under some 200 MB; what lies further away than the margin counts for
    # less than the rounding to 8 bits
    largest, margin = 768, 96

    def __init__(self, folder: Path, device: str) -> None:
        config = config_of(folder)[KIND]
        self.fingerprint = fingerprint(folder)
        self.device = device
        sizes: dict[str, Any] = {
            key: tuple(v) if isinstance(v, list) else v for key, v in config.items()
        }
        network = RestoringNetwork(RestoringConfig(**sizes))
        network.load_state_dict(restoring_weights(folder))
        to_device(network, device).eval().requires_grad_(False)
        with_convolutions_in(network, fast_dtype(device))
        self._network = network

    def denoise(
        self, x: Tensor, sigma: Tensor, base: Tensor, level: Tensor, scale: Tensor
    ) -> Tensor:
        """Return the estimate of the photograph (N, 3, rows, W); see `Restorer.denoise`."""

        def network(x: Tensor, base: Tensor) -> Tensor:
            made: Tensor = self._network(x, sigma, base, level, scale)
            return made

        return self._in_columns(network, x, base)

    def denoise_with_deviations(
        self, x: Tensor, sigma: Tensor, base: Tensor, level: Tensor, scale: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return that, and the deviations of what it lacks, for `relay.texture.texture`."""

        def network(x: Tensor, base: Tensor) -> Tensor:
            return torch.cat(self._network.estimate(x, sigma, base, level, scale), dim=1)

        made = self._in_columns(network, x, base)
        return made[:, :3], made[:, 3:]

    def _in_columns(
        self, network: Callable[[Tensor, Tensor], Tensor], x: Tensor, base: Tensor
    ) -> Tensor:
        """Apply a network to rows, cut into tiles if they are long."""
        largest = max(self.largest, x.shape[2])
        return in_tiles(
            network,
            x,
            base,
            largest=largest,
            margin=self.margin,
            scale=1,
            multiple=self.multiple,
        )


def restoring_weights(folder: Path) -> dict[str, Tensor]:
    """Return the weights of a model folder's network, float32, for `load_state_dict`."""
    return from_bytes(load_file(folder / WEIGHTS))
