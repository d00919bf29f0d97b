"""The embedded restoring model: its folder, its number formats, and its tiles."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from diffc.codec import Progress, no_progress
from diffc.codecs.relay.diffusion import onward
from diffc.codecs.relay.network import RestoringConfig, RestoringNetwork
from diffc.codecs.shared.models import (
    config_of,
    fast_dtype,
    fingerprint,
    load_once,
    with_convolutions_in,
)
from diffc.codecs.shared.networks.blocks import placed
from diffc.codecs.shared.networks.byte_weights import from_bytes
from diffc.codecs.shared.tiling.exact import Finish, in_strips

KIND = "restoring"
WEIGHTS = "restoring.safetensors"

# a tile's features stay under some 200 MB; what lies further away than the margin counts for less
# than the rounding to 8 bits
_TILE, _MARGIN = 768, 96


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
        network.load_state_dict(restoring_weights(folder))
        placed(network, device).eval().requires_grad_(False)
        with_convolutions_in(network, fast_dtype(device))
        self._network = network

    def restore(
        self,
        state: Tensor,
        base: Callable[[slice], Tensor],
        level: Tensor,
        scale: Tensor,
        path: Sequence[Tensor],
        finish: Callable[[slice, Tensor, Tensor], Tensor],
        progress: Progress = no_progress,
    ) -> None:
        """Restore pictures in their place, a strip at a time.

        Parameters
        ----------
        state : Tensor
            y_N, the base with its noise (N, 3, H, W), float32, sides multiples of `multiple`; what
            `finish` returns takes its place.
        base : callable
            Returns rows of z_c (N, 3, rows, W), float32 in [-1, 1].
        level, scale : Tensor
            Root mean square error of each base, and how many times smaller it was coded, (N,).
        path : sequence of Tensor
            Ratios to go through, from `diffc.codecs.relay.diffusion.ratios`.
        finish : callable
            Maps rows, the base there (N, 3, rows, W), and the restored picture, about [-1, 1], with
            the deviations of the detail that it lacks (N, 3 + BANDS, rows, W), for
            `diffc.codecs.relay.texture.texture`, to what stays in the state.
        progress : callable
            Called with the step that is done and the number of steps.
        """
        for step, ratio in enumerate(path[:-1]):
            progress(step, len(path))
            network = partial(_picture, self._network, ratio, level, scale)
            self._walk(network, state, base, partial(_onward, ratio, path[step + 1]))
        progress(len(path) - 1, len(path))
        network = partial(_picture_and_deviations, self._network, path[-1], level, scale)
        self._walk(network, state, base, lambda rows, _, z, made: finish(rows, z, made))
        progress(len(path), len(path))

    def _walk(
        self,
        network: Callable[[Tensor, Tensor], Tensor],
        state: Tensor,
        base: Callable[[slice], Tensor],
        finish: Finish,
    ) -> None:
        in_strips(
            network,
            state,
            base,
            finish,
            largest=_TILE,
            margin=_MARGIN,
            multiple=self.multiple,
        )


def restoring_weights(folder: Path) -> dict[str, Tensor]:
    """Return the weights of a model folder's network, float32, for `load_state_dict`."""
    return from_bytes(load_file(folder / WEIGHTS))


def _picture(
    network: RestoringNetwork, ratio: Tensor, level: Tensor, scale: Tensor, y: Tensor, z: Tensor
) -> Tensor:
    restored: Tensor = network(y, ratio, z, level, scale)
    return restored


def _picture_and_deviations(
    network: RestoringNetwork, ratio: Tensor, level: Tensor, scale: Tensor, y: Tensor, z: Tensor
) -> Tensor:
    return torch.cat(network.estimate(y, ratio, z, level, scale), dim=1)


def _onward(
    ratio: Tensor, following: Tensor, _rows: slice, y: Tensor, _z: Tensor, clean: Tensor
) -> Tensor:
    return onward(y, clean, ratio, following)


def load(folder: Path, device: str) -> RestoringModel:
    """Return the model of a folder, read once in a process.

    Raises
    ------
    OSError
        If the folder holds no such model.
    """
    return load_once(RestoringModel, folder, device)
