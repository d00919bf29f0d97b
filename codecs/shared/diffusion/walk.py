"""The steps of a variance-preserving walk from noise to a latent, as functions.

Both follow arXiv 2010.02502 (DDIM), equation 12, with its eta = 1 and eta = 0; ``ab`` is the
cumulative alpha-bar before the step and ``ab_next`` the one after it, floats in (0, 1].
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class StepWeights:
    """x_next = ``estimate`` * x0hat + ``state`` * x + ``noise`` * n, where n has unit variance."""

    estimate: float
    state: float
    noise: float


def ancestral(ab: float, ab_next: float) -> StepWeights:
    """Weights of a draw from q(x_next | x, x0 = x0hat): the noise is the codec's to choose."""
    ratio = ab / ab_next
    variance = (1 - ab_next) / (1 - ab) * (1 - ratio)
    return StepWeights(
        estimate=math.sqrt(ab_next) * (1 - ratio) / (1 - ab),
        state=math.sqrt(ratio) * (1 - ab_next) / (1 - ab),
        noise=math.sqrt(variance),
    )


def deterministic(ab: float, ab_next: float) -> StepWeights:
    """Weights of the step that keeps the noise it estimates."""
    state = math.sqrt((1 - ab_next) / (1 - ab))
    return StepWeights(estimate=math.sqrt(ab_next) - state * math.sqrt(ab), state=state, noise=0.0)


def advance(weights: StepWeights, x: Tensor, x0hat: Tensor, noise: Tensor | None = None) -> Tensor:
    """Take a step; ``noise`` may be left out where its weight is zero."""
    moved = weights.estimate * x0hat + weights.state * x
    return moved if noise is None else moved + weights.noise * noise


def times(first: int, last: int, steps: int) -> list[int]:
    """Return ``steps`` + 1 times from ``first`` down to ``last``, evenly spaced, in integers."""
    span = first - last
    return [first - (span * i + steps // 2) // steps for i in range(steps + 1)]
