"""Philox 4x32-10, a counter-based random generator, in exact integer arithmetic on any device.

Published by Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3" (2011).
A block of four words is a pure function of its counter and its key, so any block can be made
alone, in any order, and is the same on every processor and with every version of PyTorch.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

_WORD = 1 << 32
_MASK = _WORD - 1
_ROUNDS = 10
_KEY_STEPS = (0x9E3779B9, 0xBB67AE85)
# The multipliers less 2**32: a word times one of these stays above -2**62, so that the signed
# 64-bit product never overflows; the missing word * 2**32 is added to its high half again.
_MULTIPLIERS = (0xD2511F53 - _WORD, 0xCD9E8D57 - _WORD)


def philox4x32(counter: Tensor | Sequence[Tensor], key: tuple[int, int]) -> Tensor:
    """Return the random words of some counters under one key.

    Parameters
    ----------
    counter : Tensor or sequence of four Tensors
        int64, values in 0..2**32-1. One tensor has shape (..., 4); four tensors, the words of
        the counter from the first to the last, have shapes that broadcast. Values are not
        checked.
    key : tuple of two int
        Each in 0..2**32-1.

    Returns
    -------
    Tensor
        int64, shape (..., 4), values in 0..2**32-1, on the device of the counter. About
        40 bytes of memory are in use for each word while they are made.

    Raises
    ------
    ValueError
        The counter has not four words of int64, or a half of the key is out of its range.
    """
    words = counter.unbind(-1) if isinstance(counter, Tensor) else tuple(counter)
    if len(words) != 4:
        raise ValueError(f"a counter has 4 words, not {len(words)}: give the last axis 4 entries")
    if any(word.dtype != torch.int64 for word in words):
        raise ValueError(f"a counter is int64, not {words[0].dtype}: convert it with .to()")
    key0, key1 = key
    if not (0 <= key0 <= _MASK and 0 <= key1 <= _MASK):
        raise ValueError(f"a key is two integers in 0..2**32-1, not {key}: reduce them first")
    word0, word1, word2, word3 = words
    for _ in range(_ROUNDS):
        product0 = word0 * _MULTIPLIERS[0]
        product1 = word2 * _MULTIPLIERS[1]
        high0 = (product0 >> 32).add_(word0)
        high1 = (product1 >> 32).add_(word2)
        word0 = (high1 ^ word1).bitwise_xor_(key0)
        word2 = (high0 ^ word3).bitwise_xor_(key1)
        word1 = product1.bitwise_and_(_MASK)
        word3 = product0.bitwise_and_(_MASK)
        key0 = (key0 + _KEY_STEPS[0]) & _MASK
        key1 = (key1 + _KEY_STEPS[1]) & _MASK
    # Four rounds mix every word into every other: by now all have the whole shape.
    return torch.stack((word0, word1, word2, word3), dim=-1)
