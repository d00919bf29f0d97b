"""The ``ddcm`` codec: denoising diffusion codebook models, in their Turbo form.

Ancestral sampling whose noise is chosen from a reproducible codebook, so that the walk goes
towards the picture (arXiv 2502.01189; M signed atoms a step: arXiv 2511.06424).
"""

from __future__ import annotations

import itertools
import math
import struct
from typing import ClassVar

import torch
from PIL import Image
from torch import Tensor

from diffc.codec import (
    Capabilities,
    Codec,
    Coded,
    DecodeOptions,
    Encoded,
    Progress,
    Rate,
    Settings,
    no_progress,
)
from diffc.codecs import model_folder, patch_model
from diffc.codecs.atom_coding import AtomModel, decode_atoms
from diffc.codecs.ddcm_encoder import (
    EncoderWalk,
    grid_of,
    initial_noise,
    walk_to_psnr,
    walk_to_size,
    walk_to_time,
)
from diffc.codecs.ddcm_settings import DdcmSettings
from diffc.codecs.hadamard import BlockLayout, HadamardCodebook
from diffc.codecs.patch_model import KIND, PatchModel
from diffc.codecs.picture_tensors import padded
from diffc.codecs.roi import position_weights
from diffc.codecs.walk import advance, ancestral, deterministic, times
from diffc.devices import device_of
from diffc.errors import RateError
from diffc.range_coder import RangeDecoder

# steps of the whole walk, coded steps, time after them; then the seed if it is not 0
_PARAMETERS = struct.Struct(">BBH")
_SEED = struct.Struct(">I")

# the noise levels where quality 0 and 100 end; between them it is even in the logarithm
_SIGMA_WORST, _SIGMA_BEST = 6.0, 0.06


