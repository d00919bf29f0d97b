"""From tokens to what ``perco`` shows: a start near their mean, few steps, synthesis."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from diffc.codec import DecodeOptions
from diffc.codecs.perco.model import TokenModel
from diffc.codecs.perco.tokeniser import Tokens
from diffc.codecs.shared.diffusion.samplers import add_noise, initial_noise, sample_ddim
from diffc.codecs.shared.diffusion.schedules import edm_sigmas

DEFAULT_STEPS = 4
# the level of the last step, and that of the only one: see docs/perco.md
LAST_LEVEL, ONLY_LEVEL = 0.15, 0.5
DEFAULT_REALISM = 1.0
# the mean of tokens is as smooth as an estimate from this much noise
MEAN_LEVEL = 4.0


def start_level(share: float, steps: int) -> float:
    """Return the noise to start from, by tokens for each position of the latent.

    The more is known the less has to be drawn; a single step starts where one estimate is a
    picture, which is lower.
    """
    return ONLY_LEVEL if steps == 1 else 4.0 * (16 * max(share, 1 / 16)) ** -0.15


def decoding_levels(share: float, steps: int) -> list[float]:
    """Return the falling noise levels of decoding, one for each step; `start_level` is the first."""
    return edm_sigmas(start_level(share, steps), LAST_LEVEL, steps)


def estimate(
    model: TokenModel,
    tokens: Tokens,
    present: Sequence[Tensor],
    seed: int,
    options: DecodeOptions,
) -> tuple[Tensor, float]:
    """Draw a latent that tokens could have been taken from.

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
    tuple
        The estimate (1, channels, rows, columns), and the noise level that it was made at.
    """
    condition = model.condition(tokens, present)
    mean = model.mean(condition)
    share = sum(int(each.sum()) for each in present) / present[-1].numel()
    realism = realism_of(options)
    if realism == 0:
        return mean, MEAN_LEVEL
    steps = options.at_least_one_step(DEFAULT_STEPS)
    sigmas = decoding_levels(share, steps)
    noise = initial_noise(seed, (mean.shape[1], mean.shape[2], mean.shape[3]), model.device)
    denoiser = model.denoiser(condition, 1.0 if options.guidance is None else options.guidance)
    x = add_noise(mean, noise, sigmas[0])
    made = sample_ddim(denoiser, x, [*sigmas, 0.0], options.progress)
    return mean.lerp(made, realism), sigmas[-1]


def realism_of(options: DecodeOptions) -> float:
    """Return the realism that is asked for."""
    return DEFAULT_REALISM if options.realism is None else options.realism


def render(
    model: TokenModel,
    tokens: Tokens,
    present: Sequence[Tensor],
    seed: int,
    options: DecodeOptions,
) -> Tensor:
    """Draw a picture that tokens could have been taken from; see `estimate`.

    Returns
    -------
    Tensor
        Pixels (1, 3, H, W) in [0, 1], sides multiples of the model's.
    """
    latent, level = estimate(model, tokens, present, seed, options)
    return model.synthesise(latent, level, realism_of(options), seed)
