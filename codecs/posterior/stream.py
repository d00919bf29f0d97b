"""What is coded of a step: each block's level, and the indices of its chunks."""

from __future__ import annotations

import math
from dataclasses import dataclass

from diffc.codecs.posterior.indices import zipf_model
from diffc.codecs.posterior.plans import LEVELS, plan_of
from diffc.entropy.adaptive import CountModel
from diffc.entropy.range_coder import RangeDecoder, RangeEncoder

_CONTEXTS = 24


@dataclass(frozen=True)
class StepSymbols:
    """What is coded of one step.

    Parameters
    ----------
    levels : list of int
        Of each block.
    indices : list of list of int
        Of each block's chunks; empty where the level is 0.
    """

    levels: list[int]
    indices: list[list[int]]


class LevelModel:
    """What encoder and decoder both know of earlier steps.

    Parameters
    ----------
    grid : tuple of int
        Blocks along channels, height and width.
    most_bits : int
        Of an index.
    length : int
        Elements of a block.
    """

    def __init__(self, grid: tuple[int, int, int], most_bits: int, length: int) -> None:
        self.grid, self.most_bits, self.length = grid, most_bits, length
        self.counts = CountModel(_CONTEXTS)
        self.previous = [0] * math.prod(grid)

    def copy(self) -> LevelModel:
        """Return an independent copy, to try out how a step codes."""
        other = LevelModel.__new__(LevelModel)
        other.grid, other.most_bits, other.length = self.grid, self.most_bits, self.length
        other.counts, other.previous = self.counts.copy(), list(self.previous)
        return other

    def _context(self, current: list[int], block: int) -> int:
        _, high, wide = self.grid
        area = high * wide
        before = self.previous[block]
        left = current[block - 1] if block % wide else before
        above = current[block - wide] if block % area >= wide else before
        return min((2 * before + left + above + 2) // 4 + 8 * (before == 0) * (left > 0), 23)

    def encode(self, encoder: RangeEncoder, symbols: StepSymbols) -> None:
        """Add a step to the stream, and learn from its levels."""
        current: list[int] = []
        for block, level in enumerate(symbols.levels):
            self.counts.encode(encoder, level, self._context(current, block))
            current.append(level)
            if level:
                plan = plan_of(level, self.most_bits, self.length)
                model = zipf_model(plan.bits, plan.entropy)
                for index in symbols.indices[block]:
                    model.encode(encoder, index)
        self.previous = current

    def decode(self, decoder: RangeDecoder) -> StepSymbols:
        """Read a step, and learn from its levels.

        Raises
        ------
        ValueError
            If a level is none, or the data end before the step.
        """
        current: list[int] = []
        indices: list[list[int]] = []
        for block in range(len(self.previous)):
            level = self.counts.decode(decoder, self._context(current, block))
            if level > len(LEVELS):
                raise ValueError(
                    f"a block has a level up to {len(LEVELS)}, not {level}: the stream is damaged"
                )
            # without this, a few bytes could keep the decoder busy for every block and step
            if decoder.overrun():
                raise ValueError("the payload ends before its steps: the stream is damaged")
            current.append(level)
            found: list[int] = []
            if level:
                plan = plan_of(level, self.most_bits, self.length)
                model = zipf_model(plan.bits, plan.entropy)
                found = [model.decode(decoder) for _ in range(plan.chunks)]
            indices.append(found)
        self.previous = current
        return StepSymbols(current, indices)
