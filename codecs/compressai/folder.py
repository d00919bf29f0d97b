"""The folder of a model of the zoo: ``config.json``, weights and integer tables in safetensors.

Weights have the names of CompressAI's checkpoints, those before its release 1.2.7 for the entropy
bottleneck, which later releases read, too.  Tables of frequencies are there as integers and are
never computed again: floats would come out otherwise on another machine.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from diffc.codecs.compressai.codec import COMPRESSAI
from diffc.codecs.compressai.config import ZooConfig, config_of_shapes
from diffc.codecs.compressai.package import new_network
from diffc.codecs.shared.models import config_of

KIND = COMPRESSAI.name
WEIGHTS = "network.safetensors"
GAINS = "gains"
"""A tensor beside the weights: the gains that a file may name, from the lowest rate up."""
TABLES = ("_quantized_cdf", "_cdf_length", "_offset")
BOTTLENECK, GAUSSIAN = "entropy_bottleneck.", "gaussian_conditional."


def read_config(folder: Path) -> ZooConfig:
    """Return what a folder's model is; its weights are not read.

    Raises
    ------
    OSError
        If the folder has no configuration of this kind, or other weights than it says.
    """
    try:
        config = ZooConfig(**config_of(folder)[KIND])
        with safe_open(folder / WEIGHTS, framework="pt") as file:
            shapes = {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118
        if config != config_of_shapes(shapes):
            raise ValueError("its weights are those of another architecture")
        if (len(shapes.get(GAINS, ())) == 1) != config.variable:
            raise ValueError("a model of variable rate has a list of gains, and no other one")
    except (KeyError, TypeError, ValueError, OSError, SafetensorError) as error:
        raise OSError(
            f"{folder} is no model of CompressAI's zoo ({error}): convert it anew"
        ) from error
    return config


def count_of_gains(folder: Path) -> int:
    """Return how many gains a folder's model has; 1 if its rate is fixed."""
    with safe_open(folder / WEIGHTS, framework="pt") as file:
        if GAINS not in file.keys():  # noqa: SIM118
            return 1
        count: int = file.get_slice(GAINS).get_shape()[0]
        return count


def read_network(folder: Path, config: ZooConfig) -> tuple[Any, Tensor | None, dict[str, Tensor]]:
    """Read a network, float32 on the CPU.

    Returns
    -------
    network : compressai.models.CompressionModel
        Ready to compress; a variable bottleneck still lacks its tables.
    gains : Tensor, optional
        (K,), float32.
    tables : dict of Tensor
        Those of a variable bottleneck by the names of `TABLES`, one of each for each gain; else
        empty.

    Raises
    ------
    OSError, ValueError, RuntimeError
        If the weights cannot be read, or are not those of the network.
    """
    state = load_file(folder / WEIGHTS)
    gains = state.pop(GAINS, None)
    tables = {}
    if config.variable_bottleneck:
        tables = {name: state.pop(BOTTLENECK + name) for name in TABLES}
        state |= {BOTTLENECK + name: torch.zeros(0, dtype=torch.int32) for name in TABLES}
    network = new_network(config)
    network.load_state_dict(state, strict=True)
    return network, gains, tables


def write_folder(weights: Mapping[str, Tensor], config: ZooConfig, folder: Path) -> None:
    """Write a model's folder.

    Raises
    ------
    OSError
        If the folder exists, or cannot be written.
    """
    folder.mkdir(parents=True)
    save_file({name: each.clone().contiguous() for name, each in weights.items()}, folder / WEIGHTS)
    text = json.dumps({"kind": KIND, KIND: asdict(config)}, indent=1)
    (folder / "config.json").write_text(text + "\n")
