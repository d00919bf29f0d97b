"""The decoder's walk: the coded steps again, and those that finish the picture without bits."""

from __future__ import annotations

from torch import Tensor

from diffc.codec import Coded, DecodeOptions
from diffc.codecs.ddcm.atoms import AtomModel, decode_atoms
from diffc.codecs.ddcm.bitstream import DdcmParameters
from diffc.codecs.ddcm.codebook import HadamardCodebook
from diffc.codecs.ddcm.encoder import grid_of
from diffc.codecs.shared.diffusion.samplers import (
    advance,
    ancestral_weights,
    denoise_scaled,
    initial_noise,
)
from diffc.codecs.shared.latents.blocks import BlockLayout
from diffc.codecs.shared.latents.finish import finish
from diffc.codecs.shared.latents.models import LatentModel
from diffc.entropy.range_coder import RangeDecoder


def walk_again(
    coded: Coded,
    parameters: DdcmParameters,
    model: LatentModel,
    device: str,
    options: DecodeOptions,
) -> Tensor:
    """Repeat a file's coded walk, then denoise without bits.

    Parameters
    ----------
    coded : Coded
        The file.
    parameters : DdcmParameters
        Its own.
    model : LatentModel
        That the file was made with.
    device : str
        Where it runs.
    options : DecodeOptions
        Of them count steps and progress.

    Returns
    -------
    Tensor
        Pixels (1, 3, H, W) in [0, 1], sides multiples of the model's.

    Raises
    ------
    OSError
        If the payload or the parameters are none of an encoder's.
    """
    steps, coded_steps, time = parameters.steps, parameters.coded_steps, parameters.time
    width, height = coded.size
    grid = grid_of(model.sigmas, steps)
    if coded_steps:
        first, last = grid[coded_steps - 1], grid[coded_steps]
        coded.require(
            last <= time < first,
            f"a walk of {steps} steps ends step {coded_steps} between times {first} and {last}, not "
            f"at {time}",
        )
    rows, columns = (-(-side // model.multiple) * model.positions for side in (height, width))
    shape = (model.channels, rows, columns)
    layout = BlockLayout(*shape)
    codebook = HadamardCodebook(layout, parameters.seed, device)
    atom_model, decoder = AtomModel(layout.grid, layout.length), RangeDecoder(coded.payload)
    x = initial_noise(parameters.seed, shape, device)
    sigmas = model.sigmas
    now = grid[0]
    tail = options.at_least_one_step(model.tail(steps - coded_steps))
    total = coded_steps + tail
    for step in range(coded_steps):
        options.progress(step, total)
        try:
            atoms = decode_atoms(decoder, atom_model)
        except ValueError as error:
            if coded.truncated and not decoder.certain():
                break
            raise OSError(f"{error}") from error
        if coded.truncated and not decoder.certain():
            break
        following = time if step == coded_steps - 1 else grid[step + 1]
        x0hat = denoise_scaled(model.denoiser, x, sigmas[now])
        noise = layout.join(codebook.noise(step, atoms))
        step_weights = ancestral_weights(sigmas[now], sigmas[following])
        x = advance(step_weights, x, x0hat, noise[None])
        now = following
    x0hat, sigma = finish(
        model, x, now, tail, lambda step: options.progress(coded_steps + step, total)
    )
    pixels = model.synthesise(x0hat, sigma)
    options.progress(total, total)
    return pixels
