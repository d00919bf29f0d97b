"""From a dequantised latent to a picture: a few denoising steps, then the synthesis."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor

from diffc.codec import Progress, no_progress
from diffc.codecs.shared.diffusion.samplers import ddim_step
from diffc.codecs.shared.diffusion.schedules import even_times
from diffc.codecs.shared.latents.models import DEFAULT_REALISM, LatentModel


def default_steps(model: LatentModel) -> int:
    """Return how many evaluations are best: one where an error in the latent is one in pixels."""
    return 1 if model.keeps_lengths else 3


def denoise(
    model: LatentModel, latent: Tensor, time: int, steps: int, progress: Progress = no_progress
) -> tuple[Tensor, float]:
    """Denoise a latent that is taken for one with the noise of a level.

    Parameters
    ----------
    model : LatentModel
        Whose denoiser and noise levels are used.
    latent : Tensor
        y = z + error, (1, channels, rows, columns).
    time : int
        The level's place in the model's table.
    steps : int
        Evaluations; 0 leaves the latent as it is.
    progress : callable
        Called with the step that is done and the number of steps.

    Returns
    -------
    tuple
        The estimate of the clean latent, and the level.
    """
    if steps == 0:
        return latent, model.sigmas[time]
    places = even_times(time, 0, steps)[:-1] if time else [0]
    path = [model.sigmas[place] for place in places]
    x = latent
    for step, (sigma, sigma_next) in enumerate(itertools.pairwise(path)):
        x = ddim_step(x, _denoised(model, x, sigma), sigma, sigma_next)
        progress(step + 1, len(path))
    estimate = _denoised(model, x, path[-1])
    progress(len(path), len(path))
    return estimate, path[0]


def _denoised(model: LatentModel, x: Tensor, sigma: float) -> Tensor:
    return model.denoiser(x, torch.full((len(x),), sigma, dtype=torch.float32, device=x.device))


def render(
    model: LatentModel, latent: Tensor, sigma: float, realism: float | None, seed: int
) -> Tensor:
    """Return pixels (1, 3, H, W) in [0, 1] of a latent's estimate.

    Parameters
    ----------
    model : LatentModel
        Whose synthesis is used.
    latent : Tensor
        The estimate, (1, channels, rows, columns).
    sigma : float
        The noise level that matches the latent's error.
    realism : float, optional
        From 0, the picture of least squared error, to 1, the most natural one.  Where no network
        draws detail, what the latent says is mixed with what the learned synthesis makes of it.
    seed : int
        Of noise that detail is drawn from.
    """
    if model.draws:
        return model.synthesise(
            latent, sigma, DEFAULT_REALISM if realism is None else realism, seed
        )
    if not realism:
        return model.reconstruct(latent)
    made = model.synthesise(latent, sigma, realism, seed)
    return made.mul_(realism).add_(model.reconstruct(latent), alpha=1 - realism)
