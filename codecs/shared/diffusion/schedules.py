"""Noise levels to walk along, and those of a released model with the times of its own scheduler."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from diffc.codecs.shared.diffusion.denoisers import (
    EpsilonDenoiser,
    FlowDenoiser,
    Network,
    SampleDenoiser,
    TableDenoiser,
    VelocityDenoiser,
)
from diffc.errors import OptionError

# makes a denoiser of a network in its own convention
Wrap = Callable[[Network], TableDenoiser]

# a walk has up to 255 steps, each at a level of its own, and a level's place takes two bytes
_FEWEST, _MOST = 256, 10_000
# what stands for an alpha-bar of zero, as a rescaled schedule ends at
_ALMOST_ZERO = 2.0**-24

_VARIANCE_PRESERVING: dict[str, Callable[[Network, Sequence[float]], TableDenoiser]] = {
    "epsilon": EpsilonDenoiser,
    "v_prediction": VelocityDenoiser,
    "sample": SampleDenoiser,
}


def edm_sigmas(largest: float, smallest: float, steps: int, *, rho: float = 5.0) -> list[float]:
    """Return falling levels, one for each step (EDM, arXiv 2206.00364, equation 5)."""
    if steps == 1:
        return [largest]
    top, bottom = largest ** (1 / rho), smallest ** (1 / rho)
    return [(top + (bottom - top) * i / (steps - 1)) ** rho for i in range(steps)]


def sigma_table(*, smallest: float, largest: float, count: int, warp: float) -> list[float]:
    """Return noise levels, rising; ``warp`` < 1 sets them closer together where they are small."""
    bottom, top = math.log(smallest), math.log(largest)
    falling = [math.exp(top + (bottom - top) * (i / (count - 1)) ** warp) for i in range(count)]
    return falling[::-1]


def even_times(first: int, last: int, steps: int) -> list[int]:
    """Return ``steps`` + 1 places in a table from ``first`` down to ``last``, evenly spaced."""
    span = first - last
    return [first - (span * i + steps // 2) // steps for i in range(steps + 1)]


def count_of(config: Mapping[str, Any]) -> int:
    """Return the number of noise levels."""
    count = config.get("num_train_timesteps", 1000)
    if isinstance(count, bool) or not isinstance(count, int) or not _FEWEST <= count <= _MOST:
        raise ValueError(
            f"num_train_timesteps is {_FEWEST} to {_MOST} here, not {count!r}: use another model"
        )
    return count


def alpha_bars(config: Mapping[str, Any]) -> list[float]:
    """Return the cumulative alpha-bars, falling from nearly 1, of a table of betas.

    Parameters
    ----------
    config : mapping
        Of a scheduler with ``beta_schedule`` linear, scaled_linear or squaredcos_cap_v2, or with
        ``trained_betas``.  With ``rescale_betas_zero_snr`` the square roots are shifted and scaled
        so that the last is zero (arXiv 2305.08891, algorithm 1).

    Raises
    ------
    ValueError
        If it is none of these.
    """
    bars = []
    product = 1.0
    for beta in _betas(config):
        if not 0 < beta < 1:
            raise ValueError(f"betas are between 0 and 1, not {beta!r}: fetch the model anew")
        product *= 1 - beta
        bars.append(product)
    if config.get("rescale_betas_zero_snr"):
        first, last = math.sqrt(bars[0]), math.sqrt(bars[-1])
        bars = [((math.sqrt(bar) - last) * first / (first - last)) ** 2 for bar in bars]
    return [max(bar, _ALMOST_ZERO) for bar in bars]


def _betas(config: Mapping[str, Any]) -> list[float]:
    count = count_of(config)
    trained = config.get("trained_betas")
    if trained is not None:
        if len(trained) != count:
            raise ValueError(f"trained_betas are {count}, not {len(trained)}: fetch the model anew")
        return [float(beta) for beta in trained]
    schedule = config["beta_schedule"]
    if schedule == "squaredcos_cap_v2":
        bars = [math.cos((i / count + 0.008) / 1.008 * math.pi / 2) ** 2 for i in range(count + 1)]
        return [min(1 - bars[i + 1] / bars[i], 0.999) for i in range(count)]
    start, end = float(config["beta_start"]), float(config["beta_end"])
    if schedule == "linear":
        return [start + (end - start) * i / (count - 1) for i in range(count)]
    if schedule == "scaled_linear":
        low, high = math.sqrt(start), math.sqrt(end)
        return [(low + (high - low) * i / (count - 1)) ** 2 for i in range(count)]
    raise ValueError(
        "beta_schedule is linear, scaled_linear or squaredcos_cap_v2 here, not "
        f"{str(schedule)[:100]!r}: use another model"
    )


def flow_times(config: Mapping[str, Any]) -> list[float]:
    """Return the times s of a flow-matching scheduler, rising to 1.

    They are evenly spaced and then shifted to s' = shift s / (1 + (shift - 1) s), as arXiv
    2403.03206, section 5.3.2, does for larger pictures.

    Raises
    ------
    ValueError
        If the scheduler's shift depends on the picture, or its direction is the other one.
    """
    for key in ("use_dynamic_shifting", "invert_sigmas"):
        if config.get(key):
            raise ValueError(f"{key} is not supported here: use another model")
    count, shift = count_of(config), float(config.get("shift", 1.0))
    if not 0 < shift <= 100:
        raise ValueError(f"shift is above 0 and at most 100, not {shift}: fetch the model anew")
    even = [(i + 1) / count for i in range(count)]
    return [shift * s / (1 + (shift - 1) * s) for s in even]


def flow_walk(steps: int, last_step: float) -> list[float]:
    """Return falling times s, 1 to ``last_step``, one for each step and evenly spaced, then 0."""
    spacing = (1 - last_step) / max(steps - 1, 1)
    return [*(1 - step * spacing for step in range(steps)), 0.0]


def flow_wrap(config: Mapping[str, Any]) -> Wrap:
    """Return what makes a denoiser of a flow-matching network.

    The network takes s times the number of training steps.

    Raises
    ------
    ValueError
        As `flow_times`.
    """
    count, times = count_of(config), flow_times(config)
    return lambda network: FlowDenoiser(lambda x, s: network(x, s * count), times)


def variance_preserving_wrap(config: Mapping[str, Any]) -> Wrap:
    """Return what makes a denoiser of a network, by what the scheduler says that it predicts.

    Raises
    ------
    ValueError
        If that is unknown, or cannot be used with this table.
    """
    prediction = config.get("prediction_type", "epsilon")
    if prediction not in _VARIANCE_PRESERVING:
        raise ValueError(
            f"prediction_type is {', '.join(_VARIANCE_PRESERVING)} here, not "
            f"{str(prediction)[:100]!r}: use another model"
        )
    if prediction == "epsilon" and config.get("rescale_betas_zero_snr"):
        raise ValueError(
            "a network that predicts noise says nothing where there is only noise, so that "
            "prediction_type epsilon and rescale_betas_zero_snr exclude each other: use another "
            "model"
        )
    kind, bars = _VARIANCE_PRESERVING[prediction], alpha_bars(config)
    return lambda network: kind(network, bars)


def ddim_times(config: Mapping[str, Any], steps: int) -> list[int]:
    """Return falling times, one for each step, as places in the scheduler's table.

    Parameters
    ----------
    config : mapping
        Of a scheduler of diffusers: ``timestep_spacing`` is leading (also where it says nothing),
        trailing or linspace (arXiv 2305.08891, table 2); ``steps_offset`` is added to the first.
    steps : int
        From 1 to the number of the table's levels.

    Raises
    ------
    OptionError
        If the table has fewer levels than steps.
    ValueError
        If the spacing or the offset is none of these.
    """
    count = count_of(config)
    if steps > count:
        raise OptionError(f"the model samples in up to {count} steps, not {steps}: choose fewer")
    spacing, offset = config.get("timestep_spacing", "leading"), config.get("steps_offset", 0)
    if isinstance(offset, bool) or not isinstance(offset, int) or not 0 <= offset < count:
        raise ValueError(
            f"steps_offset is 0 to {count - 1}, not {str(offset)[:100]}: fetch it anew"
        )
    if spacing == "leading":
        # an offset could lead beyond the table where every level is a step
        return [min(i * (count // steps) + offset, count - 1) for i in reversed(range(steps))]
    if spacing == "trailing":
        return [_rounded((steps - i) * count, steps) - 1 for i in range(steps)]
    if spacing == "linspace":
        last = max(steps - 1, 1)
        return [_rounded(i * (count - 1), last) for i in reversed(range(steps))]
    raise ValueError(
        f"timestep_spacing is leading, trailing or linspace, not {str(spacing)[:100]!r}: use "
        "another model"
    )


def _rounded(numerator: int, denominator: int) -> int:
    """Return the nearest integer, the even one of two, as numpy rounds."""
    whole, rest = divmod(numerator, denominator)
    return whole + (2 * rest > denominator or (2 * rest == denominator and whole % 2 == 1))


def last_sigma(config: Mapping[str, Any], sigmas: Sequence[float]) -> float:
    """Return where the last step leads: to no noise at all, or to the first level of the table."""
    return 0.0 if config.get("set_alpha_to_one", True) else sigmas[0]
