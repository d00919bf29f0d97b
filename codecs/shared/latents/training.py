"""The stages that train the model of patch latents: denoiser, synthesis, and its folder."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional as F

from diffc.codecs.shared.latents.denoiser import DenoiserConfig, LatentDenoiser
from diffc.codecs.shared.latents.patch_model import KIND
from diffc.codecs.shared.latents.patch_transform import PATCH, PatchTransform, principal_components
from diffc.codecs.shared.latents.synthesis import Synthesis, SynthesisConfig
from diffc.codecs.shared.latents.training_denoiser import DenoiserStage
from diffc.codecs.shared.latents.training_synthesis import SynthesisLosses, SynthesisStage
from diffc.codecs.training.export import write_model
from diffc.codecs.training.presets import StageSettings
from diffc.codecs.training.run import Run, TrainingStage

LATENT_MODEL = "model"
"""Name of the folder that the networks are written to, for `Run.export_folder`."""
# the orthonormal basis keeps its precision: it decides how exactly a picture is represented
_FULL_PRECISION = {"transform.basis", "channel_std"}
_SIGMAS = {"smallest": 0.05, "largest": 60.0, "count": 1000, "warp": 0.7}


@dataclass(frozen=True)
class BasisSettings:
    """Channels of the transform, and crops of which size its basis is found from."""

    channels: int
    crops: int
    crop: int


@dataclass(frozen=True)
class DenoiserSettings(StageSettings):
    """Of the stage ``denoiser``."""

    network: DenoiserConfig


@dataclass(frozen=True)
class SynthesisSettings(StageSettings):
    """Of the stage ``synthesis``."""

    network: SynthesisConfig
    losses: SynthesisLosses


def write_latent_model(folder: Path, denoiser: LatentDenoiser, synthesis: Synthesis) -> None:
    """Write what `diffc.codecs.shared.latents.patch_model` reads."""
    config = {
        "kind": KIND,
        "denoiser": asdict(denoiser.config),
        "synthesis": asdict(synthesis.config),
        "sigmas": _SIGMAS,
    }
    networks = {"denoiser": denoiser, "synthesis": synthesis}
    states = {f"{name}.safetensors": each.state_dict() for name, each in networks.items()}
    write_model(folder, config, states, _FULL_PRECISION)


def load_basis(run: Run) -> tuple[PatchTransform, Tensor]:
    """Find the principal components once, and load them after that, with their deviations."""
    settings = run.preset.settings("basis", BasisSettings)
    path = run.folder / "basis.safetensors"
    if not path.exists():
        run.folder.mkdir(parents=True, exist_ok=True)
        crops = run.crops(settings.crop, 0)
        batches = [crops.batch(16) for _ in range(settings.crops // 16)]
        patches = torch.cat([F.unfold(batch, PATCH, stride=PATCH) for batch in batches])
        rows = patches.permute(0, 2, 1).reshape(-1, 3 * PATCH**2)
        basis, std = principal_components(rows, settings.channels)
        save_file({"basis": basis, "std": std}, path)
    found = load_file(path)
    transform = PatchTransform(settings.channels)
    transform.get_buffer("basis").copy_(found["basis"])
    return transform, found["std"]


def load_denoiser(run: Run) -> LatentDenoiser:
    """Load the averaged denoiser of the latest checkpoint."""
    network = LatentDenoiser(run.preset.settings("denoiser", DenoiserSettings).network)
    network.load_state_dict(run.averaged("denoiser", "denoiser"))
    return network


def load_synthesis(run: Run) -> Synthesis:
    """Load the averaged synthesis network of the latest checkpoint."""
    network = Synthesis(run.preset.settings("synthesis", SynthesisSettings).network)
    network.load_state_dict(run.averaged("synthesis", "synthesis"))
    return network


def _train_denoiser(run: Run) -> bool:
    transform, std = load_basis(run)
    settings = run.preset.settings("denoiser", DenoiserSettings)
    run.seed_weights()
    stage = DenoiserStage(
        transform,
        std,
        run.crops(settings.crop, 1),
        config=settings.network,
        batch=settings.batch,
        learning_rate=settings.learning_rate,
        device=run.device,
    )
    return run.train(stage, "denoiser", settings)


def _train_synthesis(run: Run) -> bool:
    transform, _ = load_basis(run)
    settings = run.preset.settings("synthesis", SynthesisSettings)
    run.seed_weights()
    stage = SynthesisStage(
        transform,
        load_denoiser(run),
        run.crops(settings.crop, 2),
        config=settings.network,
        losses=settings.losses,
        perceptual_weights=run.perceptual(),
        batch=settings.batch,
        learning_rate=settings.learning_rate,
        device=run.device,
    )
    return run.train(stage, "synthesis", settings)


def _export(run: Run) -> bool:
    folder = run.export_folder(LATENT_MODEL)
    write_latent_model(folder, load_denoiser(run), load_synthesis(run))
    return True


STAGES = (
    TrainingStage(
        "denoiser", _train_denoiser, {"basis": BasisSettings, "denoiser": DenoiserSettings}
    ),
    TrainingStage(
        "synthesis",
        _train_synthesis,
        {"basis": BasisSettings, "denoiser": DenoiserSettings, "synthesis": SynthesisSettings},
        needs=("denoiser",),
        perceptual=True,
    ),
    TrainingStage(
        "export",
        _export,
        {"denoiser": DenoiserSettings, "synthesis": SynthesisSettings},
        needs=("denoiser", "synthesis"),
        writes=LATENT_MODEL,
    ),
)
