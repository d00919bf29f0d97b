"""The embedded restoring model: its folder, its number formats, and its tiles."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from diffc.codec import Progress, no_progress
from diffc.codecs.blocks import placed
from diffc.codecs.model_folder import config_of, fingerprint
from diffc.codecs.model_loading import fast_dtype, load_once, with_convolutions_in
from diffc.codecs.relay_diffusion import sample
from diffc.codecs.restoring_network import RestoringConfig, RestoringNetwork
from diffc.codecs.tiling import in_tiles

KIND = "restoring"
WEIGHTS = "restoring.safetensors"

# a tile's features stay under some 300 MB; what lies further away than the margin counts for less
# than the rounding to 8 bits
_TILE, _MARGIN = 1024, 96


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

    def __init__(self, folder: Path, device: str) -> None:
        config = config_of(folder)[KIND]
        self.fingerprint = fingerprint(folder)
        self.device = device
        sizes: dict[str, Any] = {
            key: tuple(v) if isinstance(v, list) else v for key, v in config.items()
        }
        network = RestoringNetwork(RestoringConfig(**sizes))
        weights = load_file(folder / WEIGHTS)
        network.load_state_dict({key: value.float() for key, value in weights.items()})
        placed(network, device).eval().requires_grad_(False)
        with_convolutions_in(network, fast_dtype(device))
        self._network = network

    def restore(
        self,
        base: Tensor,
        noise: Tensor,
        level: Tensor,
        scale: Tensor,
        path: Sequence[Tensor],
        progress: Progress = no_progress,
    ) -> tuple[Tensor, Tensor]:
        """Restore pictures.

        Parameters
        ----------
        base, noise : Tensor
            (N, 3, H, W), float32; the base in [-1, 1], sides multiples of `multiple`.
        level, scale : Tensor
            Root mean square error of each base, and how many times smaller it was coded, (N,).
        path : sequence of Tensor
            Ratios to go through, from `diffc.codecs.relay_diffusion.ratios`.
        progress : callable
            Called with the step that is done and the number of steps.

        Returns
        -------
        Tensor
            The pictures (N, 3, H, W), float32, about [-1, 1].
        Tensor
            Deviations of the detail that they lack, for `diffc.codecs.texture.texture`.
        """
        deviation: list[Tensor] = []
        steps = iter(range(len(path)))

        def restorer(state: Tensor, ratio: Tensor) -> Tensor:
            step = next(steps)
            progress(step, len(path))
            if step < len(path) - 1:
                return tiled(lambda y, z: self._network(y, ratio, z, level, scale), state)

            def estimate(y: Tensor, z: Tensor) -> Tensor:
                return torch.cat(self._network.estimate(y, ratio, z, level, scale), dim=1)

            both = tiled(estimate, state)
            deviation.append(both[:, 3:])
            return both[:, :3]

        def tiled(network: Callable[[Tensor, Tensor], Tensor], state: Tensor) -> Tensor:
            return in_tiles(
                network,
                state,
                base,
                largest=_TILE,
                margin=_MARGIN,
                scale=1,
                multiple=self.multiple,
            )

        restored = sample(restorer, base, noise, path)
        progress(len(path), len(path))
        return restored, deviation[0]


def load(folder: Path, device: str) -> RestoringModel:
    """Return the model of a folder, read once in a process.

    Raises
    ------
    OSError
        If the folder holds no such model.
    """
    return load_once(RestoringModel, folder, device)
