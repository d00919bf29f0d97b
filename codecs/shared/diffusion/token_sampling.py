"""From noise to a latent in few deterministic steps, with classifier-free guidance."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from diffc.codec import Progress, no_progress

# (x0 + sigma eps, sigma of each in the batch) -> estimate of x0
Denoise = Callable[[Tensor, Tensor], Tensor]

DEFAULT_STEPS = 4
# the level of the last step, and that of the only one: see docs/perco.md
LAST_LEVEL, ONLY_LEVEL = 0.15, 0.5


def start_level(share: float, steps: int) -> float:
    """Return the noise to start from, by tokens for each position of the latent.

    The more is known the less has to be drawn; a single step starts where one estimate is a
    picture, which is lower.
    """
    return ONLY_LEVEL if steps == 1 else 4.0 * (16 * max(share, 1 / 16)) ** -0.15


def noise_levels(largest: float, smallest: float, steps: int, *, rho: float = 5.0) -> list[float]:
    """Return falling deviations, one for each step (EDM, arXiv 2206.00364, equation 5)."""
    if steps == 1:
        return [largest]
    top, bottom = largest ** (1 / rho), smallest ** (1 / rho)
    return [(top + (bottom - top) * i / (steps - 1)) ** rho for i in range(steps)]


def guided(conditional: Denoise, unconditional: Denoise, guidance: float) -> Denoise:
    """Return estimates moved away from the unconditional ones (arXiv 2207.12598, equation 6).

    ``guidance`` is 1 for the conditional estimate alone, which then costs one evaluation.
    """
    if guidance == 1:
        return conditional

    def denoise(x: Tensor, sigma: Tensor) -> Tensor:
        without = unconditional(x, sigma)
        return without + guidance * (conditional(x, sigma) - without)

    return denoise


def sample(
    denoise: Denoise, x: Tensor, levels: Sequence[float], progress: Progress = no_progress
) -> Tensor:
    """Go down the noise levels and return the last estimate.

    Parameters
    ----------
    denoise : callable
        Estimates the clean latent.
    x : Tensor
        The noisy latent at the first level, x0 + levels[0] * eps.
    levels : sequence of float
        Falling deviations.
    progress : callable
        Called with the step that is done and the number of steps.
    """
    for index, (level, following) in enumerate(itertools.pairwise([*levels, 0.0])):
        sigma = torch.full((len(x),), level, device=x.device)
        estimate = denoise(x, sigma)
        # DDIM (arXiv 2010.02502, equation 12, eta = 0) for x = x0 + sigma eps
        x = estimate + (following / level) * (x - estimate)
        progress(index + 1, len(levels))
    return x
