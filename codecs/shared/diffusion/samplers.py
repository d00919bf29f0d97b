"""Steps from noise to a picture, as functions of ``denoised = model(x, sigma)``.

A state is ``x = x0 + sigma * eps``; noise is an argument, from the portable generator.  Of DDIM
(arXiv 2010.02502) there are two steps here, in the letters of its equation 12: `ddim_step` with
eta = 0, and, for a codec that chooses the noise of a walk, `ancestral_weights` with eta = 1.  Their
order of operations is part of what files decode to.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from diffc.codec import Progress, no_progress
from diffc.codecs.shared.diffusion.denoisers import Denoiser, flow_sigma
from diffc.noise.streams import Purpose, random_normals

Level = float | Tensor
"""A noise level: one for all of a batch, or (N,)."""


def initial_noise(seed: int, shape: tuple[int, int, int], device: str) -> Tensor:
    """Return (1, channels, height, width) of standard normals from the portable generator."""
    channels, height, width = shape
    indices = torch.arange(channels)
    normals = random_normals(seed, Purpose.INITIAL, 0, indices, height * width, device)
    return normals.reshape(1, channels, height, width)


def per_item(level: Tensor) -> Tensor:
    """Return levels (N,) as factors of pictures, (N, 1, 1, 1)."""
    return level[:, None, None, None]


def add_noise(clean: Tensor, noise: Tensor, sigma: Level) -> Tensor:
    """Return the state x = x0 + sigma * eps (EDM, arXiv 2206.00364, section 2)."""
    return clean + (per_item(sigma) if isinstance(sigma, Tensor) else sigma) * noise


def ddim_step(x: Tensor, denoised: Tensor, sigma: Level, sigma_next: Level) -> Tensor:
    """Keep the noise that is estimated, at its new level (DDIM, equation 12, eta = 0).

    Parameters
    ----------
    x, denoised : Tensor
        The state and the model's estimate of x0, (N, C, H, W).
    sigma, sigma_next : float or Tensor
        Levels before, > 0, and after; at 0 the result is the estimate.
    """
    ratio = sigma_next / sigma
    factor = per_item(ratio) if isinstance(ratio, Tensor) else ratio
    return denoised + factor * (x - denoised)


def sample_ddim(
    model: Denoiser, x: Tensor, sigmas: Sequence[Level], progress: Progress = no_progress
) -> Tensor:
    """Go down the noise levels by `ddim_step`.

    Parameters
    ----------
    model : callable
        The denoiser.
    x : Tensor
        The state at the first level, x0 + sigmas[0] * eps.
    sigmas : sequence of float or Tensor
        Falling; the last, usually 0, is where the result stands.
    progress : callable
        Called with the step that is done and the number of steps.
    """
    steps = len(sigmas) - 1
    for step, (sigma, sigma_next) in enumerate(itertools.pairwise(sigmas)):
        x = ddim_step(x, model(x, _of_each(sigma, x)), sigma, sigma_next)
        progress(step + 1, steps)
    return x


def sample_flow(
    model: Denoiser,
    x: Tensor,
    times: Sequence[float],
    *,
    order: int = 2,
    progress: Progress = no_progress,
) -> Tensor:
    """Go along the paths x_s = (1 - s) x0 + s eps, whose direction is u = (x_s - x0hat) / s.

    Parameters
    ----------
    model : callable
        The denoiser; it is asked at the levels `flow_sigma` of the times.
    x : Tensor
        The state at the first time; at s = 1 it is noise alone.
    times : sequence of float
        s from (0, 1], falling; the last, usually 0, is where the result stands.
    order : int
        1 for Euler's steps, which are those of `sample_ddim`; 2 for steps by the direction before,
        too (Adams-Bashforth, with steps of any length), the first being Euler's.
    progress : callable
        Called with the step that is done and the number of steps.
    """
    steps = len(times) - 1
    before: tuple[Tensor, float] | None = None
    for step, (s, s_next) in enumerate(itertools.pairwise(times)):
        sigma, length = flow_sigma(s), s_next - s
        direction = (x - model(x * (sigma / s), _of_each(sigma, x))) / s
        if before is None or order == 1:
            x = x + length * direction
        else:
            ratio = length / (2 * before[1])
            x = x + length * ((1 + ratio) * direction - ratio * before[0])
        before = direction, length
        progress(step + 1, steps)
    return x


def _of_each(sigma: Level, x: Tensor) -> Tensor:
    if isinstance(sigma, Tensor):
        return sigma
    return torch.full((len(x),), sigma, dtype=torch.float32, device=x.device)


@dataclass(frozen=True)
class StepWeights:
    """x_next = ``denoised`` * x0hat + ``state`` * x + ``noise`` * n, where n has unit variance.

    The states of such a walk are kept at unit variance, z = x / sqrt(1 + sigma^2), as DDPM's
    z = sqrt(ab) x0 + sqrt(1 - ab) eps; see `denoise_scaled`.
    """

    denoised: float
    state: float
    noise: float


def ancestral_weights(sigma: float, sigma_next: float) -> StepWeights:
    """Weights of a draw from q(z_next | z, x0 = x0hat) (DDIM, equation 12, eta = 1).

    The noise is the codec's to choose (DDCM, arXiv 2502.01189).
    """
    ab, ab_next = 1 / (1 + sigma**2), 1 / (1 + sigma_next**2)
    ratio = ab / ab_next
    variance = (1 - ab_next) / (1 - ab) * (1 - ratio)
    return StepWeights(
        denoised=math.sqrt(ab_next) * (1 - ratio) / (1 - ab),
        state=math.sqrt(ratio) * (1 - ab_next) / (1 - ab),
        noise=math.sqrt(variance),
    )


def ddim_weights(sigma: float, sigma_next: float) -> StepWeights:
    """Weights of `ddim_step` between states of unit variance."""
    ab, ab_next = 1 / (1 + sigma**2), 1 / (1 + sigma_next**2)
    state = math.sqrt((1 - ab_next) / (1 - ab))
    return StepWeights(denoised=math.sqrt(ab_next) - state * math.sqrt(ab), state=state, noise=0.0)


def advance(
    weights: StepWeights, z: Tensor, denoised: Tensor, noise: Tensor | None = None
) -> Tensor:
    """Take a step from z; ``noise`` may be left out where its weight is zero."""
    moved = weights.denoised * denoised + weights.state * z
    return moved if noise is None else moved + weights.noise * noise


def denoise_scaled(model: Denoiser, z: Tensor, sigma: float) -> Tensor:
    """Ask a model about a state of unit variance, z = x / sqrt(1 + sigma^2)."""
    return model(z * math.hypot(1, sigma), _of_each(sigma, z))
