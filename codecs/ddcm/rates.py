"""Where the encoder's walk ends: at a quality, at a number of bytes, or at a PSNR."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from diffc.codec import Progress, Rate, no_progress
from diffc.codecs.ddcm.encoder import EncoderWalk, walk_to_psnr, walk_to_size, walk_to_time
from diffc.codecs.shared.latents.models import DEFAULT_REALISM, LatentModel
from diffc.codecs.shared.latents.walk import finish, quality_time
from diffc.errors import RateError


def walk_to_rate(
    walk: EncoderWalk,
    model: LatentModel,
    pixels: Tensor,
    rate: Rate,
    length: int,
    target_psnr: float | None,
    progress: Progress,
) -> None:
    """Walk until the rate is used up.

    Parameters
    ----------
    walk : EncoderWalk
        At its start.
    model : LatentModel
        Whose denoiser the walk has.
    pixels : Tensor
        The picture (3, height, width), in [0, 1].
    rate : Rate
        What is allowed.
    length : int
        Bytes of the parameters.
    target_psnr : float, optional
        In dB, where to stop if the rate allows so much.
    progress : callable
        Called with the step that is done and the number of steps.

    Raises
    ------
    RateError
        If nothing fits, or all steps take less than is allowed.
    ValueError
        If the PSNR is not reached.
    """

    def whole_walk() -> int:
        with torch.inference_mode():
            walk_to_time(walk, 0, no_progress)
        return length + walk.state.encoder.length()

    room = rate.room(length) if rate.bounded else None
    if room is not None and room < 0:
        raise RateError(length, whole_walk)
    if target_psnr is not None:
        _walk_to_psnr(walk, model, pixels, target_psnr, room, progress)
    elif room is None:
        walk_to_time(walk, quality_time(rate.quality, model.sigmas), progress)
    elif walk_to_size(walk, room, progress) and walk.state.encoder.length() < 0.95 * room:
        raise RateError(length, length + walk.state.encoder.length())


def _walk_to_psnr(
    walk: EncoderWalk,
    model: LatentModel,
    pixels: Tensor,
    wanted: float,
    room: int | None,
    progress: Progress,
) -> None:
    height, width = pixels.shape[1:]
    seed = walk.codebook.seed

    def psnr(latent: Tensor, sigma: float) -> float:
        made = model.synthesise(latent, sigma, DEFAULT_REALISM, seed)[0, :, :height, :width].cpu()
        # the file is opened as 8 bits; a sum of integers is the same on any number of threads
        difference = made.mul(255).round().int() - pixels.mul(255).round().int()
        error = int(difference.square().sum(dtype=torch.int64)) / difference.numel()
        return 10 * math.log10(255**2 / max(error, 1e-6))

    def reached(x0hat: Tensor, time: int) -> bool:
        # an estimate to begin with, for the last steps take long
        if model.keeps_lengths:
            error = float((walk.target - x0hat).square().sum()) / (4 * 3 * height * width)
            guess = -10 * math.log10(max(error, 1e-12))
        else:
            guess = psnr(x0hat, model.sigmas[time])
        if guess < wanted - 2:
            return False
        left = len(walk.grid) - 1 - walk.state.steps
        return psnr(*finish(model, walk.state.x, time, model.tail(left))) >= wanted

    if walk_to_psnr(walk, reached, progress, room):
        return
    raise ValueError(
        f"target_psnr={wanted} is not reached for this image within its bytes: lower it, or give "
        "more bytes"
    )
