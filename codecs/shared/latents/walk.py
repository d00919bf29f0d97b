"""Walks over a model's noise levels: their places, the coded steps, and the end without bits."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from torch import Tensor

from diffc.codec import Coded
from diffc.codecs.shared.diffusion.denoisers import Denoiser
from diffc.codecs.shared.diffusion.samplers import advance, ddim_weights, denoise_scaled
from diffc.codecs.shared.diffusion.schedules import even_times
from diffc.codecs.shared.latents.models import LatentModel
from diffc.entropy.range_coder import RangeDecoder
from diffc.errors import FileError

Symbols = TypeVar("Symbols")

# the noise levels where quality 0 and 100 end; between them it is even in the logarithm
_SIGMA_WORST, _SIGMA_BEST = 6.0, 0.06


def grid_of(sigmas: Sequence[float], steps: int) -> list[int]:
    """Return the places of a walk of so many steps over all of a table of noise levels."""
    return even_times(len(sigmas) - 1, 0, steps)


def quality_time(quality: float, sigmas: Sequence[float]) -> int:
    """Return the time whose noise level a quality of 0 to 100 ends at."""
    level = math.exp(math.log(_SIGMA_WORST) + math.log(_SIGMA_BEST / _SIGMA_WORST) * quality / 100)
    return sum(sigma < level for sigma in sigmas)


def read_steps(
    coded: Coded, count: int, read: Callable[[RangeDecoder], Symbols]
) -> Iterator[tuple[int, Symbols]]:
    """Yield the number and the symbols of each coded step; of a prefix, as many as it surely holds.

    Parameters
    ----------
    coded : Coded
        The file.
    count : int
        Coded steps.
    read : callable
        Reads the next step's symbols, and raises ValueError where there are none.

    Raises
    ------
    OSError
        If the payload is none of an encoder's.
    """
    decoder = RangeDecoder(coded.payload)
    for step in range(count):
        try:
            symbols = read(decoder)
        except ValueError as error:
            if coded.truncated and not decoder.certain():
                return
            raise FileError(f"{error}") from error
        if coded.truncated and not decoder.certain():
            return
        yield step, symbols


def tail_denoiser(model: LatentModel, walker: Denoiser, cache: int, wanted: int | None) -> Denoiser:
    """Return the denoiser of the steps without bits, in which a decoder may do as it likes.

    Parameters
    ----------
    model : LatentModel
        Of the file.
    walker : Denoiser
        Of the coded steps, from `LatentModel.walker` with ``cache``.
    cache : int
        What the file says of its coded steps.
    wanted : int, optional
        What the caller wants; None is to go on in the same way.
    """
    return walker if wanted is None or wanted == cache else model.walker(wanted)


def finish(
    model: LatentModel,
    x: Tensor,
    time: int,
    steps: int,
    progress: Callable[[int], None] = lambda step: None,
    denoiser: Denoiser | None = None,
) -> tuple[Tensor, float]:
    """Denoise from a state without bits; return the estimate and the noise level that the bits ended at.

    ``progress`` is called with the number of steps that are done; ``denoiser`` is the model's own if it
    is left out.
    """
    denoiser = model.denoiser if denoiser is None else denoiser
    places = even_times(time, 0, steps)[:-1] if time else [0]
    path = [model.sigmas[place] for place in places]
    for step, (sigma, sigma_next) in enumerate(itertools.pairwise(path)):
        progress(step)
        denoised = denoise_scaled(denoiser, x, sigma)
        x = advance(ddim_weights(sigma, sigma_next), x, denoised)
    progress(len(path) - 1)
    return denoise_scaled(denoiser, x, path[-1]), path[0]
