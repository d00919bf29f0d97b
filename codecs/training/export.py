"""Write trained networks as a model folder: short safetensors and a config.json."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

from diffc.codecs.perco.control import TokenControl
from diffc.codecs.perco.tokeniser import TokenNetwork
from diffc.codecs.relay.network import RestoringNetwork
from diffc.codecs.shared.latents.denoiser import LatentDenoiser
from diffc.codecs.shared.latents.synthesis import Synthesis
from diffc.codecs.shared.models import fingerprint
from diffc.codecs.shared.networks.byte_weights import to_bytes

# the orthonormal basis keeps its precision: it decides how exactly a picture is represented
_FULL_PRECISION = {"transform.basis", "channel_std"}

SIGMAS = {"smallest": 0.05, "largest": 60.0, "count": 1000, "warp": 0.7}


def write_model(folder: Path, denoiser: LatentDenoiser, synthesis: Synthesis) -> None:
    """Write weights and the configuration that `diffc.codecs.shared.latents.patch_model` reads."""
    folder.mkdir(parents=True, exist_ok=True)
    save_half(denoiser, folder / "denoiser.safetensors")
    save_half(synthesis, folder / "synthesis.safetensors")
    config = {
        "kind": "patch",
        "denoiser": asdict(denoiser.config),
        "synthesis": asdict(synthesis.config),
        "sigmas": SIGMAS,
    }
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")


def write_restoring_model(folder: Path, network: RestoringNetwork) -> None:
    """Write weights and the configuration that `diffc.codecs.relay.model` reads."""
    folder.mkdir(parents=True, exist_ok=True)
    state = {name: value.cpu() for name, value in network.state_dict().items()}
    save_file(to_bytes(state), folder / "restoring.safetensors")
    config = {"kind": "restoring", "restoring": asdict(network.config)}
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")


def write_token_model(
    folder: Path, tokens: TokenNetwork, control: TokenControl, shared: Path
) -> None:
    """Write what `diffc.codecs.perco.model` reads, but for the index model.

    Parameters
    ----------
    folder : Path
        Where to.
    tokens, control : TokenNetwork, TokenControl
        Trained together.
    shared : Path
        The folder of the denoiser that they were trained with, which `write_model` has written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    state = {f"tokens.{name}": value for name, value in tokens.state_dict().items()}
    state |= {f"control.{name}": value for name, value in control.state_dict().items()}
    save_file(
        to_bytes({name: value.cpu() for name, value in state.items()}),
        folder / "tokens.safetensors",
    )
    config = {
        "kind": "tokens",
        "shared": fingerprint(shared).hex(),
        "tokens": asdict(tokens.config),
        "control": asdict(control.config),
    }
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")


def save_half(module: nn.Module, path: Path) -> None:
    """Save a module's state in float16, but for what needs its precision."""
    state = {
        name: value.cpu().contiguous().to(torch.float32 if name in _FULL_PRECISION else torch.half)
        for name, value in module.state_dict().items()
    }
    save_file(state, path)
