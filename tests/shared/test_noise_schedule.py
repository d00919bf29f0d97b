"""Noise levels from schedulers' configurations, against closed forms and against diffusers."""

from __future__ import annotations

import itertools
import math
from importlib.util import find_spec
from typing import Any

import pytest
import torch

from diffc.codecs.shared.diffusion.denoisers import PURE_NOISE
from diffc.codecs.shared.diffusion.samplers import ancestral_weights, ddim_weights
from diffc.codecs.shared.diffusion.schedules import (
    alpha_bars,
    flow_times,
    flow_wrap,
    variance_preserving_wrap,
)

needs_diffusers = pytest.mark.skipif(find_spec("diffusers") is None, reason="needs diffusers")
STABLE_DIFFUSION = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
BETAS: dict[str, dict[str, Any]] = {
    "linear": {"beta_start": 0.0001, "beta_end": 0.02, "beta_schedule": "linear"},
    "scaled": STABLE_DIFFUSION,
    "cosine": {"beta_schedule": "squaredcos_cap_v2"},
    "trained": {"trained_betas": [0.001 + i * 1e-5 for i in range(300)]},
    "zero": {**STABLE_DIFFUSION, "rescale_betas_zero_snr": True},
}


@pytest.mark.parametrize("kind", BETAS)
def test_levels_fall_from_almost_one(kind: str) -> None:
    config = BETAS[kind] | {"num_train_timesteps": 300 if kind == "trained" else 1000}
    bars = alpha_bars(config)
    assert len(bars) == config["num_train_timesteps"]
    assert 0.998 < bars[0] < 1
    assert bars[-1] > 0
    assert all(later < earlier for earlier, later in itertools.pairwise(bars))


def test_the_levels_of_stable_diffusion() -> None:
    bars = alpha_bars(STABLE_DIFFUSION)
    assert bars[0] == 1 - 0.00085
    assert bars[-1] == pytest.approx(0.0047, abs=1e-4)
    assert alpha_bars(BETAS["zero"])[-1] == 2.0**-24


@needs_diffusers
@pytest.mark.parametrize("kind", BETAS)
def test_levels_are_those_of_diffusers(kind: str) -> None:
    from diffusers import DDIMScheduler

    config = BETAS[kind] | {"num_train_timesteps": 300 if kind == "trained" else 1000}
    theirs = DDIMScheduler(**config).alphas_cumprod.double()
    ours = torch.tensor(alpha_bars(config), dtype=torch.float64)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=2e-6)


@needs_diffusers
@pytest.mark.parametrize("shift", [1.0, 3.0])
def test_flow_times_are_those_of_diffusers(shift: float) -> None:
    from diffusers import FlowMatchEulerDiscreteScheduler

    theirs = FlowMatchEulerDiscreteScheduler(shift=shift).sigmas.flip(0).double()
    ours = torch.tensor(flow_times({"shift": shift}), dtype=torch.float64)
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)
    assert ours[-1] == 1


@needs_diffusers
@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
def test_estimates_are_those_of_diffusers(prediction: str) -> None:
    from diffusers import DDIMScheduler

    config = {**STABLE_DIFFUSION, "prediction_type": prediction}
    scheduler = DDIMScheduler(**config, clip_sample=False)
    scheduler.set_timesteps(1000)
    denoiser = variance_preserving_wrap(config)(lambda x, t: (x + t / 1000).cos())
    x = torch.linspace(-2, 2, 9)
    for t in (0, 400, 999):
        theirs = scheduler.step((x + t / 1000).cos(), t, x).pred_original_sample
        # the scheduler's state is sqrt(alpha-bar) times ours
        sigma = denoiser.sigmas[t]
        made = denoiser(x * math.hypot(1, sigma), torch.tensor([sigma]))
        torch.testing.assert_close(made, theirs, rtol=1e-4, atol=1e-4)


def test_a_flow_is_asked_at_its_own_time() -> None:
    asked = []

    def network(x: torch.Tensor, t: float) -> torch.Tensor:
        asked.append(t)
        return x

    denoiser = flow_wrap({"shift": 3.0, "num_train_timesteps": 500})(network)
    assert denoiser.sigmas[-1] == PURE_NOISE
    x = torch.linspace(-2, 2, 9)
    for place in (-1, 0):
        denoiser(x, torch.tensor([denoiser.sigmas[place]]))
    assert asked == [pytest.approx(500), pytest.approx(500 * 3 / 500 / (1 + 2 / 500))]


def test_a_walk_from_pure_noise_has_finite_steps() -> None:
    sigmas = flow_wrap({})(lambda x, t: x).sigmas
    for weights in (ancestral_weights, ddim_weights):
        step = weights(sigmas[-1], sigmas[-30])
        assert all(map(math.isfinite, (step.denoised, step.state, step.noise)))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({**STABLE_DIFFUSION, "prediction_type": "score"}, "prediction_type is"),
        ({**BETAS["zero"], "prediction_type": "epsilon"}, "exclude each other"),
        ({**STABLE_DIFFUSION, "beta_schedule": "sigmoid"}, "beta_schedule is"),
        ({**STABLE_DIFFUSION, "beta_end": 1.5}, "betas are between"),
        ({**STABLE_DIFFUSION, "num_train_timesteps": 50}, "num_train_timesteps is"),
        ({**STABLE_DIFFUSION, "num_train_timesteps": 10**9}, "num_train_timesteps is"),
        ({"trained_betas": [0.1]}, "trained_betas are 1000, not 1"),
    ],
)
def test_schedules_that_cannot_be_walked_are_refused(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        variance_preserving_wrap(config)


@pytest.mark.parametrize(
    "config", [{"use_dynamic_shifting": True}, {"invert_sigmas": True}, {"shift": 0}]
)
def test_flows_that_cannot_be_walked_are_refused(config: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(config))):
        flow_wrap(config)
