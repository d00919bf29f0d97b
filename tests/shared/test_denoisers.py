"""Denoisers of all kinds against closed forms for a Gaussian."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from diffc.codecs.shared.diffusion.denoisers import (
    PURE_NOISE,
    EpsilonDenoiser,
    FlowDenoiser,
    SampleDenoiser,
    TableDenoiser,
    VelocityDenoiser,
    guided,
    nearest_level,
)

VARIANCE = 0.49
TIMES = [0.05, 0.3, 0.6, 0.95]
BARS = [(1 - s) ** 2 / ((1 - s) ** 2 + s**2) for s in TIMES]
SIGMAS = [s / (1 - s) for s in TIMES]


def posterior_mean(x: Tensor, sigma: float) -> Tensor:
    """E[x0 | x0 + sigma eps] for x0 of variance VARIANCE."""
    return x * VARIANCE / (VARIANCE + sigma**2)


def epsilon(z: Tensor, t: float) -> Tensor:
    # z = sqrt(ab) x0 + sqrt(1 - ab) eps
    x = z / math.sqrt(BARS[int(t)])
    return (x - posterior_mean(x, SIGMAS[int(t)])) / SIGMAS[int(t)]


def sample(z: Tensor, t: float) -> Tensor:
    return posterior_mean(z / math.sqrt(BARS[int(t)]), SIGMAS[int(t)])


def velocity(z: Tensor, t: float) -> Tensor:
    ab = BARS[int(t)]
    return math.sqrt(ab) * epsilon(z, t) - math.sqrt(1 - ab) * sample(z, t)


def flow(x_s: Tensor, s: float) -> Tensor:
    # E[eps - x0 | x_s] of jointly Gaussian variables
    return x_s * (s - (1 - s) * VARIANCE) / ((1 - s) ** 2 * VARIANCE + s**2)


DENOISERS: dict[str, TableDenoiser] = {
    "epsilon": EpsilonDenoiser(epsilon, BARS),
    "velocity": VelocityDenoiser(velocity, BARS),
    "sample": SampleDenoiser(sample, BARS),
    "flow": FlowDenoiser(flow, TIMES),
}


@pytest.mark.parametrize("kind", DENOISERS)
@pytest.mark.parametrize("t", range(len(TIMES)))
def test_every_kind_gives_the_posterior_mean(kind: str, t: int) -> None:
    denoiser = DENOISERS[kind]
    assert list(denoiser.sigmas) == pytest.approx(SIGMAS)
    x = SIGMAS[t] * torch.linspace(-3, 3, 7).reshape(1, 1, 1, 7)
    made = denoiser(x, torch.tensor([SIGMAS[t]]))
    assert made.dtype == torch.float32
    torch.testing.assert_close(made, posterior_mean(x, SIGMAS[t]), rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("kind", DENOISERS)
def test_a_table_answers_one_level_at_a_time(kind: str) -> None:
    with pytest.raises(ValueError, match="one noise level for all of a batch, not"):
        DENOISERS[kind](torch.zeros(2, 1, 1, 1), torch.tensor([1.0, 2.0]))


def test_where_there_is_only_noise_a_flow_sees_noise() -> None:
    seen: list[tuple[Tensor, float]] = []

    def network(x: Tensor, s: float) -> Tensor:
        seen.append((x, s))
        return x

    noise = torch.linspace(-2, 2, 9).reshape(1, 1, 1, 9)
    made = FlowDenoiser(network, [0.5, 1.0])(PURE_NOISE * noise, torch.tensor([PURE_NOISE]))
    assert torch.equal(seen[0][0], noise)
    assert seen[0][1] == 1
    assert torch.equal(made, torch.zeros_like(noise))


@pytest.mark.parametrize(
    ("sigma", "place"), [(0.01, 0), (0.1, 0), (0.13, 0), (0.15, 1), (1.0, 2), (99.0, 2)]
)
def test_the_nearest_level_is_nearest_by_ratio(sigma: float, place: int) -> None:
    assert nearest_level([0.1, 0.2, 1.0], sigma) == place


def test_guidance_moves_away_from_the_unconditional_estimate() -> None:
    calls = []

    def conditional(x: Tensor, sigma: Tensor) -> Tensor:
        return x + 1

    def unconditional(x: Tensor, sigma: Tensor) -> Tensor:
        calls.append(sigma)
        return x

    x, sigma = torch.zeros(1, 1, 2, 2), torch.ones(1)
    assert float(guided(conditional, unconditional, 1.0)(x, sigma).mean()) == 1
    assert not calls
    assert float(guided(conditional, unconditional, 3.0)(x, sigma).mean()) == 3
