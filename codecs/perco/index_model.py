"""A model of image tokens for entropy coding: how likely each word is, given what is known.

For each grid a network of three layers: the neighbours' code vectors to hidden features, those to a
short vector, and its products with a vector of each word to scores.  All weights are integers, and
all sums are below 2**40 (some 20 inputs of at most 4096 components, each of a few int8, times int8),
while float64 holds every integer up to 2**53: every product of matrices is exact, in any order of
its sums, and the frequencies are the same with any number of threads, on any processor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from diffc.codecs.perco.index_contexts import STAGES, neighbours, slots
from diffc.codecs.perco.integer_frequencies import cumulative

SHIFT = 7
"""Bits that each layer's sums lose."""
LARGEST = 127
"""Weights and features are within -127..127."""
_MOST = 4096


class IndexModel:
    """Frequencies of tokens.

    Parameters
    ----------
    weights : mapping
        For each grid i: ``codes.i`` (words, code), ``enter.i`` (slots * code, hidden) and
        ``middle.i`` (hidden, vector), int8; ``extra.i`` (words, vector - code), int8: with the
        codes, the words' vectors; ``enter_bias.i`` (STAGES, hidden), ``middle_bias.i`` (vector,)
        and ``bias.i`` (words,), int16.
    vocabularies : sequence of int
        Words of each grid's codebook.

    Raises
    ------
    ValueError
        If a tensor is missing, of another shape or type, or one too many.
    """

    def __init__(self, weights: Mapping[str, Tensor], vocabularies: Sequence[int]) -> None:
        self.vocabularies = tuple(vocabularies)
        _check(weights, self.vocabularies)
        grids = range(len(self.vocabularies))
        # the word behind the last is one that is not known: it says nothing
        self._codes = [_exact(weights[f"codes.{i}"]) for i in grids]
        self._known = [torch.cat([codes, torch.zeros_like(codes[:1])]) for codes in self._codes]
        self._enter = [_exact(weights[f"enter.{i}"]) for i in grids]
        self._enter_bias = [_exact(weights[f"enter_bias.{i}"]) for i in grids]
        self._middle = [_exact(weights[f"middle.{i}"]) for i in grids]
        self._middle_bias = [_exact(weights[f"middle_bias.{i}"]) for i in grids]
        self._words = [
            torch.cat([self._codes[i], _exact(weights[f"extra.{i}"])], dim=1).T.contiguous()
            for i in grids
        ]
        self._bias = [weights[f"bias.{i}"].long() for i in grids]

    @classmethod
    def load(cls, path: Path, vocabularies: Sequence[int]) -> IndexModel:
        """Read the weights from a safetensors file."""
        return cls(load_file(path), vocabularies)

    def scores(self, contexts: Tensor, grid: int, stage: int) -> Tensor:
        """Return how likely each word is, int64 (n, words), 32 for each bit.

        Parameters
        ----------
        contexts : Tensor
            From `diffc.codecs.perco.index_contexts.KnownTokens.contexts`, int64 (n, neighbours).
        grid, stage : int
            Which tokens.
        """
        inputs = torch.zeros(
            len(contexts), slots(grid), self._codes[0].shape[1], dtype=torch.float64
        )
        for tokens, neighbour in zip(contexts.unbind(1), neighbours(grid, stage), strict=True):
            inputs[:, neighbour.slot] += self._known[neighbour.grid][tokens]
        features = inputs.flatten(1) @ self._enter[grid] + self._enter_bias[grid][stage]
        features = _shifted(features).clamp_(0, LARGEST)
        vectors = _shifted(features @ self._middle[grid] + self._middle_bias[grid])
        products = vectors.clamp_(-LARGEST, LARGEST) @ self._words[grid]
        return _shifted(products).long() + self._bias[grid]

    def cumulative(self, contexts: Tensor, grid: int, stage: int) -> Tensor:
        """Return cumulative frequencies, int64 (n, words + 1), from 0 to 65536 in each row."""
        return cumulative(self.scores(contexts, grid, stage))


def _exact(weights: Tensor) -> Tensor:
    return weights.double()


def _shifted(sums: Tensor) -> Tensor:
    """Divide by 2**SHIFT, and round halves up: exact, as the divisor is a power of two."""
    return (sums / (1 << SHIFT)).add_(0.5).floor_()


def _check(weights: Mapping[str, Tensor], vocabularies: tuple[int, ...]) -> None:
    code = _last_side(weights, "codes.0")
    expected: dict[str, tuple[torch.dtype, tuple[int, ...]]] = {}
    for i, words in enumerate(vocabularies):
        hidden = _last_side(weights, f"enter.{i}")
        vector = _last_side(weights, f"middle.{i}")
        # with these, sums stay far below 2**53
        if max(words, code, hidden, vector) > _MOST:
            raise ValueError(f"an index model has at most {_MOST} words and features: use another")
        expected |= {
            f"codes.{i}": (torch.int8, (words, code)),
            f"enter.{i}": (torch.int8, (slots(i) * code, hidden)),
            f"enter_bias.{i}": (torch.int16, (STAGES, hidden)),
            f"middle.{i}": (torch.int8, (hidden, vector)),
            f"middle_bias.{i}": (torch.int16, (vector,)),
            f"extra.{i}": (torch.int8, (words, vector - code)),
            f"bias.{i}": (torch.int16, (words,)),
        }
    found = {name: (value.dtype, tuple(value.shape)) for name, value in weights.items()}
    wrong = sorted(name for name in expected | found if expected.get(name) != found.get(name))
    if wrong:
        name = wrong[0]
        raise ValueError(
            f"the index model's {name} is {expected.get(name)}, not {found.get(name)}: fetch the "
            "model anew"
        )


def _last_side(weights: Mapping[str, Tensor], name: str) -> int:
    if name not in weights or weights[name].dim() == 0:
        raise ValueError(f"the index model has no matrix {name}: fetch the model anew")
    return weights[name].shape[-1]
