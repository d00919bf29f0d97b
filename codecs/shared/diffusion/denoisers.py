"""Networks of every kind behind one call, ``denoised = model(x, sigma)``.

``x = x0 + sigma * eps`` (variance exploding, arXiv 2206.00364) and ``denoised`` is the estimate of
x0: schedules and samplers know nothing of networks.  A wrapped network states only how its own
prediction relates to that estimate.  Noise levels of tables are Python floats, so float64; what a
model gets and returns is float32.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Callable, Sequence
from typing import Protocol

from torch import Tensor

Denoiser = Callable[[Tensor, Tensor], Tensor]
"""``denoised = model(x, sigma)``: float32 (N, C, H, W), for levels (N,), float32, > 0."""

Network = Callable[[Tensor, float], Tensor]
"""A network in its own convention: (its own state, its own time) -> its own prediction."""

# pure noise as a level: so much that float32 keeps nothing of x0 beside it
PURE_NOISE = 2.0**24


class TableDenoiser(Protocol):
    """A `Denoiser` that knows the levels of a table, rising, and answers for the nearest of them."""

    @property
    def sigmas(self) -> Sequence[float]:
        """The levels."""

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        """Return the estimate of x0; ``sigma`` is one level for all of a batch."""


def nearest_level(sigmas: Sequence[float], sigma: float) -> int:
    """Return the place of the level that is nearest, by ratio, in a rising table."""
    after = bisect.bisect_left(sigmas, sigma)
    if after == 0:
        return 0
    if after == len(sigmas):
        return after - 1
    return after if sigma * sigma > sigmas[after - 1] * sigmas[after] else after - 1


def _place(sigmas: Sequence[float], sigma: Tensor) -> int:
    lowest, highest = sigma.min().item(), sigma.max().item()
    if lowest != highest:
        raise ValueError(
            f"this model takes one noise level for all of a batch, not {lowest} to {highest}: ask "
            "it about one after the other"
        )
    return nearest_level(sigmas, lowest)


class EpsilonDenoiser:
    """A network of sqrt(ab) x that predicts the noise: x0hat = x - sigma eps (arXiv 2006.11239).

    Parameters
    ----------
    network : callable
        Its times are places in the table.
    alpha_bars : sequence of float
        Cumulative alpha-bars ab in (0, 1), falling; sigma^2 = (1 - ab) / ab.
    """

    def __init__(self, network: Network, alpha_bars: Sequence[float]) -> None:
        self.network, self.alpha_bars = network, alpha_bars
        self.sigmas = [math.sqrt((1 - ab) / ab) for ab in alpha_bars]

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        """Return x0hat."""
        t = _place(self.sigmas, sigma)
        eps = self.network(math.sqrt(self.alpha_bars[t]) * x, t).float()
        return x - self.sigmas[t] * eps


class VelocityDenoiser(EpsilonDenoiser):
    """A network that predicts v = sqrt(ab) eps - sqrt(1 - ab) x0 (arXiv 2202.00512, appendix D)."""

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        """Return x0hat = sqrt(ab) (sqrt(ab) x) - sqrt(1 - ab) v."""
        t = _place(self.sigmas, sigma)
        ab = self.alpha_bars[t]
        v = self.network(math.sqrt(ab) * x, t).float()
        return ab * x - math.sqrt(1 - ab) * v


class SampleDenoiser(EpsilonDenoiser):
    """A network that predicts x0 itself, given sqrt(ab) x."""

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        """Return x0hat."""
        t = _place(self.sigmas, sigma)
        return self.network(math.sqrt(self.alpha_bars[t]) * x, t).float()


def flow_sigma(s: float) -> float:
    """Return the noise level s / (1 - s) of a time on straight paths, s in (0, 1]."""
    return s / (1 - s) if s < 1 else PURE_NOISE


class FlowDenoiser:
    """A flow-matching network: u = eps - x0 at x_s = (1 - s) x0 + s eps (arXiv 2210.02747).

    x_s is (1 - s) x, and sigma = s / (1 - s), for which `PURE_NOISE` stands at s = 1.

    Parameters
    ----------
    network : callable
        The velocity field of (x_s, s).
    times : sequence of float
        s in (0, 1], rising.
    """

    def __init__(self, network: Network, times: Sequence[float]) -> None:
        self.network, self.times = network, times
        self.sigmas = [flow_sigma(s) for s in times]

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        """Return x0hat = x_s - s u."""
        t = _place(self.sigmas, sigma)
        s = self.times[t]
        x_s = x * (s / self.sigmas[t])
        return x_s - s * self.network(x_s, s).float()


def guide(conditional: Tensor, unconditional: Tensor, guidance: float) -> Tensor:
    """Move an estimate away from the unconditional one (arXiv 2207.12598, equation 6)."""
    return unconditional + guidance * (conditional - unconditional)


def guided(
    conditional: Denoiser,
    unconditional: Denoiser,
    guidance: float,
    largest: float = math.inf,
) -> Denoiser:
    """Return a denoiser with classifier-free guidance, see `guide`.

    Parameters
    ----------
    conditional, unconditional : callable
        The denoisers.
    guidance : float
        1 is the conditional estimate alone, which then costs one evaluation.
    largest : float
        From this noise level on there is no guidance (arXiv 2404.07724).
    """
    if guidance == 1:
        return conditional

    def denoise(x: Tensor, sigma: Tensor) -> Tensor:
        estimate = conditional(x, sigma)
        if sigma.max().item() >= largest:
            return estimate
        return guide(estimate, unconditional(x, sigma), guidance)

    return denoise
