"""The folder of a CoD-Lite model: ``config.json``, and weights under their published names."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from diffc.codecs.cod.codec import COD
from diffc.codecs.cod.config import CodConfig
from diffc.codecs.cod.network import CodNetwork
from diffc.codecs.shared.models import config_of

KIND = COD.name
WEIGHTS = "cod.safetensors"


def read_config(folder: Path) -> CodConfig:
    """Return the sizes of a folder's network.

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
    with torch.device("meta"):
        return CodNetwork(config)


def check_weights(shapes: Mapping[str, Sequence[int]], config: CodConfig) -> None:
    """Require the weights of a network: all of them, no others, of its shapes.

    Raises
    ------
    ValueError
        If they are not; it names those that are missing, too many, or of a wrong shape.
    """
    wanted = {
        name: tuple(value.shape) for name, value in empty_network(config).state_dict().items()
    }
    found = {name: tuple(shape) for name, shape in shapes.items()}
    wrong = [name for name in wanted if name in found and found[name] != wanted[name]]
    faults = [
        *(f"lacks {name}" for name in wanted if name not in found),
        *(f"has no place for {name}" for name in found if name not in wanted),
        *(f"has {name} of shape {found[name]} for {wanted[name]}" for name in wrong),
    ]
    if faults:
        more = f" and {len(faults) - 3} more faults" if len(faults) > 3 else ""
        raise ValueError(
            f"weights of a CoD network of stride {config.stride} are complete, but this one "
            f"{', '.join(faults[:3])}{more}: convert or fetch it anew"
        )


def read_network(folder: Path, config: CodConfig, *, encoder: bool) -> CodNetwork:
    """Read one half of a network, float32 on the CPU; the other half has no memory.

    Parameters
    ----------
    folder : Path
        Has been written by `write_folder`.
    config : CodConfig
        From `read_config`.
    encoder : bool
        Read the encoder and the codebook; else all but the encoder.

    Raises
    ------
    OSError, ValueError
        If the weights cannot be read, or are not those of the network.
    """
    network = empty_network(config)
    with safe_open(folder / WEIGHTS, framework="pt") as file:
        names = list(file.keys())
        check_weights({name: file.get_slice(name).get_shape() for name in names}, config)
        half = [name for name in names if _wanted(name, encoder=encoder)]
        weights = {name: file.get_tensor(name).float() for name in half}
    network.load_state_dict(weights, strict=False, assign=True)
    return network.eval().requires_grad_(False)


def _wanted(name: str, *, encoder: bool) -> bool:
    of_encoder = name.startswith("y_embedder.encoder.")
    return of_encoder == encoder or name.startswith("y_embedder.bottleneck.")


def write_folder(state: Mapping[str, Tensor], config: CodConfig, folder: Path) -> None:
    """Write a model's folder, in the weights' own number formats.

    Raises
    ------
    ValueError
        If the weights are not those of the network.
    OSError
        If the folder exists, or cannot be written.
    """
    check_weights({name: value.shape for name, value in state.items()}, config)
    folder.mkdir(parents=True)
    save_file({name: value.contiguous() for name, value in state.items()}, folder / WEIGHTS)
    text = json.dumps({"kind": KIND, KIND: asdict(config)}, indent=1)
    (folder / "config.json").write_text(text + "\n")
