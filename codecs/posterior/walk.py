"""The walk of encoder and decoder: draws from the diffusion posterior, step after step.

A step from sigma to sigma_next draws from q(z_next | z, x0) = N(mean(x0), v); the decoder, who has
x0hat in place of x0, could draw from N(mean(x0hat), v).  The relative entropy of the two is |d|^2 /
(2 ln 2) bits for d = (mean(x0) - mean(x0hat)) / sqrt(v), and reverse channel coding sends a draw from
the first for a little more (Theis et al., arXiv 2206.08889; Vonderfecht and Liu, arXiv 2501.09815).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor

from diffc.codecs.posterior.candidates import Candidates
from diffc.codecs.posterior.noise import choose_symbols, noise_of
from diffc.codecs.posterior.plans import level_of
from diffc.codecs.posterior.stream import StepSymbols
from diffc.codecs.shared.diffusion.denoisers import Denoiser
from diffc.codecs.shared.diffusion.samplers import (
    advance,
    ancestral_weights,
    denoise_scaled,
    initial_noise,
)
from diffc.codecs.shared.latents.blocks import BlockLayout


class Walk:
    """A walk from noise; encoder and decoder take the same steps.

    Parameters
    ----------
    denoiser : Denoiser
        Of the model.
    sigmas : sequence of float
        Its table of noise levels, rising.
    shape : tuple of int
        Channels, rows and columns of the latent.
    candidates : Candidates
        Of the file; their seed is also that of the initial noise.
    most_bits : int
        Of an index.
    time : int
        Where it starts in the table.

    Attributes
    ----------
    z : Tensor
        The present state, of unit variance.
    steps : int
        Steps taken.
    """

    def __init__(
        self,
        denoiser: Denoiser,
        sigmas: Sequence[float],
        shape: tuple[int, int, int],
        *,
        candidates: Candidates,
        most_bits: int,
        time: int,
    ) -> None:
        self.denoiser, self.sigmas = denoiser, sigmas
        self.candidates, self.most_bits = candidates, most_bits
        self.layout = BlockLayout(*shape)
        self.time, self.steps = time, 0
        self.z = initial_noise(candidates.seed, shape, candidates.device)

    def denoise(self) -> Tensor:
        """Return the estimate of the clean latent at the present state."""
        return denoise_scaled(self.denoiser, self.z, self.sigmas[self.time])

    def take(self, x0hat: Tensor, time: int, symbols: StepSymbols) -> None:
        """Take a step to ``time`` with coded symbols."""
        noise = noise_of(self.candidates, self.steps, symbols, self.layout.length, self.most_bits)
        weights = ancestral_weights(self.sigmas[self.time], self.sigmas[time])
        self.z = advance(weights, self.z, x0hat, self.layout.join(noise)[None])
        self.time, self.steps = time, self.steps + 1

    def shift(self, residual: Tensor, time: int) -> Tensor:
        """Return d for a step to ``time``, (blocks, length), of a residual x0 - x0hat."""
        weights = ancestral_weights(self.sigmas[self.time], self.sigmas[time])
        return self.layout.split(residual[0]) * (weights.denoised / weights.noise)

    def choose(self, shift: Tensor, levels: list[int]) -> StepSymbols:
        """Choose the next step's candidates."""
        return choose_symbols(self.candidates, self.steps, levels, shift, self.most_bits)


def entropies(shift: Tensor) -> list[float]:
    """Return the relative entropy of each block in bits."""
    # not every device has float64
    found: list[float] = (shift.cpu().double().square().sum(1) / (2 * math.log(2))).tolist()
    return found


def levels_of(shift: Tensor) -> list[int]:
    """Return the level of each block."""
    return [level_of(entropy) for entropy in entropies(shift)]
