"""Small random networks of every class of CompressAI's zoo, and folders of them."""

from __future__ import annotations

import warnings
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from diffc.codecs.compressai.config import CLASSES
from diffc.codecs.compressai.convert import write_model

HERE = find_spec("compressai") is not None
needs_compressai = pytest.mark.skipif(not HERE, reason="needs make test-compressai")
CHANNELS, LATENT_CHANNELS = 8, 12


def library(name: str) -> Any:
    """Import a part of CompressAI, whatever its dependencies warn of."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return import_module(name)


def network_of(architecture: str, loud: float = 60, seed: int = 1) -> Any:
    """Return a network whose latents have many values; louder ones take more bytes."""
    arguments: tuple[Any, ...] = (CHANNELS, LATENT_CHANNELS)
    if architecture.startswith("cheng2020"):
        arguments = (LATENT_CHANNELS,)
    elif architecture in ("bmshj2018-hyperprior-vbr", "mbt2018-mean-vbr"):
        # as those that are released
        arguments = (*arguments, True)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = getattr(library("compressai.models"), CLASSES[architecture])(*arguments).eval()
    last = network.g_a[-2 if architecture == "cheng2020-attn" else -1]
    with torch.no_grad():
        last.weight.mul_(loud)
    network.update()
    return network


def write_zoo_model(folder: Path, architecture: str, loud: float = 60) -> Path:
    """Write a network's folder, as converting its checkpoint does."""
    write_model(network_of(architecture, loud).state_dict(), {}, folder)
    return folder


def noise(height: int, width: int) -> Tensor:
    """Return pixels (1, 3, height, width) of all frequencies."""
    return torch.rand((1, 3, height, width), generator=torch.Generator().manual_seed(7))
