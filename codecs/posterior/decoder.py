"""The decoder's walk: the coded steps again, and those that finish the picture without bits."""

from __future__ import annotations

from torch import Tensor

from diffc.codec import Coded, DecodeOptions
from diffc.codecs.posterior.bitstream import PosteriorParameters
from diffc.codecs.posterior.candidates import Candidates
from diffc.codecs.posterior.stream import LevelModel
from diffc.codecs.posterior.walk import Walk
from diffc.codecs.shared.latents.models import LatentModel, guided_model, latent_shape
from diffc.codecs.shared.latents.walk import finish, grid_of, read_steps, tail_denoiser


def walk_again(
    coded: Coded, parameters: PosteriorParameters, model: LatentModel, options: DecodeOptions
) -> tuple[Tensor, float]:
    """Repeat a file's coded walk, then denoise without bits.

    Parameters
    ----------
    coded : Coded
        The file.
    parameters : PosteriorParameters
        Its own.
    model : LatentModel
        That the file was made with.
    options : DecodeOptions
        Of them count steps, guidance, progress, and for the steps without bits cache.

    Returns
    -------
    tuple
        The estimate of the clean latent, and the noise level that it was made at.

    Raises
    ------
    OSError
        If the payload or the parameters are none of an encoder's.
    """
    places = parameters.places(grid_of(model.sigmas, parameters.steps))
    cache = parameters.acceleration.cache
    walk = Walk(
        model.walker(cache),
        model.sigmas,
        latent_shape(model, coded.size),
        candidates=Candidates(parameters.kind, parameters.seed, model.device),
        most_bits=parameters.chunk_bits,
        time=places[0],
    )
    levels = LevelModel(walk.layout.grid, parameters.chunk_bits, walk.layout.length)
    coded_steps = parameters.coded_steps
    tail = options.at_least_one_step(model.tail(parameters.steps - coded_steps))
    total = coded_steps + tail
    for step, symbols in read_steps(coded, coded_steps, levels.decode):
        options.progress(step, total)
        walk.take(walk.denoise(), places[step + 1], symbols)
    guided = guided_model(model, options.guidance)
    if guided is model:
        denoiser = tail_denoiser(model, walk.denoiser, cache, options.cache)
    else:
        denoiser = guided.walker(cache if options.cache is None else options.cache)
    estimate = finish(
        model,
        walk.z,
        walk.time,
        tail,
        lambda step: options.progress(coded_steps + step, total),
        denoiser,
    )
    options.progress(total, total)
    return estimate
