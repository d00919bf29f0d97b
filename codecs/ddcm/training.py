"""What trains the model of ``ddcm``: the latent denoiser, and its synthesis on estimates of walks."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator

import torch
from torch import Tensor

from diffc.codec import no_progress
from diffc.codecs.ddcm.codebook import HadamardCodebook
from diffc.codecs.ddcm.encoder import EncoderWalk, walk_to_size
from diffc.codecs.shared.diffusion.samplers import add_noise
from diffc.codecs.shared.latents.blocks import BlockLayout
from diffc.codecs.shared.latents.patch_model import PatchModel
from diffc.codecs.shared.latents.training import (
    DENOISER,
    LATENT_MODEL,
    LATENT_START,
    BasisSettings,
    DenoiserSettings,
    SynthesisSettings,
    first_model,
    train_synthesis,
    trained_synthesis,
)
from diffc.codecs.shared.latents.training_estimates import Estimate, record
from diffc.codecs.shared.latents.training_export import write_latent_model
from diffc.codecs.shared.latents.walk import finish, grid_of
from diffc.codecs.training.photos import Crops
from diffc.codecs.training.run import Run, TrainingStage

# how often latents come from coded walks, with plain noise, as after a walk by reverse channel
# coding, and quantised
_KINDS, _SHARES = ("walk", "noise", "quantised"), (0.5, 0.25, 0.25)
_RATES = (0.008, 0.6)
"""In bits per pixel."""
_LEVELS = (0.06, 6.0)
# evaluations after the coded steps, and how often they are so many
_TAILS, _OFTEN = (1, 2, 4), (0.25, 0.6, 0.15)
_STEPS = 30


def estimates(model: PatchModel, crops: Crops, seed: int) -> Iterator[Estimate]:
    """Yield what decoders end with, for crops of photographs, at all rates."""
    chooser = random.Random(seed)
    while True:
        photo = crops.batch(1)
        with torch.inference_mode():
            target = model.analyse(photo.add(1).div(2).to(model.device))
            kind, tail = chooser.choices(_KINDS, _SHARES)[0], chooser.choices(_TAILS, _OFTEN)[0]
            if kind == "walk":
                rate = _between(chooser, *_RATES)
                x, time = _walk(model, target, round(rate * photo.shape[2] * photo.shape[3] / 8))
            else:
                least = _between(chooser, *_LEVELS)
                time = sum(sigma < least for sigma in model.sigmas)
                sigma = model.sigmas[time]
                if kind == "noise":
                    noise = torch.randn(target.shape, generator=crops.generator)
                    noisy = add_noise(target, noise.to(target.device), sigma)
                else:
                    noisy, tail = _quantised(target, sigma, chooser.random() < 0.5, crops), 1
                x = noisy / math.hypot(1, sigma)
            latent, level = finish(model, x, time, tail)
        pixels = photo[0].add(1).mul(127.5).round().byte()
        yield Estimate(pixels, latent[0].cpu(), level)


def _walk(model: PatchModel, target: Tensor, room: int) -> tuple[Tensor, int]:
    """Return the state and the time that a walk ends with."""
    channels, rows, columns = target.shape[1:]
    walk = EncoderWalk(
        model.denoiser,
        model.sigmas,
        target,
        torch.ones(1, 1, rows, columns, dtype=torch.float32, device=target.device),
        grid_of(model.sigmas, _STEPS),
        codebook=HadamardCodebook(BlockLayout(channels, rows, columns), 0, model.device),
        atoms=None,
    )
    walk_to_size(walk, room, no_progress)
    return walk.state.x, walk.state.time


def _quantised(target: Tensor, sigma: float, dithered: bool, crops: Crops) -> Tensor:
    """Return a latent in steps whose error has about the deviation ``sigma``."""
    step = math.sqrt(12) * sigma
    shift = torch.zeros_like(target)
    if dithered:
        uniform = torch.rand(target.shape, generator=crops.generator).to(target.device)
        shift = step * (uniform - 0.5)
    return ((target + shift) / step).round() * step - shift


def _between(chooser: random.Random, low: float, high: float) -> float:
    return low * math.exp(chooser.random() * math.log(high / low))


def _train(run: Run) -> bool:
    settings = run.preset.settings("synthesis", SynthesisSettings)
    first = first_model(run)
    folder = run.folder / "estimates"
    model = PatchModel(first, run.device)

    def part(number: int) -> Iterator[Estimate]:
        crops = run.crops(settings.estimate_crop, 8, number)
        return estimates(model, crops, run.preset.seed + number)

    record(folder, part, settings.estimates)
    return train_synthesis(run, settings, folder, first, "synthesis")


def _export(run: Run) -> bool:
    settings = run.preset.settings("synthesis", SynthesisSettings)
    networks = trained_synthesis(run, settings, "synthesis")
    write_latent_model(run.export_folder(LATENT_MODEL), first_model(run), *networks)
    return True


_TABLES = {
    "basis": BasisSettings,
    "denoiser": DenoiserSettings,
    "synthesis": SynthesisSettings,
}

STAGES = (
    DENOISER,
    TrainingStage(
        "synthesis",
        _train,
        _TABLES,
        needs=("denoiser",),
        perceptual=True,
        begins_with=LATENT_START,
    ),
    TrainingStage("export", _export, _TABLES, needs=("synthesis",), writes=LATENT_MODEL),
)
