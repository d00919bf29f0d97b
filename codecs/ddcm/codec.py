"""The ``ddcm`` codec: denoising diffusion codebook models, in their Turbo form.

Ancestral sampling whose noise is chosen from a reproducible codebook, so that the walk goes
towards the picture (arXiv 2502.01189; M signed atoms a step: arXiv 2511.06424).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
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
from diffc.codecs.ddcm.atoms import AtomModel, decode_atoms
from diffc.codecs.ddcm.bitstream import MOST_CHARACTERS, DdcmParameters, packed_length, unpack
from diffc.codecs.ddcm.codebook import BlockLayout, HadamardCodebook
from diffc.codecs.ddcm.encoder import (
    EncoderWalk,
    grid_of,
    walk_to_psnr,
    walk_to_size,
    walk_to_time,
)
from diffc.codecs.shared import models as model_folder
from diffc.codecs.shared.diffusion.samplers import (
    advance,
    ancestral_weights,
    ddim_weights,
    denoise_scaled,
    initial_noise,
)
from diffc.codecs.shared.diffusion.schedules import even_times
from diffc.codecs.shared.latents import models as latent_models
from diffc.codecs.shared.latents import patch_model
from diffc.codecs.shared.latents.models import KINDS, LatentModel
from diffc.codecs.shared.pictures import padded, too_large
from diffc.codecs.shared.region_of_interest import position_weights
from diffc.devices import device_of
from diffc.entropy.range_coder import RangeDecoder
from diffc.errors import ModelNotAvailableError, OptionError, RateError


@dataclass(frozen=True)
class DdcmSettings(Settings):
    """Options of the ``ddcm`` encoder.

    Parameters
    ----------
    steps : int
        Steps of a walk over all noise levels, 1 to 255; a file codes as many as its bytes allow.
    atoms : int, optional
        Atoms a step, 1 or more (1 is DDCM).  None takes what the posterior asks for, block by
        block, which is better at every rate.
    seed : int
        Of the codebook, 0 to 2**32 - 1; 0 costs no bytes.
    roi : image or array, optional
        Weights of the picture's size in [0, 1] (or 0 to 255): bytes go where they are high.
    target_psnr : float, optional
        Stop as soon as the decoded picture has this PSNR in dB, 5 to 60; it is an error if ``bpp``
        or ``target_size``, given with it, does not allow so much.
    prompt : str, optional
        What the picture shows, up to 200 characters, for models with a text encoder.  It is kept
        in the file, for decoding needs it, and counts as bytes.
    """

    steps: int = 30
    atoms: int | None = None
    seed: int = 0
    roi: Any = None
    target_psnr: float | None = None
    prompt: str | None = None

    def __post_init__(self) -> None:
        """Check types and ranges."""
        super().__post_init__()
        _check_integer("steps", self.steps, 1, 255)
        _check_integer("seed", self.seed, 0, 2**32 - 1)
        if self.atoms is not None:
            _check_integer("atoms", self.atoms, 1, 10**6)
        psnr = self.target_psnr
        if psnr is not None and (
            isinstance(psnr, bool) or not isinstance(psnr, int | float) or not 5 <= psnr <= 60
        ):
            raise ValueError(f"target_psnr is 5 to 60 dB, not {psnr!r}: choose one in that range")
        if self.prompt is not None:
            _check_prompt(self.prompt)


def _check_prompt(prompt: object) -> None:
    if not isinstance(prompt, str) or len(prompt) > MOST_CHARACTERS:
        given = f"{len(prompt)} characters" if isinstance(prompt, str) else repr(prompt)
        raise ValueError(
            f"prompt is a text of at most {MOST_CHARACTERS} characters, not {given}: shorten it"
        )
    try:
        prompt.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"prompt is text that UTF-8 can hold ({error}): drop the rest") from error


def _check_integer(name: str, value: object, lowest: int, highest: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= highest:
        raise ValueError(
            f"{name} is a whole number from {lowest} to {highest}, not {value!r}: "
            "choose one in that range"
        )


# the noise levels where quality 0 and 100 end; between them it is even in the logarithm
_SIGMA_WORST, _SIGMA_BEST = 6.0, 0.06


class DdcmCodec(Codec):
    """Diffusion codebook coding with the embedded model, or one of diffusers."""

    name: ClassVar[str] = "ddcm"
    bitstream_version: ClassVar[int] = 1
    description: ClassVar[str] = "denoising diffusion codebook models, Turbo form"
    models: ClassVar[tuple[str, ...]] = tuple(model_folder.EMBEDDED[patch_model.KIND])
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
        if settings.target_psnr is not None and rate.asked and rate.room is None:
            raise ValueError("target_psnr and quality both say where to stop: drop one of them")
        model = _model_of(settings, device)
        if complaint := too_large("the picture", image.shape[2], image.shape[1], model.multiple):
            raise ValueError(complaint)
        pixels = padded(image[None], model.multiple).to(device)
        target = model.analyse(pixels)
        patch = model.multiple // model.positions
        weights = position_weights(settings.roi, image.shape[1:], target.shape[2:], patch)
        grid = grid_of(model.sigmas, settings.steps)
        channels, rows, columns = target.shape[1:]
        layout = BlockLayout(channels, rows, columns)
        walk = EncoderWalk(
            model.denoiser,
            model.sigmas,
            target,
            weights.to(device),
            grid,
            codebook=HadamardCodebook(layout, settings.seed, device),
            atoms=settings.atoms,
        )
        self._walk(walk, model, image, settings, rate, progress)
        end = walk.state
        parameters = DdcmParameters(
            settings.steps, end.steps, end.time, settings.seed, settings.prompt or ""
        )
        return Encoded(end.encoder.finish(), parameters.pack(), model.fingerprint)

    def _walk(
        self,
        walk: EncoderWalk,
        model: LatentModel,
        image: Tensor,
        settings: DdcmSettings,
        rate: Rate,
        progress: Progress,
    ) -> None:
        room = None
        length = packed_length(settings.seed, settings.prompt or "")
        if rate.room is not None:
            room = rate.room(length, True)
            if room < 0:
                walk_to_time(walk, 0, progress)
                raise RateError(length, length + walk.state.encoder.length())
        if settings.target_psnr is not None:
            _walk_to_psnr(walk, model, image, settings, room, progress)
        elif room is None:
            walk_to_time(walk, quality_time(rate.quality, model.sigmas), progress)
        elif walk_to_size(walk, room, progress) and walk.state.encoder.length() < 0.95 * room:
            raise RateError(length, length + walk.state.encoder.length())

    @torch.inference_mode()
    def decode(self, coded: Coded, options: DecodeOptions) -> Tensor:
        """Repeat the coded walk, then denoise without bits."""
        found = unpack(coded.parameters)
        steps, coded_steps, time = found.steps, found.coded_steps, found.time
        device = device_of(options.device)
        prompted = bool(found.prompt)
        folder = model_folder.folder_with(coded.fingerprint, options, *KINDS, prompted=prompted)
        if prompted and not latent_models.takes_prompts(folder):
            raise OSError(f"{folder.name} takes no prompt, and the file has one: it is damaged")
        model = latent_models.load(folder, device, found.prompt)
        width, height = coded.size
        if complaint := too_large("the file's picture", width, height, model.multiple):
            raise OSError(complaint)
        grid = grid_of(model.sigmas, steps)
        if coded_steps and not grid[coded_steps] <= time < grid[coded_steps - 1]:
            raise OSError(
                f"a walk of {steps} steps ends step {coded_steps} between times "
                f"{grid[coded_steps - 1]} and {grid[coded_steps]}, not at {time}: the file is damaged"
            )
        rows, columns = (-(-side // model.multiple) * model.positions for side in (height, width))
        shape = (model.channels, rows, columns)
        layout = BlockLayout(*shape)
        codebook = HadamardCodebook(layout, found.seed, device)
        atom_model, decoder = AtomModel(layout.grid, layout.length), RangeDecoder(coded.payload)
        x = initial_noise(found.seed, shape, device)
        sigmas = model.sigmas
        now = grid[0]
        tail = options.steps or model.tail(steps - coded_steps)
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
        return pixels[0, :, :height, :width].float().cpu()


def _model_of(settings: DdcmSettings, device: str) -> LatentModel:
    folder = model_folder.folder_of(settings.model, *KINDS)
    if settings.prompt and not latent_models.takes_prompts(folder):
        raise OptionError(
            f"the model {folder.name!r} takes no prompt: leave prompt out, or name a model of "
            "diffusers"
        )
    try:
        return latent_models.load(folder, device, settings.prompt or "")
    except ModelNotAvailableError as error:
        raise OptionError(str(error)) from error


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


def _walk_to_psnr(
    walk: EncoderWalk,
    model: LatentModel,
    image: Tensor,
    settings: DdcmSettings,
    room: int | None,
    progress: Progress,
) -> None:
    height, width = image.shape[1:]
    wanted = settings.target_psnr
    assert wanted is not None  # the caller has looked

    def psnr(latent: Tensor, sigma: float) -> float:
        made = model.synthesise(latent, sigma)[0, :, :height, :width].cpu()
        # the file is opened as 8 bits; a sum of integers is the same on any number of threads
        difference = made.mul(255).round().int() - image.mul(255).round().int()
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
        left = settings.steps - walk.state.steps
        return psnr(*finish(model, walk.state.x, time, model.tail(left))) >= wanted

    if walk_to_psnr(walk, reached, progress, room):
        return
    raise ValueError(
        f"target_psnr={wanted} is not reached for this image within its bytes: lower it, or give "
        "more bytes"
    )


def quality_time(quality: float, sigmas: Sequence[float]) -> int:
    """Return the time whose noise level a quality of 0 to 100 ends at."""
    level = math.exp(math.log(_SIGMA_WORST) + math.log(_SIGMA_BEST / _SIGMA_WORST) * quality / 100)
    return sum(sigma < level for sigma in sigmas)
