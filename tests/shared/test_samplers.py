"""Steps and walks against closed forms for a Gaussian, and the noise levels they go along."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor

from diffc.codecs.shared.diffusion.denoisers import FlowDenoiser, flow_sigma, guided
from diffc.codecs.shared.diffusion.samplers import (
    advance,
    ancestral_weights,
    ddim_step,
    ddim_weights,
    denoise_scaled,
    per_item,
    sample_ddim,
    sample_flow,
)
from diffc.codecs.shared.diffusion.schedules import edm_sigmas, even_times, flow_walk

MEAN, SPREAD = 1.5, 0.7
STEPS = [(3.0, 2.0), (1.0, 1 / 3), (1.5, 0.03)]


def posterior_mean(x: Tensor, sigma: Tensor) -> Tensor:
    """E[x0 | x0 + sigma eps] for x0 of that mean and spread."""
    variance = per_item(sigma).square()
    return (SPREAD**2 * x + variance * MEAN) / (SPREAD**2 + variance)


def drawn(*shape: int, seed: int = 4) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("steps", [40, 200])
def test_sampling_a_gaussian_gives_its_spread(steps: int) -> None:
    noise = drawn(1, 1, 100, 100)
    sigmas = edm_sigmas(50.0, 0.002, steps)
    made = sample_ddim(posterior_mean, MEAN + sigmas[0] * noise, [*sigmas, 0.0])
    # the flow's exact solution for a Gaussian; Euler's steps fall short of it, the fewer the more
    exact = MEAN + noise * sigmas[0] * SPREAD / math.sqrt(SPREAD**2 + sigmas[0] ** 2)
    assert float((made - exact).abs().mean()) < 6 / steps
    assert float(made.std()) == pytest.approx(SPREAD, rel=8 / steps)


@pytest.mark.parametrize("steps", [40, 200])
def test_an_ancestral_walk_over_a_gaussian_gives_its_spread(steps: int) -> None:
    sigmas = edm_sigmas(50.0, 0.002, steps)
    z = drawn(1, 1, 100, 100)
    for step, (sigma, sigma_next) in enumerate(itertools.pairwise(sigmas)):
        denoised = denoise_scaled(posterior_mean, z, sigma)
        noise = drawn(1, 1, 100, 100, seed=step + 5)
        z = advance(ancestral_weights(sigma, sigma_next), z, denoised, noise)
    assert float(z.mean()) == pytest.approx(MEAN, abs=0.03)
    assert float(z.std()) == pytest.approx(SPREAD, rel=0.02 + 4 / steps)


def test_levels_of_a_batch_are_as_each_alone() -> None:
    noise, start = drawn(2, 3, 4, 4), torch.tensor([0.4, 2.0])
    sigmas: list[float | Tensor] = [start, 2 * start / 3, start / 3, 0.0]
    told: list[tuple[int, int]] = []
    both = sample_ddim(
        posterior_mean,
        per_item(start) * noise,
        sigmas,
        lambda step, steps: told.append((step, steps)),
    )
    assert told == [(1, 3), (2, 3), (3, 3)]
    for i in range(2):
        level = float(start[i])
        alone = sample_ddim(
            posterior_mean, level * noise[i : i + 1], [level, 2 * level / 3, level / 3, 0.0]
        )
        torch.testing.assert_close(both[i : i + 1], alone)


def test_a_walk_may_be_cut_in_two() -> None:
    x, sigmas = 5 * drawn(1, 1, 8, 8), [5.0, 2.0, 0.5, 0.1, 0.0]
    half = sample_ddim(posterior_mean, x, sigmas[:3])
    whole = sample_ddim(posterior_mean, x, sigmas)
    assert torch.equal(sample_ddim(posterior_mean, half, sigmas[2:]), whole)
    assert torch.equal(sample_ddim(posterior_mean, x, sigmas[:1]), x)


def test_a_step_keeps_the_noise_it_estimates() -> None:
    x0, eps = drawn(2, 1, 3, 3), drawn(2, 1, 3, 3, seed=5)
    before, after = torch.tensor([2.0, 0.7]), torch.tensor([0.5, 0.2])
    moved = ddim_step(x0 + per_item(before) * eps, x0, before, after)
    torch.testing.assert_close(moved, x0 + per_item(after) * eps)
    torch.testing.assert_close(ddim_step(x0 + 2 * eps, x0, 2.0, 0.0), x0)


@pytest.mark.parametrize(("sigma", "sigma_next"), STEPS)
def test_both_forms_of_the_deterministic_step_agree(sigma: float, sigma_next: float) -> None:
    x, x0 = sigma * drawn(1, 1, 5, 5), drawn(1, 1, 5, 5, seed=5)
    expected = ddim_step(x, x0, sigma, sigma_next) / math.hypot(1, sigma_next)
    made = advance(ddim_weights(sigma, sigma_next), x / math.hypot(1, sigma), x0)
    torch.testing.assert_close(made, expected)


@pytest.mark.parametrize(("sigma", "sigma_next"), STEPS)
def test_an_ancestral_step_keeps_the_forward_process(sigma: float, sigma_next: float) -> None:
    # from z = sqrt(ab) x0 + sqrt(1 - ab) eps and the true x0, z_next has mean sqrt(ab_next) x0
    # and variance 1 - ab_next
    ab, ab_next = 1 / (1 + sigma**2), 1 / (1 + sigma_next**2)
    step = ancestral_weights(sigma, sigma_next)
    assert step.denoised + step.state * math.sqrt(ab) == pytest.approx(math.sqrt(ab_next))
    assert step.state**2 * (1 - ab) + step.noise**2 == pytest.approx(1 - ab_next)
    # DDIM's sigma at eta = 1, equation 16
    spread = math.sqrt((1 - ab_next) / (1 - ab) * (1 - ab / ab_next))
    assert step.noise == pytest.approx(spread)


def test_levels_fall_from_the_largest_to_the_smallest() -> None:
    sigmas = edm_sigmas(40.0, 0.2, 9)
    assert sigmas[0] == pytest.approx(40)
    assert sigmas[-1] == pytest.approx(0.2)
    assert sigmas == sorted(sigmas, reverse=True)
    assert edm_sigmas(40.0, 0.2, 1) == [40.0]


@pytest.mark.parametrize("steps", [1, 3, 30, 255])
def test_times_fall_evenly_from_end_to_end(steps: int) -> None:
    path = even_times(999, 0, steps)
    assert (path[0], path[-1], len(path)) == (999, 0, steps + 1)
    gaps = {earlier - later for earlier, later in itertools.pairwise(path)}
    assert max(gaps) - min(gaps) <= 1


def test_eulers_steps_along_straight_paths_are_those_of_ddim() -> None:
    times = flow_walk(12, 0.04)
    model = FlowDenoiser(lambda x, s: x * s + s**2, times[-2::-1])
    noise = drawn(1, 1, 4, 4)
    made = sample_flow(model, noise, times, order=1)
    sigmas = [flow_sigma(s) for s in times[:-1]]
    wanted = sample_ddim(model, noise * sigmas[0], [*sigmas, 0.0])
    torch.testing.assert_close(made, wanted, rtol=1e-4, atol=1e-5)


def test_two_directions_follow_one_that_turns_evenly() -> None:
    # uneven steps: a rule with fixed weights would miss
    times = [1.0, 0.9, 0.5, 0.3, 0.0]
    model = FlowDenoiser(lambda x, s: torch.full_like(x, 3 + 4 * s), times[-2::-1])
    start = drawn(1, 1, 4, 4)
    # only the first step, Euler's, is not exact: its direction is that of its start
    exact = start - 3 - 2 + 2 * 0.1**2 - 4 * 0.1**2
    torch.testing.assert_close(sample_flow(model, start, times), exact, rtol=1e-5, atol=1e-5)
    euler = sample_flow(model, start, times, order=1)
    assert float((euler - exact).abs().max()) > 0.5


@pytest.mark.parametrize(
    ("steps", "wanted"), [(1, [1, 0]), (2, [1, 0.04, 0]), (5, [1, 0.76, 0.52, 0.28, 0.04, 0])]
)
def test_a_walk_is_even_down_to_its_last_step(steps: int, wanted: list[float]) -> None:
    assert flow_walk(steps, 0.04) == pytest.approx(wanted)


def test_guidance_ends_at_a_noise_level() -> None:
    asked = []

    def unconditional(x: Tensor, sigma: Tensor) -> Tensor:
        asked.append(sigma.item())
        return torch.zeros_like(x)

    model = guided(lambda x, sigma: torch.ones_like(x), unconditional, 3.0, 9.0)
    levels = (2.0**24, 9.0, 8.9, 0.1)
    made = [model(torch.zeros(1, 1, 1, 1), torch.tensor([level])).item() for level in levels]
    assert made == [1, 1, 3, 3]
    assert asked == pytest.approx(levels[2:])
