"""Relay diffusion against the published form, and against closed forms of Gaussians."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from diffc.codecs.relay.diffusion import combined_noise, forward
from diffc.codecs.shared.diffusion.samplers import per_item, sample_ddim
from diffc.codecs.shared.diffusion.schedules import linear_sigmas

SHAPE = (2, 3, 4, 5)


def drawn() -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    clean, error, noise = (
        torch.randn(SHAPE, generator=generator, dtype=torch.float64) for _ in range(3)
    )
    return clean, clean + 0.3 * error, noise


@pytest.mark.parametrize("n", [1, 40, 299, 300])
def test_forward_is_the_papers_equation(n: int) -> None:
    # RDEIC, equations 4 and 5: z_n = sqrt(ab_n) (z_0 + eta_n e) + sqrt(1 - ab_n) eps
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    bars = torch.cumprod(1 - betas, 0)
    bar, last = float(bars[n - 1]), float(bars[299])
    ratio = math.sqrt((1 - bar) / bar)
    start = math.sqrt((1 - last) / last)
    clean, base, noise = drawn()
    eta = ratio / start
    state = math.sqrt(bar) * (clean + eta * (base - clean)) + math.sqrt(1 - bar) * noise
    ours = forward(clean, base, noise, torch.full((2,), ratio), torch.full((2,), start))
    assert torch.allclose(ours, state / math.sqrt(bar), atol=1e-6)


def test_the_start_is_the_forward_equation_at_the_end() -> None:
    clean, base, noise = drawn()
    start = torch.tensor([0.2, 0.7], dtype=torch.float64)
    expected = base + per_item(start) * noise
    assert torch.allclose(forward(clean, base, noise, start, start), expected, atol=1e-12)


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_who_knows_the_clean_picture_walks_along_the_forward_equation(steps: int) -> None:
    clean, base, noise = drawn()
    start = torch.tensor([0.2, 0.7], dtype=torch.float64)
    path = linear_sigmas(start, steps)
    states: list[Tensor] = []

    def oracle(state: Tensor, sigma: Tensor) -> Tensor:
        states.append(state)
        return clean

    end = sample_ddim(oracle, base + per_item(start) * noise, [*path, 0.0])
    assert torch.equal(end, clean)
    assert len(states) == steps
    for state, ratio in zip(states, path, strict=True):
        expected = forward(clean, base, noise, ratio, start)
        assert torch.allclose(state, expected, atol=1e-12)
    found = (states[0] - clean) / per_item(start)
    assert torch.allclose(found, combined_noise(clean, base, noise, start), atol=1e-12)


def gaussian_end(steps: int, error: float = 0.5, start: float = 0.8) -> tuple[Tensor, Tensor]:
    """Sample with the best denoiser of z_0 ~ N(0, 1), z_c = z_0 + N(0, error^2); y_N and the end."""
    spread = 1 + (error / start) ** 2  # variance of the combined noise

    def posterior_mean(state: Tensor, sigma: Tensor) -> Tensor:
        return state / (1 + spread * per_item(sigma) ** 2)

    generator = torch.Generator().manual_seed(5)
    clean, residual, noise = (
        torch.randn(1, 1, 200, 200, generator=generator, dtype=torch.float64) for _ in range(3)
    )
    base = clean + error * residual
    path = linear_sigmas(torch.tensor([start], dtype=torch.float64), steps)
    first = base + start * noise
    return first, sample_ddim(posterior_mean, first, [*path, 0.0])


def test_one_step_is_the_posterior_mean() -> None:
    first, end = gaussian_end(1)
    assert torch.allclose(end, first / (1 + 0.8**2 + 0.5**2))


def test_many_steps_reach_the_closed_form_of_the_flow() -> None:
    # dy/dr = (y - z0hat) / r ends at y_N / sqrt(1 + error^2 + r_N^2), whose variance is 1
    first, end = gaussian_end(2000)
    assert torch.allclose(end, first / math.sqrt(1 + 0.8**2 + 0.5**2), rtol=2e-3)
    assert float(end.var()) == pytest.approx(1, abs=0.02)


def test_more_steps_come_closer_to_it() -> None:
    errors = []
    for steps in (1, 2, 5, 20):
        first, end = gaussian_end(steps)
        errors.append(float((end - first / math.sqrt(1 + 0.8**2 + 0.5**2)).abs().max()))
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.2 * errors[0]
