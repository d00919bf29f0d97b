"""Denoisers of every kind behind one call, ``x0hat = denoiser(x, t)``.

``x`` is variance preserving: ``x = sqrt(ab[t]) x0 + sqrt(1 - ab[t]) eps`` with the cumulative
``ab = alpha_bars``, float64 in [0, 1), falling with t; at 0 only a flow, a velocity or x0 itself
says anything.  A wrapped network states only how its own prediction relates to x0hat; schedules and
samplers know nothing of networks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor

# a network in its own convention: (noisy latent, its own time) -> its own prediction
Network = Callable[[Tensor, float], Tensor]


class Denoiser(Protocol):
    """An estimate of the clean latent at each of a table of noise levels."""

    @property
    def alpha_bars(self) -> Sequence[float]:
        """The cumulative alpha-bar of each time."""

    def __call__(self, x: Tensor, t: int) -> Tensor:
        """Return x0hat, float32, for the variance-preserving ``x`` at time ``t``."""


class EpsilonDenoiser:
    """A network that predicts the noise: x0hat = (x - sqrt(1 - ab) eps) / sqrt(ab)."""

    def __init__(self, network: Network, alpha_bars: Sequence[float]) -> None:
        self.network = network
        self.alpha_bars = alpha_bars

    def __call__(self, x: Tensor, t: int) -> Tensor:
        """Return x0hat."""
        ab = self.alpha_bars[t]
        x0hat: Tensor = (x - math.sqrt(1 - ab) * self.network(x, t).float()) / math.sqrt(ab)
        return x0hat


class VelocityDenoiser:
    """A network that predicts v = sqrt(ab) eps - sqrt(1 - ab) x0 (arXiv 2202.00512, appendix D)."""

    def __init__(self, network: Network, alpha_bars: Sequence[float]) -> None:
        self.network = network
        self.alpha_bars = alpha_bars

    def __call__(self, x: Tensor, t: int) -> Tensor:
        """Return x0hat."""
        ab = self.alpha_bars[t]
        return math.sqrt(ab) * x - math.sqrt(1 - ab) * self.network(x, t).float()


class SampleDenoiser:
    """A network that predicts x0 itself."""

    def __init__(self, network: Network, alpha_bars: Sequence[float]) -> None:
        self.network = network
        self.alpha_bars = alpha_bars

    def __call__(self, x: Tensor, t: int) -> Tensor:
        """Return x0hat."""
        return self.network(x, t).float()


class FlowDenoiser:
    """A flow-matching network: u = eps - x0 at x_s = (1 - s) x0 + s eps, given (x_s, s).

    Its straight path is not variance preserving; x_s is x times sqrt((1 - s)^2 + s^2), and
    ab = (1 - s)^2 / ((1 - s)^2 + s^2).

    Parameters
    ----------
    network : callable
        The velocity field.
    times : sequence of float
        s in (0, 1], rising.
    """

    def __init__(self, network: Network, times: Sequence[float]) -> None:
        self.network = network
        self.times = times
        self.alpha_bars = [(1 - s) ** 2 / ((1 - s) ** 2 + s**2) for s in times]

    def __call__(self, x: Tensor, t: int) -> Tensor:
        """Return x0hat = x_s - s u."""
        s = self.times[t]
        x_s = x * math.hypot(1 - s, s)
        return x_s - s * self.network(x_s, s).float()


class VarianceExplodingDenoiser:
    """A network of (x0 + sigma eps, sigma) that predicts x0, as EDM's; sigma^2 = (1 - ab) / ab."""

    def __init__(
        self, network: Callable[[Tensor, Tensor], Tensor], sigmas: Sequence[float]
    ) -> None:
        self.network = network
        self.sigmas = sigmas
        self.alpha_bars = [1 / (1 + sigma**2) for sigma in sigmas]

    def __call__(self, x: Tensor, t: int) -> Tensor:
        """Return x0hat."""
        sigma = self.sigmas[t]
        level = torch.full((len(x),), sigma, dtype=torch.float32, device=x.device)
        return self.network(x * math.hypot(1, sigma), level).float()
