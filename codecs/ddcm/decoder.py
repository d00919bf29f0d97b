"""The decoder's walk: the coded steps again, and those that finish the picture without bits."""

from __future__ import annotations

from torch import Tensor

from diffc.codec import Coded, DecodeOptions
from diffc.codecs.ddcm.atoms import AtomModel, decode_atoms
from diffc.codecs.ddcm.bitstream import DdcmParameters
from diffc.codecs.ddcm.codebook import HadamardCodebook
from diffc.codecs.shared.diffusion.samplers import (
    advance,
    ancestral_weights,
    denoise_scaled,
    initial_noise,
)
from diffc.codecs.shared.latents.blocks import BlockLayout
from diffc.codecs.shared.latents.models import LatentModel, latent_shape
from diffc.codecs.shared.latents.walk import finish, grid_of, read_steps, tail_denoiser


def walk_again(
    coded: Coded, parameters: DdcmParameters, model: LatentModel, options: DecodeOptions
) -> tuple[Tensor, float]:
    """Repeat a file's coded walk, then denoise without bits.

    Parameters
    ----------
    coded : Coded
        The file.
    parameters : DdcmParameters
        Its own.
    model : LatentModel
        That the file was made with.
    options : DecodeOptions
        Of them count steps, progress, and for the steps without bits cache.

    Returns
    -------
    tuple
        The estimate of the clean latent, and the noise level that it was made at.

    Raises
    ------
    OSError
        If the payload or the parameters are none of an encoder's.
    """
    sigmas, cache = model.sigmas, parameters.acceleration.cache
    denoiser = model.walker(cache)
    places = parameters.places(grid_of(sigmas, parameters.steps))
    shape = latent_shape(model, coded.size)
    layout = BlockLayout(*shape)
    codebook = HadamardCodebook(layout, parameters.seed, model.device)
    atom_model = AtomModel(layout.grid, layout.length)
    x, now = initial_noise(parameters.seed, shape, model.device), places[0]
    coded_steps = parameters.coded_steps
    tail = options.at_least_one_step(model.tail(parameters.steps - coded_steps))
    total = coded_steps + tail
    steps = read_steps(coded, coded_steps, lambda decoder: decode_atoms(decoder, atom_model))
    for step, atoms in steps:
        options.progress(step, total)
        x0hat = denoise_scaled(denoiser, x, sigmas[now])
        noise = layout.join(codebook.noise(step, atoms))
        weights = ancestral_weights(sigmas[now], sigmas[places[step + 1]])
        x, now = advance(weights, x, x0hat, noise[None]), places[step + 1]
    estimate = finish(
        model,
        x,
        now,
        tail,
        lambda step: options.progress(coded_steps + step, total),
        tail_denoiser(model, denoiser, cache, options.cache),
    )
    options.progress(total, total)
    return estimate
