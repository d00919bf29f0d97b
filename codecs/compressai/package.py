"""CompressAI itself, which is imported only when one of its models is used."""

from __future__ import annotations

import warnings
from importlib import import_module
from typing import Any

from diffc.codecs.compressai.config import CLASSES, ZooConfig
from diffc.errors import ModelNotAvailableError


def new_network(config: ZooConfig) -> Any:
    """Return a network of an architecture with weights that are still to be read, float32.

    Raises
    ------
    ModelNotAvailableError
        If CompressAI is not installed, or does not load here.
    """
    import torch

    try:
        with warnings.catch_warnings():
            # what its own dependencies say of torch's newer releases
            warnings.simplefilter("ignore")
            models = import_module("compressai.models")
    except ImportError as error:
        raise ModelNotAvailableError(
            f"this model needs CompressAI, which cannot be imported here ({error}): pip install "
            "'diffc[compressai]', in an environment with numpy < 2"
        ) from error
    # first weights are drawn, which are none of the caller's random numbers
    with torch.random.fork_rng(devices=[]):
        network = getattr(models, CLASSES[config.architecture])(*config.arguments)
    return network.float().eval().requires_grad_(False)
