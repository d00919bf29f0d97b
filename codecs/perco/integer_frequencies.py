"""Scores to cumulative frequencies of a range coder, in integers alone: the same everywhere."""

from __future__ import annotations

import math

import torch
from torch import Tensor

TOTAL = 1 << 16
"""What each row of frequencies sums to."""
STEP = 32
"""Scores for one bit: a score higher by so much is twice as likely."""
_PRECISION = 24


def _powers() -> Tensor:
    """Return 2**_PRECISION * 2**(-i / STEP), rounded down, for i = 0..STEP-1."""
    found = []
    for i in range(STEP):
        # the STEP-th root in integers: of a whole number, roots of rounded down roots are exact
        root = 1 << STEP * _PRECISION - i
        for _ in range(STEP.bit_length() - 1):
            root = math.isqrt(root)
        found.append(root)
    return torch.tensor(found)


_POWERS = _powers()


def cumulative(scores: Tensor) -> Tensor:
    """Return cumulative frequencies, int64 (n, words + 1), from 0 to `TOTAL` in each row.

    Word v has the frequency c[v + 1] - c[v] >= 1, about TOTAL * 2**(s[v] / STEP) over the sum of
    all words' powers.

    Parameters
    ----------
    scores : Tensor
        int64 (n, words), words <= 4096.
    """
    count, words = scores.shape
    below = scores.amax(1, keepdim=True) - scores
    # 2**24 times 2**-40 is 0 in any case
    below.clamp_(max=40 * STEP)
    shares = _POWERS[below % STEP] >> below // STEP
    made = torch.zeros(count, words + 1, dtype=torch.int64)
    torch.cumsum(shares, 1, out=made[:, 1:])
    whole = made[:, -1:].clone()
    # at most 2**12 words of 2**24, times 2**16: far below 2**63
    return made.mul_(TOTAL - words).floor_divide_(whole).add_(torch.arange(words + 1))
