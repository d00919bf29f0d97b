"""Denoisers of all kinds, and the walk's steps, against closed forms for a Gaussian."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor

from diffc.codecs.shared.diffusion.denoisers import (
    Denoiser,
    EpsilonDenoiser,
    FlowDenoiser,
    SampleDenoiser,
    VarianceExplodingDenoiser,
    VelocityDenoiser,
)
from diffc.codecs.shared.diffusion.walk import advance, ancestral, deterministic, times

VARIANCE = 0.49
TIMES = [0.05, 0.3, 0.6, 0.95]
BARS = [(1 - s) ** 2 / ((1 - s) ** 2 + s**2) for s in TIMES]


def posterior_mean(x: Tensor, ab: float) -> Tensor:
    """E[x0 | x] for x0 of variance VARIANCE."""
    return x * math.sqrt(ab) * VARIANCE / (ab * VARIANCE + 1 - ab)


def epsilon(x: Tensor, t: float) -> Tensor:
    ab = BARS[int(t)]
    return (x - math.sqrt(ab) * posterior_mean(x, ab)) / math.sqrt(1 - ab)


def velocity(x: Tensor, t: float) -> Tensor:
    ab = BARS[int(t)]
    return math.sqrt(ab) * epsilon(x, t) - math.sqrt(1 - ab) * posterior_mean(x, ab)


def flow(x_s: Tensor, s: float) -> Tensor:
    # E[eps - x0 | x_s] of jointly Gaussian variables
    return x_s * (s - (1 - s) * VARIANCE) / ((1 - s) ** 2 * VARIANCE + s**2)


def exploding(x: Tensor, sigma: Tensor) -> Tensor:
    return x * VARIANCE / (VARIANCE + sigma**2)


DENOISERS: dict[str, Denoiser] = {
    "epsilon": EpsilonDenoiser(epsilon, BARS),
    "velocity": VelocityDenoiser(velocity, BARS),
    "sample": SampleDenoiser(lambda x, t: posterior_mean(x, BARS[int(t)]), BARS),
    "flow": FlowDenoiser(flow, TIMES),
    "exploding": VarianceExplodingDenoiser(exploding, [s / (1 - s) for s in TIMES]),
}


@pytest.mark.parametrize("kind", DENOISERS)
@pytest.mark.parametrize("t", range(len(TIMES)))
def test_every_kind_gives_the_posterior_mean(kind: str, t: int) -> None:
    denoiser = DENOISERS[kind]
    assert denoiser.alpha_bars == pytest.approx(BARS)
    x = torch.linspace(-3, 3, 7)
    torch.testing.assert_close(denoiser(x, t), posterior_mean(x, BARS[t]), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("ab", "ab_next"), [(0.1, 0.2), (0.5, 0.9), (0.3, 0.999)])
def test_an_ancestral_step_keeps_the_forward_process(ab: float, ab_next: float) -> None:
    # from x = sqrt(ab) x0 + sqrt(1 - ab) eps and the true x0, x_next has mean sqrt(ab_next) x0
    # and variance 1 - ab_next
    step = ancestral(ab, ab_next)
    assert step.estimate + step.state * math.sqrt(ab) == pytest.approx(math.sqrt(ab_next))
    assert step.state**2 * (1 - ab) + step.noise**2 == pytest.approx(1 - ab_next)
    # DDIM's sigma at eta = 1, equation 16
    sigma = math.sqrt((1 - ab_next) / (1 - ab) * (1 - ab / ab_next))
    assert step.noise == pytest.approx(sigma)


def test_a_deterministic_step_keeps_estimate_and_noise() -> None:
    x0, eps = torch.tensor([0.7, -1.2]), torch.tensor([0.1, 2.0])
    x = math.sqrt(0.3) * x0 + math.sqrt(0.7) * eps
    moved = advance(deterministic(0.3, 0.8), x, x0)
    torch.testing.assert_close(moved, math.sqrt(0.8) * x0 + math.sqrt(0.2) * eps)


@pytest.mark.parametrize("steps", [1, 3, 30, 255])
def test_times_fall_evenly_from_end_to_end(steps: int) -> None:
    path = times(999, 0, steps)
    assert (path[0], path[-1], len(path)) == (999, 0, steps + 1)
    gaps = {earlier - later for earlier, later in itertools.pairwise(path)}
    assert max(gaps) - min(gaps) <= 1
