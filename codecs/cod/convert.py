"""From a released CoD-Lite checkpoint to a model folder."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from diffc.codecs.cod.config import PATCH, CodConfig
from diffc.codecs.cod.folder import write_folder

_PREFIX = "net."


def write_model(state: Mapping[str, Tensor], config: Mapping[str, Any], folder: Path) -> None:
    """Write a released checkpoint as a model folder for the codec ``cod``.

    Parameters
    ----------
    state : mapping
        Names to weights.  If names begin with ``net.``, these are the network; what else there
        is belongs to training and is left out.
    config : mapping
        The arguments of the network in the checkpoint's configuration (``ds``, ``codebook_bits``,
        ``hidden_size`` and so on), as far as they are known; the sizes are taken from the
        weights, and what is given has to agree with them.
    folder : Path
        Is made.

    Raises
    ------
    ValueError
        If weights are missing, too many or of a wrong shape, or the configuration is another.
    OSError
        If the folder exists, or cannot be written.
    """
    if any(name.startswith(_PREFIX) for name in state):
        state = {
            name.removeprefix(_PREFIX): value
            for name, value in state.items()
            if name.startswith(_PREFIX)
        }
    sizes = _sizes({name: tuple(value.shape) for name, value in state.items()})
    _check_agreement(sizes, config)
    write_folder(state, sizes, folder)


def _sizes(shapes: Mapping[str, tuple[int, ...]]) -> CodConfig:
    """Read the sizes of a network off its weights' shapes."""
    try:
        words, code_length = shapes["y_embedder.bottleneck.embedding.weight"]
        narrow, embedded = shapes["x_embedder.embedder.0.weight"]
        time = shapes["t_embedder.mlp.0.weight"]
        return CodConfig(
            # half the size goes in, the first level halves, and then those that have a halving
            stride=4 << sum(_halving(level) in shapes for level in (1, 2, 3)),
            bits=words.bit_length() - 1,
            width=time[0],
            pixel_width=narrow,
            patch_blocks=_count(shapes, "blocks.{}.conv1.weight"),
            pixel_blocks=_count(shapes, "dec_net.res_blocks.{}.in_ln.weight"),
            expansion=shapes["blocks.0.conv4.weight"][0] // time[0],
            encoder_width=shapes["y_embedder.encoder.conv_in.weight"][0],
            code_length=code_length,
            noise_features=shapes["s_embedder.proj1.weight"][0],
            time_features=time[1],
            frequencies=math.isqrt(embedded - 3 - narrow),
        )
    except (KeyError, ValueError, TypeError, IndexError) as error:
        raise ValueError(
            f"the weights are those of a CoD-Lite network, which these are not ({error}): convert "
            "one of its released checkpoints"
        ) from error


def _halving(level: int) -> str:
    return f"y_embedder.encoder.down_block_{level}.2.conv.weight"


def _count(shapes: Mapping[str, tuple[int, ...]], form: str) -> int:
    return next(number for number in range(len(shapes) + 1) if form.format(number) not in shapes)


def _check_agreement(sizes: CodConfig, config: Mapping[str, Any]) -> None:
    expected = {
        "ds": sizes.stride,
        "codebook_bits": sizes.bits,
        "hidden_size": sizes.width,
        "hidden_size_x": sizes.pixel_width,
        "num_cond_blocks": sizes.patch_blocks,
        "num_blocks": sizes.patch_blocks + sizes.pixel_blocks,
        "bottleneck_dim": sizes.noise_features,
        "patch_size": PATCH,
        "in_channels": 3,
        # what the decoder is made for: the picture in one step, from no noise
        "pred": "x",
        "noise_level": 0,
        "up2x": True,
        "light": True,
    }
    for name, value in expected.items():
        if name in config and config[name] != value:
            raise ValueError(
                f"{name} of this checkpoint is {value!r} for the codec, and its configuration says "
                f"{config[name]!r}: convert a one-step CoD-Lite checkpoint with its own configuration"
            )
