"""The embedded restoring model: its folder, its number formats, and its tiles.

`RestoringModel` is what `diffc.codecs.relay.decoder.Denoiser` asks for.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import Tensor

from diffc.codecs.relay.codec import RESTORING
from diffc.codecs.relay.network import Condition, Restorer, RestorerConfig
from diffc.codecs.shared.diffusion.samplers import per_item
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
    # a tile's features stay in the processor's caches as far as they can; what lies further away
    # than the margin counts for less than the rounding to 8 bits
    largest, margin = 512, 96
    # a picture of at most so many pixels a side is cheaper in one piece than with margins
    whole = 864

    def __init__(self, folder: Path, device: str) -> None:
        config = config_of(folder)[KIND]
        self.fingerprint = fingerprint(folder)
        self.device = device
        sizes: dict[str, Any] = {
            key: tuple(v) if isinstance(v, list) else v for key, v in config.items()
        }
        network = Restorer(RestorerConfig(**sizes))
        network.load_state_dict(restoring_weights(folder))
        to_device(network, device).eval().requires_grad_(False)
        with_convolutions_in(network, fast_dtype(device))
        self._network = network

    def denoise(self, x: Tensor, sigma: Tensor, base: Tensor, condition: Condition) -> Tensor:
        """Return the estimate of the photograph (N, 3, rows, W); see `decoder.Denoiser.denoise`."""
        realism = sigma / condition.level
        if not bool(sigma.any()):  # there is no noise, and the mean is the answer

            def faithful(base: Tensor) -> Tensor:
                made: Tensor = self._network.mean(base, condition)[0]
                return made

            return self._in_columns(faithful, base)

        def natural(x: Tensor, base: Tensor) -> Tensor:
            made: Tensor = self._network(base, condition, (x - base) / per_item(sigma), realism)
            return made

        return self._in_columns(natural, x, base)

    def _in_columns(self, network: Callable[..., Tensor], *rows: Tensor) -> Tensor:
        """Apply a network to rows, cut into tiles if they are long."""
        if max(rows[0].shape[2:]) <= self.whole:
            return network(*rows)
        return in_tiles(
            network,
            *rows,
            largest=max(self.largest, rows[0].shape[2]),
            margin=self.margin,
            scale=1,
            multiple=self.multiple,
        )


def restoring_weights(folder: Path) -> dict[str, Tensor]:
    """Return the weights of a model folder's network, float32, for `load_state_dict`."""
    return from_bytes(load_file(folder / WEIGHTS))
