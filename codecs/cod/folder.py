"""The folder of a CoD-Lite model, and which kind of CoD model a folder holds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

from diffc.codecs.cod.config import CodConfig
from diffc.codecs.cod.network import CodNetwork
from diffc.codecs.shared.cod.condition import ConditionCodec
from diffc.codecs.shared.cod.folder import (
    KIND,
    WEIGHTS,
    check_weights,
    describe,
    empty,
    fill,
    has_velocity_network,
    read_velocity_config,
)
from diffc.codecs.shared.cod.sizes import VelocityConfig
from diffc.codecs.shared.cod.velocity_network import VelocityNetwork
from diffc.codecs.shared.models import config_of

_ENCODER, _CODEBOOK = "y_embedder.encoder.", "y_embedder.bottleneck."


def read_config(folder: Path) -> CodConfig | VelocityConfig:
    """Return the sizes of a folder's network, of either kind.

    Raises
    ------
    OSError
        If the folder has no configuration of this kind.
    """
    if has_velocity_network(folder):
        return read_velocity_config(folder)
    return read_lite_config(folder)


def read_lite_config(folder: Path) -> CodConfig:
    """Return the sizes of a folder's CoD-Lite network.

    Raises
    ------
    OSError
        If the folder has no configuration of this kind.
    """
    try:
        return CodConfig(**config_of(folder)[KIND])
    except (KeyError, TypeError, ValueError) as error:
        raise OSError(f"{folder} is no CoD model ({error}): convert or fetch it anew") from error


def empty_network(config: CodConfig) -> CodNetwork:
    """Return a network whose weights have names and shapes, but no memory."""
    return empty(lambda: CodNetwork(config))


def read_network(folder: Path, config: CodConfig) -> CodNetwork:
    """Read a CoD-Lite network but for its encoder, float32 on the CPU.

    Raises
    ------
    OSError, ValueError
        If the weights cannot be read, or are not those of the network.
    """
    return fill(
        empty_network(config),
        folder / WEIGHTS,
        _describe(config),
        wanted=lambda name: not name.startswith(_ENCODER),
    )


def read_encoder(folder: Path, config: CodConfig | VelocityConfig) -> ConditionCodec:
    """Read the encoder and the codebook of a network of either kind, float32 on the CPU.

    Raises
    ------
    OSError, ValueError
        If the weights cannot be read, or are not those of the network.
    """
    network: CodNetwork | VelocityNetwork
    if isinstance(config, VelocityConfig):
        network, what = empty(lambda: VelocityNetwork(config)), describe(config)
    else:
        network, what = empty_network(config), _describe(config)
    read = fill(
        network,
        folder / WEIGHTS,
        what,
        wanted=lambda name: name.startswith((_ENCODER, _CODEBOOK)),
    )
    return read.y_embedder


def write_folder(state: Mapping[str, Tensor], config: CodConfig, folder: Path) -> None:
    """Write a CoD-Lite model's folder, in the weights' own number formats.

    Raises
    ------
    ValueError
        If the weights are not those of the network.
    OSError
        If the folder exists, or cannot be written.
    """
    shapes = {name: value.shape for name, value in state.items()}
    check_weights(shapes, empty_network(config), _describe(config))
    folder.mkdir(parents=True)
    save_file({name: value.contiguous() for name, value in state.items()}, folder / WEIGHTS)
    text = json.dumps({"kind": KIND, KIND: asdict(config)}, indent=1)
    (folder / "config.json").write_text(text + "\n")


def _describe(config: CodConfig) -> str:
    return f"a CoD-Lite network of stride {config.stride}"