class DdcmCodec(Codec):
    """Diffusion codebook coding with the embedded model."""

    name: ClassVar[str] = "ddcm"
    bitstream_version: ClassVar[int] = 1
    description: ClassVar[str] = "denoising diffusion codebook models, Turbo form"
    models: ClassVar[tuple[str, ...]] = tuple(model_folder.EMBEDDED[KIND])
    weights_licence: ClassVar[str | None] = "MIT"
    capabilities: ClassVar[Capabilities] = Capabilities(
        continuous_rate=True, progressive=True, region_of_interest=True
    )
    settings_type: ClassVar[type[Settings]] = DdcmSettings

    @torch.inference_mode()
    def encode(
        self,
        image: Tensor,
        settings: DdcmSettings,
        rate: Rate,
        progress: Progress = no_progress,
    ) -> Encoded:
        """Walk towards the picture until the rate is used up."""
        device = device_of(settings.device)
        if too_large(image.shape[2], image.shape[1]):
            raise ValueError(_TOO_LARGE.format("the picture", image.shape[2], image.shape[1]))
        if settings.target_psnr is not None and rate.asked and rate.room is None:
            raise ValueError("target_psnr and quality both say where to stop: drop one of them")
        model = patch_model.load(model_folder.folder_of(settings.model, KIND), device)
        pixels = padded(image[None], model.multiple).to(device)
        target = model.analyse(pixels)
        weights = position_weights(settings.roi, image.shape[1:], target.shape[2:])
        grid = grid_of(model.denoiser, settings.steps)
        channels, rows, columns = target.shape[1:]
        layout = BlockLayout(channels, rows, columns)
        walk = EncoderWalk(
            model.denoiser,
            target,
            weights.to(device),
            grid,
            codebook=HadamardCodebook(layout, settings.seed, device),
            atoms=settings.atoms,
        )
        self._go(walk, model, image, settings, rate, progress)
        trail = walk.trail
        parameters = _PARAMETERS.pack(settings.steps, trail.steps, trail.time)
        if settings.seed:
            parameters += _SEED.pack(settings.seed)
        return Encoded(trail.encoder.finish(), parameters, model.fingerprint)

    def _go(
        self,
        walk: EncoderWalk,
        model: PatchModel,
        image: Tensor,
        settings: DdcmSettings,
        rate: Rate,
        progress: Progress,
    ) -> None:
        room = None
        if rate.room is not None:
            length = _PARAMETERS.size + (_SEED.size if settings.seed else 0)
            room = rate.room(length, True)
            if room < 0:
                walk_to_time(walk, 0, progress)
                raise RateError(length, length + walk.trail.encoder.length())
        if settings.target_psnr is not None:
            _walk_to_psnr(walk, model, image, settings.target_psnr, room, progress)
        elif room is None:
            walk_to_time(walk, quality_time(rate.quality, model.sigmas), progress)
        elif walk_to_size(walk, room, progress) and walk.trail.encoder.length() < 0.95 * room:
            length = _PARAMETERS.size + (_SEED.size if settings.seed else 0)
            raise RateError(length, length + walk.trail.encoder.length())

    @torch.inference_mode()
    def decode(self, coded: Coded, options: DecodeOptions) -> Tensor:
        """Repeat the coded walk, then denoise without bits."""
        steps, coded_steps, time, seed = _unpack(coded.parameters)
        width, height = coded.size
        if too_large(width, height):
            raise OSError(_TOO_LARGE.format("the file's picture", width, height))
        device = device_of(options.device)
        folder = model_folder.folder_with(coded.fingerprint, options, KIND)
        model = patch_model.load(folder, device)
        grid = grid_of(model.denoiser, steps)
        if coded_steps and not grid[coded_steps] <= time < grid[coded_steps - 1]:
            raise OSError(
                f"a walk of {steps} steps ends step {coded_steps} between times "
                f"{grid[coded_steps - 1]} and {grid[coded_steps]}, not at {time}: the file is damaged"
            )
        rows, columns = (-(-side // model.multiple) * 2 for side in (height, width))
        shape = (model.channels, rows, columns)
        layout = BlockLayout(*shape)
        codebook = HadamardCodebook(layout, seed, device)
        atom_model, decoder = AtomModel(layout.grid, layout.length), RangeDecoder(coded.payload)
        x = initial_noise(seed, shape, device)
        bars = model.denoiser.alpha_bars
        now = grid[0]
        tail = options.steps or DEFAULT_TAIL
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
            x0hat = model.denoiser(x, now)
            noise = layout.join(codebook.noise(step, atoms))
            x = advance(ancestral(bars[now], bars[following]), x, x0hat, noise[None])
            now = following
        x0hat, now = finish(model, x, now, tail)
        pixels = model.synthesise(x0hat, now)
        options.progress(total, total)
        return pixels[0, :, :height, :width].float().cpu()


_TOO_LARGE = (
    "{} of {}x{} pixels, padded to multiples of 32, exceeds twice PIL.Image.MAX_IMAGE_PIXELS: raise "
    "that limit if it is wanted"
)


def too_large(width: int, height: int) -> bool:
    """Tell whether padding makes of a thin picture more pixels than Pillow would open."""
    limit = Image.MAX_IMAGE_PIXELS
    padded = (width + -width % PatchModel.multiple) * (height + -height % PatchModel.multiple)
    return limit is not None and padded > 2 * limit


# denoising evaluations after the coded steps, when the caller does not say: one more than the
# smoothest picture, for texture
DEFAULT_TAIL = 2


def finish(model: PatchModel, x: Tensor, time: int, steps: int) -> tuple[Tensor, int]:
    """Denoise from a state without bits; return the estimate and the time it was made at."""
    bars = model.denoiser.alpha_bars
    path = times(time, 0, steps)[:-1] if time else [0]
    for now, following in itertools.pairwise(path):
        x = advance(deterministic(bars[now], bars[following]), x, model.denoiser(x, now))
    return model.denoiser(x, path[-1]), path[-1]


def _walk_to_psnr(
    walk: EncoderWalk,
    model: PatchModel,
    image: Tensor,
    psnr: float,
    room: int | None,
    progress: Progress,
) -> None:
    height, width = image.shape[1:]

    def reached(x0hat: Tensor, time: int) -> bool:
        # the transform keeps lengths, and pixels are in [-1, 1]: a cheap estimate to begin with
        guess = float((walk.target - x0hat).square().sum()) / (4 * 3 * height * width)
        if -10 * math.log10(max(guess, 1e-12)) < psnr - 2:
            return False
        final, last = finish(model, walk.trail.x, time, DEFAULT_TAIL)
        made = model.synthesise(final, last)[0, :, :height, :width].cpu()
        # the file is opened as 8 bits; a sum of integers is the same on any number of threads
        difference = made.mul(255).round().int() - image.mul(255).round().int()
        error = int(difference.square().sum(dtype=torch.int64)) / difference.numel()
        return 10 * math.log10(255**2 / max(error, 1e-6)) >= psnr

    if walk_to_psnr(walk, reached, progress, room):
        return
    raise ValueError(
        f"target_psnr={psnr} is not reached for this image within its bytes: lower it, or give "
        "more bytes"
    )


def quality_time(quality: float, sigmas: list[float]) -> int:
    """Return the time whose noise level a quality of 0 to 100 ends at."""
    level = math.exp(math.log(_SIGMA_WORST) + math.log(_SIGMA_BEST / _SIGMA_WORST) * quality / 100)
    return sum(sigma < level for sigma in sigmas)


def _unpack(parameters: bytes) -> tuple[int, int, int, int]:
    if len(parameters) not in (_PARAMETERS.size, _PARAMETERS.size + _SEED.size):
        raise OSError(
            f"ddcm has 4 or 8 parameter bytes, not {len(parameters)}: the file is damaged"
        )
    steps, coded_steps, time = _PARAMETERS.unpack_from(parameters)
    seed = 0
    if len(parameters) > _PARAMETERS.size:
        (seed,) = _SEED.unpack_from(parameters, _PARAMETERS.size)
    if not coded_steps <= steps or steps == 0:
        raise OSError(f"ddcm codes at most {steps} steps, not {coded_steps}: the file is damaged")
    return steps, coded_steps, time, seed
