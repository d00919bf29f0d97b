"""The decoder's walk: the coded steps again, and those that finish the picture without bits."""

from __future__ import annotations

from torch import Tensor

from diffc.codec import Coded, DecodeOptions
from diffc.codecs.posterior.bitstream import PosteriorParameters
from diffc.codecs.posterior.candidates import Candidates
from diffc.codecs.posterior.stream import LevelModel
from diffc.codecs.posterior.walk import Walk, grid_of
from diffc.codecs.shared.latents.finish import finish
from diffc.codecs.shared.latents.models import LatentModel
from diffc.entropy.range_coder import RangeDecoder


def walk_again(
    coded: Coded,
    parameters: PosteriorParameters,
    model: LatentModel,
    device: str,
    options: DecodeOptions,
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
    device : str
        Where it runs.
    options : DecodeOptions
        Of them count steps and progress.

    Returns
    -------
    tuple
        The estimate of the clean latent, and the noise level that it was made at.

    Raises
    ------
    OSError
        If the payload or the parameters are none of an encoder's.
    """
    steps, coded_steps, time = parameters.steps, parameters.coded_steps, parameters.time
    grid = grid_of(model.sigmas, steps)
    if coded_steps:
        first, last = grid[coded_steps - 1], grid[coded_steps]
        coded.require(
            last <= time < first,
            f"a walk of {steps} steps ends step {coded_steps} between times {first} and {last}, not "
            f"at {time}",
        )
    width, height = coded.size
    rows, columns = (-(-side // model.multiple) * model.positions for side in (height, width))
    walk = Walk(
        model.denoiser,
        model.sigmas,
        (model.channels, rows, columns),
        candidates=Candidates(parameters.kind, parameters.seed, device),
        most_bits=parameters.chunk_bits,
        time=grid[0],
    )
    decoder = RangeDecoder(coded.payload)
    levels = LevelModel(walk.layout.grid, parameters.chunk_bits, walk.layout.length)
    tail = options.at_least_one_step(model.tail(steps - coded_steps))
    total = coded_steps + tail
    for step in range(coded_steps):
        options.progress(step, total)
        try:
            symbols = levels.decode(decoder)
        except ValueError as error:
            if coded.truncated and not decoder.certain():
                break
            raise OSError(f"{error}") from error
        if coded.truncated and not decoder.certain():
            break
        following = time if step == coded_steps - 1 else grid[step + 1]
        walk.take(walk.denoise(), following, symbols)
    estimate = finish(
        model, walk.z, walk.time, tail, lambda step: options.progress(coded_steps + step, total)
    )
    options.progress(total, total)
    return estimate
