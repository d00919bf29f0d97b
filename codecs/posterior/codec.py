"""The ``posterior`` codec: draws from the diffusion posterior, by reverse channel coding (DiffC).

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
from diffc.codecs.shared.acceleration import Acceleration, cache_option, precision_option
from diffc.codecs.shared.declarations import COD, DIFFUSERS, PATCH, region_option, seed_option

if TYPE_CHECKING:
    from torch import Tensor

    from diffc.codecs.posterior.bitstream import PosteriorParameters


@dataclass(frozen=True)
class PosteriorCodec(Codec):
    """Reverse channel coding with the embedded model, one of diffusers, or CoD."""

    name = "posterior"
    description = "reverse channel coding of the diffusion posterior (DiffC)"
    traits = Traits(
        generative=True, continuous_rate=True, progressive=True, region_of_interest=True
    )
    kinds = (PATCH, DIFFUSERS, COD)
    weights_licence = "MIT"
    needs = ("torch",)
    number = 7

    steps: int = option(
        30,
        low=1,
        high=255,
        help="steps of a walk over all noise levels; a file codes as many as its bytes allow",
    )
    chunk_bits: int = option(
        14,
        low=8,
        high=16,
        help="bits of an index at most: an index of more bits says more for each of them, and twice "
        "the candidates for each bit have to be tried",
    )
    candidates: str = option(
        "hadamard",
        choices=("hadamard", "gaussian"),
        help="orthogonal candidates by fast transforms, or independent normals, which take many "
        "times as long",
    )
    seed: int = seed_option("candidates and noise")
    roi: Any = region_option()
    cache: int = cache_option()
    precision: str | None = precision_option()

    def encode(self, picture: Picture, rate: Rate, progress: Progress = no_progress) -> Encoded:
        """Walk towards the picture until the rate is used up."""
        import torch

        from diffc.codecs.posterior.candidates import Candidates
        from diffc.codecs.posterior.encoder import EncoderWalk, walk_to_rate
        from diffc.codecs.posterior.walk import Walk
        from diffc.codecs.shared.latents.models import analyse_picture, chosen, describe_picture
        from diffc.codecs.shared.latents.walk import grid_of

        with torch.inference_mode():
            known = chosen(self, precision=self.precision)
            description, model = describe_picture(known, picture)
            target, weights = analyse_picture(model, picture, self.roi)
            channels, rows, columns = target.shape[1:]
            grid = grid_of(model.sigmas, self.steps)
            walk = Walk(
                model.walker(self.cache),
                model.sigmas,
                (channels, rows, columns),
                candidates=Candidates(self.candidates, self.seed, model.device),
                most_bits=self.chunk_bits,
                time=grid[0],
            )
            towards = EncoderWalk(walk, target, weights, grid)
            walk_to_rate(
                towards,
                rate,
                len(self._parameters(1, 0).pack()),
                model.sigmas,
                progress,
                described=len(description),
            )
        parameters = self._parameters(walk.steps, walk.time)
        payload = description + towards.encoder.finish()
        return Encoded(payload, parameters.pack(), model.fingerprint)

    def _parameters(self, coded_steps: int, time: int) -> PosteriorParameters:
        from diffc.codecs.posterior.bitstream import PosteriorParameters

        return PosteriorParameters(
            self.steps,
            coded_steps,
            time,
            self.chunk_bits,
            self.candidates,
            self.seed,
            acceleration=Acceleration(self.cache, self.precision),
        )

    @classmethod
    def decode(cls, coded: Coded, options: DecodeOptions) -> Tensor:
        """Repeat the coded walk, then denoise without bits."""
        import torch

        from diffc.codecs.posterior.bitstream import PosteriorParameters
        from diffc.codecs.posterior.decoder import walk_again
        from diffc.codecs.shared.latents.models import read_description, realism_of, recorded
        from diffc.codecs.shared.pictures import crop

        found = PosteriorParameters.unpack(coded.parameters)
        with torch.inference_mode():
            precision = found.acceleration.precision
            known = recorded(cls, coded, options, precision=precision)
            model, walk = read_description(known, coded)
            latent, sigma = walk_again(walk, found, model, options)
            pixels = model.synthesise(latent, sigma, realism_of(options), found.seed)
            return crop(pixels, coded.size)
