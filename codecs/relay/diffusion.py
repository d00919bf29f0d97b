"""The forward process of relay residual diffusion, for training; `relay.decoder.restore` reverses it.

RDEIC (arXiv 2410.02640), equations 4 to 6, in variance-exploding form: with z_n the paper's state
and ab_n its cumulative alpha, here y_n = z_n / sqrt(ab_n) and r_n = sqrt((1 - ab_n) / ab_n).  Then

    forward   y_n = z_0 + r_n * e~        with  e~ = eps + (z_c - z_0) / r_N  (combined noise)
    start     y_N = z_c + r_N * eps       (the forward equation at n = N)
"""

from __future__ import annotations

from torch import Tensor

from diffc.codecs.shared.diffusion.samplers import add_noise, per_item


def combined_noise(clean: Tensor, base: Tensor, noise: Tensor, start: Tensor) -> Tensor:
    """Return e~ = eps + (z_c - z_0) / r_N, what the network has to find (equation 6).

    Parameters
    ----------
    clean, base, noise : Tensor
        z_0, z_c and eps, of one shape (N, C, H, W).
    start : Tensor
        r_N (N,), > 0.
    """
    return noise + (base - clean) / per_item(start)


def forward(clean: Tensor, base: Tensor, noise: Tensor, sigma: Tensor, start: Tensor) -> Tensor:
    """Return the state y_n at ``sigma`` = r_n, 0 <= r_n <= r_N = ``start``."""
    return add_noise(clean, combined_noise(clean, base, noise, start), sigma)
