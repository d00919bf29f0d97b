"""Training the model of patch latents: its basis, its denoiser, its synthesis, and its folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional as F

from diffc.codecs.shared.latents.denoiser import DenoiserConfig, LatentDenoiser
from diffc.codecs.shared.latents.patch_transform import PATCH, PatchTransform, principal_components
from diffc.codecs.shared.latents.pixels import read_networks
from diffc.codecs.shared.latents.synthesis import (
    DetailConfig,
    Synthesis,
    SynthesisConfig,
    SynthesisDetail,
)
from diffc.codecs.shared.latents.training_denoiser import DenoiserStage
from diffc.codecs.shared.latents.training_estimates import EstimateCrops
from diffc.codecs.shared.latents.training_export import write_latent_model
from diffc.codecs.shared.latents.training_synthesis import SynthesisStage
from diffc.codecs.shared.models import config_of
from diffc.codecs.training.detail_losses import DetailLosses
from diffc.codecs.training.presets import StageSettings
from diffc.codecs.training.run import Run, TrainingStage

LATENT_MODEL, LATENT_START = "model", "model-start"
"""Names of the folder that the networks are written to, and of one whose networks are begun with."""


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
    """Of the stage ``synthesis``.

    ``estimates`` are recorded, of crops whose side is ``estimate_crop``; ``detailed`` crops of a
    batch are those whose detail is drawn and judged.
    """

    estimates: int
    estimate_crop: int
    detailed: int
    network: SynthesisConfig
    detail: DetailConfig
    losses: DetailLosses


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


def first_model(run: Run) -> Path:
    """Return the folder that the synthesis begins with: one that was named, or the new denoiser's."""
    named = run.paths.get(LATENT_START)
    if named is not None:
        return named
    folder = run.folder / LATENT_START
    if not (folder / "config.json").exists():
        transform, std = load_basis(run)
        synthesis = Synthesis(run.preset.settings("synthesis", SynthesisSettings).network)
        synthesis.transform.load_state_dict(transform.state_dict())
        synthesis.channel_std.copy_(std)
        write_latent_model(folder, load_denoiser(run), synthesis)
    return folder


def train_synthesis(
    run: Run, settings: SynthesisSettings, estimates: Path, first: Path, name: str
) -> bool:
    """Go on with the synthesis in a stage's folder; return whether it is done.

    Parameters
    ----------
    run : Run
        Of the stage.
    settings : SynthesisSettings
        Its own.
    estimates : Path
        What `diffc.codecs.shared.latents.training_estimates.record` wrote.
    first : Path
        The model folder whose networks it begins with.
    name : str
        Of the stage.
    """
    run.seed_weights()
    found, detail = read_networks(first, config_of(first))
    # the preset says what is trained on from those weights
    synthesis = Synthesis(settings.network)
    synthesis.load_state_dict(found.state_dict())
    stage = SynthesisStage(
        synthesis,
        EstimateCrops(estimates, settings.crop, run.generator(2)),
        config=settings.detail,
        losses=settings.losses,
        perceptual_weights=run.perceptual(),
        batch=settings.batch,
        detailed=settings.detailed,
        learning_rate=settings.learning_rate,
        device=run.device,
        start=None if detail is None else detail.state_dict(),
    )
    return run.train(stage, name, settings)


def trained_synthesis(
    run: Run, settings: SynthesisSettings, name: str
) -> tuple[Synthesis, SynthesisDetail]:
    """Load the averaged networks of a stage's latest checkpoint."""
    synthesis = Synthesis(settings.network)
    synthesis.load_state_dict(run.averaged(name, "synthesis"))
    detail = SynthesisDetail(settings.detail, settings.network)
    detail.load_state_dict(run.averaged(name, "detail"))
    return synthesis, detail


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


DENOISER = TrainingStage(
    "denoiser", _train_denoiser, {"basis": BasisSettings, "denoiser": DenoiserSettings}
)
