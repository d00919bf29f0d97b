"""The folder of a CoD model: ``config.json``, and weights under their published names.

A network for latents has its autoencoder in the folder, so that one fingerprint stands for all that
a picture depends on.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from diffc.codecs.shared.cod.sizes import LATENT, VelocityConfig
from diffc.codecs.shared.cod.velocity_network import VelocityNetwork
from diffc.codecs.shared.declarations import COD
from diffc.codecs.shared.models import config_of
from diffc.models.identity import weight_files
from diffc.optional_packages import models_class

KIND = COD.name
WEIGHTS, AUTOENCODER_WEIGHTS = "cod.safetensors", "vae.safetensors"
_VELOCITY, _AUTOENCODER = "velocity", "vae"

Network = TypeVar("Network", bound=nn.Module)

# what diffusers once called the layers of attention
_EARLIER_NAMES = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}


def has_velocity_network(folder: Path) -> bool:
    """Tell whether a folder's network is one that estimates velocities.

    Raises
    ------
    OSError
        If there is no readable configuration.
    """
    return _VELOCITY in config_of(folder)


def read_velocity_config(folder: Path) -> VelocityConfig:
    """Return the sizes of a folder's velocity network.

    Raises
    ------
    OSError
        If the folder has no configuration of this kind.
    """
    try:
        return VelocityConfig(**config_of(folder)[_VELOCITY])
    except (KeyError, TypeError, ValueError) as error:
        raise OSError(f"{folder} is no CoD model ({error}): convert or fetch it anew") from error


def empty(make: Callable[[], Network]) -> Network:
    """Return a network whose weights have names and shapes, but no memory."""
    with torch.device("meta"):
        return make()


def check_weights(shapes: Mapping[str, Sequence[int]], network: nn.Module, what: str) -> None:
    """Require the weights of a network: all of them, no others, of its shapes.

    Parameters
    ----------
    shapes : mapping
        What was found.
    network : Module
        May be without memory.
    what : str
        The network, for the sentence.

    Raises
    ------
    ValueError
        If they are not; it names those that are missing, too many, or of a wrong shape.
    """
    wanted = {name: tuple(value.shape) for name, value in network.state_dict().items()}
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
            f"weights of {what} are complete, but this one {', '.join(faults[:3])}{more}: convert "
            "or fetch it anew"
        )


def fill(
    network: Network,
    path: Path,
    what: str,
    *,
    wanted: Callable[[str], bool] = lambda name: True,
    dtype_of: Callable[[str], torch.dtype] = lambda name: torch.float32,
) -> Network:
    """Read a network's weights on the CPU, those that are wanted; the others have no memory.

    Parameters
    ----------
    network : Module
        From `empty`.
    path : Path
        Of the safetensors; all weights of the network have to be there.
    what : str
        The network, for complaints.
    wanted, dtype_of : callable
        Whether a weight of a name is read, and as what.

    Raises
    ------
    OSError, ValueError
        If the weights cannot be read, or are not those of the network.
    """
    with safe_open(path, framework="pt") as file:
        names = list(file.keys())
        check_weights({name: file.get_slice(name).get_shape() for name in names}, network, what)
        weights = {name: file.get_tensor(name).to(dtype_of(name)) for name in names if wanted(name)}
    network.load_state_dict(weights, strict=False, assign=True)
    return network.eval().requires_grad_(False)


def read_autoencoder(folder: Path) -> tuple[dict[str, Any], nn.Module]:
    """Read the configuration and the network of a folder's autoencoder, float32 on the CPU.

    Raises
    ------
    ModelNotAvailableError
        If diffusers is not installed.
    OSError, ValueError
        If it is not there, or its weights are not those of its configuration.
    """
    config = config_of(folder)[_AUTOENCODER]
    kind = models_class("diffusers", "AutoencoderKL")
    network: nn.Module = empty(lambda: kind.from_config(config))
    return config, fill(network, folder / AUTOENCODER_WEIGHTS, "this autoencoder")


def write_velocity_folder(
    state: Mapping[str, Tensor], config: VelocityConfig, folder: Path, vae: Path | None = None
) -> None:
    """Write a model's folder, in the weights' own number formats.

    Parameters
    ----------
    state : mapping
        Names to weights.
    config : VelocityConfig
        Of the network.
    folder : Path
        Is made.
    vae : Path, optional
        A directory of diffusers with the autoencoder that the network's latents are of, or one that
        has it in ``vae``; only for networks that have latents, which need it.

    Raises
    ------
    ValueError
        If the weights are not those of the network, or the autoencoder is missing or too many.
    OSError
        If the folder exists, or cannot be written, or the autoencoder cannot be read.
    """
    network = empty(lambda: VelocityNetwork(config))
    check_weights({name: value.shape for name, value in state.items()}, network, describe(config))
    if (vae is not None) != (config.space == LATENT):
        raise ValueError(
            "a CoD network for latents is put together with its autoencoder, and one for pixels has "
            f"none; this one is for {config.space}s: "
            + ("name the autoencoder's directory with --vae" if vae is None else "drop --vae")
        )
    settings: dict[str, Any] = {"kind": KIND, _VELOCITY: asdict(config)}
    autoencoder: dict[str, Tensor] = {}
    if vae is not None:
        part = vae / "vae" if (vae / "vae" / "config.json").is_file() else vae
        settings[_AUTOENCODER] = {
            name: value for name, value in config_of(part).items() if not name.startswith("_")
        }
        autoencoder = _autoencoder_weights(part)
    folder.mkdir(parents=True)
    save_file({name: value.contiguous() for name, value in state.items()}, folder / WEIGHTS)
    if autoencoder:
        save_file(autoencoder, folder / AUTOENCODER_WEIGHTS)
    (folder / "config.json").write_text(json.dumps(settings, indent=1) + "\n")


def describe(config: VelocityConfig) -> str:
    """Return what a network is, for a sentence."""
    return f"a CoD network for {config.space}s of stride {config.stride}"


def _autoencoder_weights(part: Path) -> dict[str, Tensor]:
    """Read the weights of an autoencoder under the names that diffusers has for them now."""
    weights = {}
    for path in weight_files(part):
        with safe_open(path, framework="pt") as file:
            for name in list(file.keys()):
                *before, layer, last = name.split(".")
                present = _EARLIER_NAMES.get(layer, layer) if "attentions" in before else layer
                weights[".".join([*before, present, last])] = file.get_tensor(name)
    return weights
