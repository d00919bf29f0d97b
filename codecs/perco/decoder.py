"""From tokens to what ``perco`` shows: a start near their mean, few steps, synthesis."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from diffc.codec import DecodeOptions
from diffc.codecs.perco.model import TokenModel
from diffc.codecs.perco.tokeniser import Tokens
from diffc.codecs.shared.diffusion.latent_noise import initial_noise
from diffc.codecs.shared.diffusion.token_sampling import (
    DEFAULT_STEPS,
    LAST_LEVEL,
    noise_levels,
    sample,
    start_level,
)

# the mean of tokens is as smooth as an estimate from this much noise
MEAN_LEVEL = 4.0


def render(
    model: TokenModel,
    tokens: Tokens,
    present: Sequence[Tensor],
    seed: int,
    options: DecodeOptions,
) -> Tensor:
    """Draw a picture that tokens could have been taken from.

    Parameters
    ----------
    model : TokenModel
        Of the file.
    tokens : Tokens
        Indices, on the model's device.
    present : sequence of Tensor
        Which of each grid's tokens are there, bool (1, h, w).
    seed : int
        Of the noise.
    options : DecodeOptions
        Of them count steps, guidance, realism and progress.

    Returns
    -------
    Tensor
        Pixels (1, 3, H, W) in [0, 1], sides multiples of the model's.
    """
    condition = model.condition(tokens, present)
    mean = model.mean(condition)
    realism = 1.0 if options.realism is None else options.realism
    if realism == 0:
        return model.synthesise(mean, MEAN_LEVEL)
    steps = options.steps or DEFAULT_STEPS
    share = sum(int(each.sum()) for each in present) / present[-1].numel()
    levels = noise_levels(start_level(share, steps), LAST_LEVEL, steps)
    noise = initial_noise(seed, (mean.shape[1], mean.shape[2], mean.shape[3]), model.device)
    denoise = model.denoiser(condition, 1.0 if options.guidance is None else options.guidance)
    made = sample(denoise, mean + levels[0] * noise, levels, options.progress)
    return model.synthesise(mean.lerp(made, realism), levels[-1])
