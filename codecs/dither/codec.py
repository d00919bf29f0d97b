"""The ``dither`` codec: a quantised latent, taken for a noisy one and denoised.

Universal quantisation with a shared dither makes an error that is uniform and independent of the
latent, as noise is; the decoder starts at the noise level of that error and takes the few steps of
the diffusion process that are left (arXiv 2408.08220, arXiv 2504.02579).

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
from diffc.codecs.dither.bitstream import DitherParameters
from diffc.codecs.shared.declarations import DIFFUSERS, PATCH, region_option, seed_option

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class DitherCodec(Codec):
    """Quantised latents of the embedded model, or of one of diffusers, denoised."""

    name = "dither"
    description = "universal quantisation of a latent, then denoising from its noise level"
    traits = Traits(
        generative=True, continuous_rate=True, progressive=True, region_of_interest=True
    )
    kinds = (PATCH, DIFFUSERS)
    weights_licence = "MIT"
    needs = ("torch",)
    rates = (0.005, 2.0)
    number = 6

    dither: str = option(
        "smooth",
        choices=("smooth", "all", "none"),
        help="which channels have dither: those that are smooth, where denoising takes it away "
        "again; all, the published form, which costs many bytes; or none",
    )
    saving: float = option(
        0.06,
        low=0,
        high=1,
        help="squared error, in squared steps of the quantiser, that is taken for a bit less; at 0 "
        "every coefficient is rounded to the nearest",
    )
    seed: int = seed_option("the dither")
    roi: Any = region_option()

    def encode(self, picture: Picture, rate: Rate, progress: Progress = no_progress) -> Encoded:
        """Quantise the latent as finely as the rate allows."""
        import torch

        from diffc.codecs.dither.encoder import LatentCoder
        from diffc.codecs.dither.rates import fill, index_of_quality
        from diffc.codecs.shared.latents.models import analyse_picture, chosen

        with torch.inference_mode():
            model = chosen(self)
            latent, weights = analyse_picture(model, picture, self.roi)
            coder = LatentCoder(
                latent,
                weights,
                components=model.keeps_lengths,
                dither=self.dither,
                price=self.saving,
                seed=self.seed,
            )
            if rate.bounded:
                length = len(DitherParameters(0, 0, 0, False, self.seed).pack())
                index, payload = fill(rate, length, coder.attempt, progress)
            else:
                index = index_of_quality(rate.quality)
                payload = coder.attempt(index).payload()
            time = coder.matching_time(model, index)
        progress(1, 1)
        parameters = DitherParameters(
            index, time, coder.dithered(index), model.keeps_lengths, self.seed
        )
        return Encoded(payload, parameters.pack(), model.fingerprint)

    @classmethod
    def decode(cls, coded: Coded, options: DecodeOptions) -> Tensor:
        """Read the integers, then denoise what they stand for."""
        import torch

        from diffc.codecs.dither.decoder import default_steps, denoise, render
        from diffc.codecs.dither.quantiser import read_latent
        from diffc.codecs.shared.latents.models import latent_shape, recorded
        from diffc.codecs.shared.pictures import crop

        found = DitherParameters.unpack(coded.parameters)
        with torch.inference_mode():
            model = recorded(cls, coded, options)
            coded.require(
                found.time < len(model.sigmas),
                f"the model has {len(model.sigmas)} noise levels, not one of number {found.time}",
            )
            latent = read_latent(coded, found, latent_shape(model, coded.size))
            steps = default_steps(model) if options.steps is None else options.steps
            x0hat, sigma = denoise(
                model, latent.to(model.device), found.time, steps, options.progress
            )
            if steps == 0:
                return crop(model.reconstruct(x0hat), coded.size)
            return crop(render(model, x0hat, sigma, options.realism, found.seed), coded.size)
