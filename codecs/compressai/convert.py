"""From a released checkpoint of CompressAI's zoo to a model folder."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from diffc.codecs.compressai.config import ZooConfig, config_of_shapes
from diffc.codecs.compressai.folder import BOTTLENECK, GAINS, GAUSSIAN, TABLES, write_folder
from diffc.codecs.compressai.package import new_network
from diffc.errors import OptionError

GAINS_BETWEEN = 8
"""Steps from one trained gain to the next; the ratio of each is the same."""
# left over from training, which no release reads
_UNUSED = ("QuantOffset",)
# names that the entropy bottleneck's weights have had: in lists, with and without an underscore
_LISTED = re.compile(r"entropy_bottleneck\._?(matri|bias|factor)(?:ces|es|s)\.(\d+)")
_SINGLE = {"matri": "matrix", "bias": "bias", "factor": "factor"}


def renamed(name: str) -> str:
    """Return the name that a weight of a checkpoint has in a model folder.

    Checkpoints that were written by several processes have ``module.`` in front; a residual block's
    ``downsample`` became ``skip``; the entropy bottleneck's ``_matrix0`` has also been
    ``_matrices.0`` and ``matrices.0``, and so have biases and factors.
    """
    name = name.removeprefix("module.").replace(".downsample.", ".skip.")
    listed = _LISTED.fullmatch(name)
    if listed is None:
        return name
    return f"{BOTTLENECK}_{_SINGLE[listed[1]]}{listed[2]}"


def write_model(state: Mapping[str, Tensor], arguments: Mapping[str, Any], folder: Path) -> None:
    """Write a checkpoint as a model folder for the codec ``compressai``.

    Parameters
    ----------
    state : mapping
        Names to weights, with the tables of frequencies as every released checkpoint has them.
        Where they are empty, as after training, they are computed here, once.
    arguments : mapping
        Of a configuration, if one was given: its ``architecture`` has to be that of the weights.
    folder : Path
        Is made.

    Raises
    ------
    OptionError
        If weights are missing, too many or of a wrong shape, or the architecture is another.
    OSError
        If CompressAI is not here, or the folder exists or cannot be written.
    """
    weights = {renamed(name): each for name, each in state.items() if name not in _UNUSED}
    config = config_of_shapes({name: tuple(each.shape) for name, each in weights.items()})
    given = arguments.get("architecture", config.architecture)
    if given != config.architecture:
        raise OptionError(
            f"the weights are those of {config.architecture}, and the configuration says "
            f"{str(given)[:60]!r}: give the checkpoint's own"
        )
    with torch.no_grad():
        network = _loaded(weights, config)
        kept = {renamed(name): each for name, each in network.state_dict().items()}
        if config.variable:
            gains = ladder(network.Gain)
            kept[GAINS] = gains
            if config.variable_bottleneck:
                kept |= _variable_tables(network, gains)
        write_folder(kept, config, folder)


def ladder(trained: Tensor) -> Tensor:
    """Return the gains that files may name: those that were trained, and some between them.

    Parameters
    ----------
    trained : Tensor
        (levels,), the network's own; their signs do not count.

    Returns
    -------
    Tensor
        (K,), float32, rising.
    """
    levels = trained.detach().abs().sort().values.tolist()
    gains = [
        low * (high / low) ** (step / GAINS_BETWEEN)
        for low, high in pairwise(levels)
        for step in range(GAINS_BETWEEN)
    ]
    return torch.tensor([*gains, levels[-1]])


def _loaded(weights: dict[str, Tensor], config: ZooConfig) -> Any:
    """Return a network with these weights, and with all tables but those of a variable bottleneck."""
    network = new_network(config)
    for module, names in ((BOTTLENECK, TABLES), (GAUSSIAN, (*TABLES, "scale_table"))):
        if module == BOTTLENECK or config.hyper:
            weights = {module + name: torch.zeros(0) for name in names} | weights
    if config.variable_bottleneck:
        # they hold for one gain, and every gain of the ladder gets its own
        weights |= {BOTTLENECK + name: torch.zeros(0) for name in TABLES}
    try:
        network.load_state_dict(weights, strict=True)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:300]
        raise OptionError(
            f"the weights of {config.architecture} are complete, and these are not ({reason}): "
            "convert a released checkpoint"
        ) from error
    # computes those that are empty
    network.update()
    return network


def _variable_tables(network: Any, gains: Tensor) -> dict[str, Tensor]:
    """Compute the hyper-latent's tables for every gain; rows end with zeros that do not count."""
    bottleneck = network.entropy_bottleneck
    made: dict[str, list[Tensor]] = {name: [] for name in TABLES}
    for gain in gains:
        step = network.lower_bound_zqstep(network.gayn2zqstep(1 / gain.view(1)))
        bottleneck.update_variable(force=True, qs=step)
        state = bottleneck.state_dict()
        for name, each in made.items():
            each.append(state[name].clone())
    longest = max(each.shape[1] for each in made[TABLES[0]])
    made[TABLES[0]] = [
        torch.nn.functional.pad(each, (0, longest - each.shape[1])) for each in made[TABLES[0]]
    ]
    return {BOTTLENECK + name: torch.stack(each).int() for name, each in made.items()}
