"""Integers in the form of an index model, the same in every version of everything."""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence

import torch
from torch import Tensor

from diffc.codecs.perco.index_contexts import STAGES, slots

VOCABULARIES = (12, 7, 5, 6, 8)
CODE, HIDDEN, VECTOR = 2, 5, 4


def scattered(seed: int, limit: int, *shape: int) -> Tensor:
    """Return integers of 0..limit-1 without an order that one could see, by Knuth's hash."""
    numbers = torch.arange(math.prod(shape)) + 1000 * seed
    return ((numbers * 2654435761 % (1 << 32) >> 7) % limit).reshape(shape)


def index_weights(
    seed: int, vocabularies: Sequence[int] = VOCABULARIES, largest: int = 127
) -> dict[str, Tensor]:
    """Return weights up to ``largest`` for a model of small layers."""
    weights = {}
    for i, words in enumerate(vocabularies):
        for name, kind, limit, shape in (
            ("codes", torch.int8, largest, (words, CODE)),
            ("enter", torch.int8, largest, (slots(i) * CODE, HIDDEN)),
            ("enter_bias", torch.int16, 8000, (STAGES, HIDDEN)),
            ("middle", torch.int8, largest, (HIDDEN, VECTOR)),
            ("middle_bias", torch.int16, 8000, (VECTOR,)),
            ("extra", torch.int8, largest, (words, VECTOR - CODE)),
            ("bias", torch.int16, 100, (words,)),
        ):
            key = f"{name}.{i}"
            values = scattered(seed + zlib.crc32(key.encode()), 2 * limit + 1, *shape) - limit
            weights[key] = values.to(kind)
    return weights
