"""Entropy coding of the atoms that a walk chooses, step after step, in exact integers.

For each block: how many atoms it has, by a model that adapts to the same block one step before and
to its neighbours; which words they are, as one number of log2 C(K, M) bits; and a bit for each
sign.  The order of blocks is that of `diffc.codecs.ddcm.codebook.BlockLayout`.
"""

from __future__ import annotations

import math

import torch

from diffc.codecs.ddcm.codebook import Atoms
from diffc.entropy.adaptive import CountModel
from diffc.entropy.range_coder import RangeDecoder, RangeEncoder
from diffc.entropy.subsets import decode_subset, encode_subset

_CONTEXTS = 24


class AtomModel:
    """What encoder and decoder both know of earlier steps.

    Parameters
    ----------
    grid : tuple of int
        Blocks along channels, height and width.
    words : int
        Words to choose from in each block.
    """

    def __init__(self, grid: tuple[int, int, int], words: int) -> None:
        self.grid, self.words = grid, words
        self.counts = CountModel(_CONTEXTS)
        self.previous = [0] * math.prod(grid)

    def copy(self) -> AtomModel:
        """Return an independent copy, to try out how a step codes."""
        other = AtomModel.__new__(AtomModel)
        other.grid, other.words = self.grid, self.words
        other.counts, other.previous = self.counts.copy(), list(self.previous)
        return other

    def context(self, current: list[int], block: int) -> int:
        """Choose the count model's context for a block, given the blocks coded before it."""
        _, high, wide = self.grid
        area = high * wide
        left = current[block - 1] if block % wide else self.previous[block]
        above = current[block - wide] if block % area >= wide else self.previous[block]
        # a sum with weights 4, 2, 2; then the class of the sum, and whether in its upper half
        expected = 4 * self.previous[block] + 2 * left + 2 * above
        digits = expected.bit_length()
        half = expected >> (digits - 2) & 1 if digits > 1 else 0
        return min(2 * digits + half, _CONTEXTS - 1)


def largest_count(words: int) -> int:
    """Return how many atoms a block takes at most at one step, of so many words."""
    return max(1, words // 8)


def encode_atoms(encoder: RangeEncoder, model: AtomModel, atoms: Atoms) -> None:
    """Add one step's atoms to the stream, and learn from their counts."""
    words, negative = atoms.words.tolist(), (atoms.signs < 0).tolist()
    current: list[int] = []
    start = 0
    for block, count in enumerate(atoms.counts.tolist()):
        model.counts.encode(encoder, count, model.context(current, block))
        current.append(count)
        end = start + count
        if count:
            encode_subset(encoder, words[start:end], model.words)
            value = 0
            for sign in negative[start:end]:
                value = 2 * value + sign
            encoder.encode_bits(value, count)
        start = end
    model.previous = current


def decode_atoms(decoder: RangeDecoder, model: AtomModel) -> Atoms:
    """Read one step's atoms, and learn from their counts.

    Raises
    ------
    ValueError
        If a block would have too many atoms, or the data end before them.
    """
    length = model.words
    current: list[int] = []
    words: list[int] = []
    signs: list[float] = []
    for block in range(len(model.previous)):
        count = model.counts.decode(decoder, model.context(current, block))
        if count > largest_count(length):
            raise ValueError(
                f"a block has at most {largest_count(length)} atoms a step, not {count}: "
                "the stream is damaged"
            )
        # without this, a few bytes could keep the decoder busy for every block and step
        if decoder.overrun():
            raise ValueError("the payload ends before its atoms: the stream is damaged")
        current.append(count)
        if count:
            words += decode_subset(decoder, length, count)
            value = decoder.decode_bits(count)
            signs += [1.0 - 2.0 * (value >> place & 1) for place in range(count - 1, -1, -1)]
    model.previous = current
    return Atoms(
        torch.tensor(current, dtype=torch.int64),
        torch.tensor(words, dtype=torch.int64),
        torch.tensor(signs, dtype=torch.float32),
    )
