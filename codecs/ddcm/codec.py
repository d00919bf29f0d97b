"""The ``ddcm`` codec: denoising diffusion codebook models, in their Turbo form.

Ancestral sampling whose noise is chosen from a reproducible codebook, so that the walk goes
towards the picture (arXiv 2502.01189; M signed atoms a step: arXiv 2511.06424).

What loads numpy and torch is imported inside methods, so that lists may read the declaration.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from diffc.codec import (
    Codec,
    Coded,
    DecodeOptions,
    Encoded,
    Picture,
    Progress,
    Rate,
    Traits,
    no_progress,
    option,
)
from diffc.codecs.ddcm.bitstream import MOST_CHARACTERS, DdcmParameters
from diffc.codecs.shared.acceleration import Acceleration, cache_option, precision_option
from diffc.codecs.shared.declarations import DIFFUSERS, PATCH, region_option, seed_option

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class DdcmCodec(Codec):
    """Diffusion codebook coding with the embedded model, or one of diffusers."""

    name = "ddcm"
    description = "denoising diffusion codebook models, Turbo form"
    traits = Traits(
        generative=True, continuous_rate=True, progressive=True, region_of_interest=True
    )
    kinds = (PATCH, DIFFUSERS)
    weights_licence = "MIT"
    needs = ("torch",)
    number = 1

    steps: int = option(
        30,
        low=1,
        high=255,
        help="steps of a walk over all noise levels; a file codes as many as its bytes allow",
    )
    atoms: int | None = option(
        None,
        low=1,
        high=10**6,
        help="atoms a step (1 is DDCM); left out, what the posterior asks for block by block, which "
        "is better at every rate",
    )
    seed: int = seed_option("the codebook")
    roi: Any = region_option()
    target_psnr: float | None = option(
        None,
        low=5,
        high=60,
        help="stop as soon as the decoded picture has this PSNR in dB; an error if the bytes do not "
        "allow so much",
    )
    prompt: str | None = option(
        None,
        longest=MOST_CHARACTERS,
        help="what the picture shows, for models with a text encoder; kept in the file",
    )
    cache: int = cache_option()
    precision: str | None = precision_option()

    def encode(self, picture: Picture, rate: Rate, progress: Progress = no_progress) -> Encoded:
        """Walk towards the picture until the rate is used up."""
        import torch

        from diffc.codecs.ddcm.codebook import HadamardCodebook
        from diffc.codecs.ddcm.encoder import EncoderWalk
        from diffc.codecs.ddcm.rates import walk_to_rate
        from diffc.codecs.shared.latents.blocks import BlockLayout
        from diffc.codecs.shared.latents.models import analyse_picture, chosen
        from diffc.codecs.shared.latents.walk import grid_of

        if self.target_psnr is not None and rate.asked and not rate.bounded:
            raise ValueError("target_psnr and quality both say where to stop: drop one of them")
        if self.target_psnr is not None and self.cache > 1:
            raise ValueError(
                f"target_psnr takes steps back, which nothing kept from former ones allows, and "
                f"cache is {self.cache}: drop one of them"
            )
        with torch.inference_mode():
            model = chosen(self, self.prompt or "", self.precision)
            target, weights = analyse_picture(model, picture, self.roi)
            channels, rows, columns = target.shape[1:]
            layout = BlockLayout(channels, rows, columns)
            walk = EncoderWalk(
                model.walker(self.cache),
                model.sigmas,
                target,
                weights,
                grid_of(model.sigmas, self.steps),
                codebook=HadamardCodebook(layout, self.seed, model.device),
                atoms=self.atoms,
            )
            length = len(self._parameters(1, 0).pack())
            psnr = self.target_psnr
            walk_to_rate(walk, model, picture.pixels, rate, length, psnr, progress)
        end = walk.state
        parameters = self._parameters(end.steps, end.time)
        return Encoded(end.encoder.finish(), parameters.pack(), model.fingerprint)

    def _parameters(self, coded_steps: int, time: int) -> DdcmParameters:
        acceleration = Acceleration(self.cache, self.precision)
        walk = self.steps, coded_steps, time
        return DdcmParameters(*walk, self.seed, self.prompt or "", acceleration=acceleration)

    @classmethod
    def decode(cls, coded: Coded, options: DecodeOptions) -> Tensor:
        """Repeat the coded walk, then denoise without bits."""
        import torch

        from diffc.codecs.ddcm.decoder import walk_again
        from diffc.codecs.shared.latents.models import realism_of, recorded
        from diffc.codecs.shared.pictures import crop

        found = DdcmParameters.unpack(coded.parameters)
        with torch.inference_mode():
            model = recorded(cls, coded, options, found.prompt, found.acceleration.precision)
            latent, sigma = walk_again(coded, found, model, options)
            pixels = model.synthesise(latent, sigma, realism_of(options), found.seed)
            return crop(pixels, coded.size)
