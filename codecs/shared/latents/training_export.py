"""Write trained networks as a model folder: short safetensors and a config.json."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from safetensors.torch import save_file
from torch import nn

from diffc.codecs.shared.latents.denoiser import LatentDenoiser
from diffc.codecs.shared.latents.synthesis import Synthesis
from diffc.models.byte_weights import to_bytes

# the orthonormal basis keeps its precision: it decides how exactly a picture is represented
_FULL_PRECISION = {"transform.basis", "channel_std"}

SIGMAS = {"smallest": 0.05, "largest": 60.0, "count": 1000, "warp": 0.7}


def write_model(folder: Path, denoiser: LatentDenoiser, synthesis: Synthesis) -> None:
    """Write weights and the configuration that `diffc.codecs.shared.latents.patch_model` reads."""
    folder.mkdir(parents=True, exist_ok=True)
    save_weights(denoiser, folder / "denoiser.safetensors")
    save_weights(synthesis, folder / "synthesis.safetensors")
    config = {
        "kind": "patch",
        "denoiser": asdict(denoiser.config),
        "synthesis": asdict(synthesis.config),
        "sigmas": SIGMAS,
    }
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")


def save_weights(module: nn.Module, path: Path) -> None:
    """Save a module's state in one byte a weight, but for what needs its precision."""
    state = {name: value.cpu() for name, value in module.state_dict().items()}
    save_file(to_bytes(state, _FULL_PRECISION), path)
