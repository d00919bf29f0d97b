"""Relay residual diffusion: from a coded base picture plus noise to a photograph, in few steps.

RDEIC (arXiv 2410.02640), equations 4 to 9, in variance-exploding form: with z_n the paper's
state and ab_n its cumulative alpha, here y_n = z_n / sqrt(ab_n) and r_n = sqrt((1 - ab_n) / ab_n),
the noise-to-signal ratio.  Then

    forward   y_n = z_0 + r_n * e~        with  e~ = eps + (z_c - z_0) / r_N  (combined noise)
    start     y_N = z_c + r_N * eps       (the forward equation at n = N)
    reverse   y_m = z0hat + r_m * (y_n - z0hat) / r_n       (DDIM with the combined noise)

Residual and noise leave together.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

from torch import Tensor

Restorer = Callable[[Tensor, Tensor], Tensor]
"""``z0hat = restorer(y, r)``: the clean picture, given the state and its ratio (N,)."""


def combined_noise(clean: Tensor, base: Tensor, noise: Tensor, start: Tensor) -> Tensor:
    """Return e~ = eps + (z_c - z_0) / r_N, what the network has to find (equation 6).

    Parameters
    ----------
    clean, base, noise : Tensor
        z_0, z_c and eps, of one shape (N, C, H, W).
    start : Tensor
        r_N (N,), > 0.
    """
    return noise + (base - clean) / start[:, None, None, None]


def forward(clean: Tensor, base: Tensor, noise: Tensor, ratio: Tensor, start: Tensor) -> Tensor:
    """Return the state y_n at ``ratio`` r_n, 0 <= r_n <= r_N = ``start``."""
    return clean + ratio[:, None, None, None] * combined_noise(clean, base, noise, start)


def ratios(start: Tensor, steps: int) -> list[Tensor]:
    """Return r_N = ``start`` (N,) and what follows for ``steps`` evenly spaced steps, without 0."""
    return [start * ((steps - step) / steps) for step in range(steps)]


def sample(restorer: Restorer, base: Tensor, noise: Tensor, path: Sequence[Tensor]) -> Tensor:
    """Go from the base picture plus noise to a clean picture along the ratios of ``path``."""
    state = base + path[0][:, None, None, None] * noise
    for ratio, following in itertools.pairwise(path):
        state = onward(state, restorer(state, ratio), ratio, following)
    return restorer(state, path[-1])


def onward(state: Tensor, clean: Tensor, ratio: Tensor, following: Tensor) -> Tensor:
    """Return y_m of the reverse equation, given y_n, z0hat, r_n and r_m = ``following``."""
    # r_m * (y_n - z0hat) / r_n is the combined noise, brought to the next ratio
    return clean + (following / ratio)[:, None, None, None] * (state - clean)
