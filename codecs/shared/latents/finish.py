"""The end of a walk: from a state with noise to an estimate, without bits."""

from __future__ import annotations

import itertools
from collections.abc import Callable

from torch import Tensor

from diffc.codecs.shared.diffusion.samplers import advance, ddim_weights, denoise_scaled
from diffc.codecs.shared.diffusion.schedules import even_times
from diffc.codecs.shared.latents.models import LatentModel


def finish(
    model: LatentModel,
    x: Tensor,
    time: int,
    steps: int,
    progress: Callable[[int], None] = lambda step: None,
) -> tuple[Tensor, float]:
    """Denoise from a state without bits; return the estimate and the noise level it was made at.

    ``progress`` is called with the number of steps that are done.
    """
    places = even_times(time, 0, steps)[:-1] if time else [0]
    path = [model.sigmas[place] for place in places]
    for step, (sigma, sigma_next) in enumerate(itertools.pairwise(path)):
        progress(step)
        denoised = denoise_scaled(model.denoiser, x, sigma)
        x = advance(ddim_weights(sigma, sigma_next), x, denoised)
    progress(len(path) - 1)
    return denoise_scaled(model.denoiser, x, path[-1]), path[-1]
