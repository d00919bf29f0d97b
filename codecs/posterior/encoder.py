"""Where the encoder's walk ends: at a noise level, or at a number of bytes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from diffc.codec import Progress, Rate, no_progress
from diffc.codecs.posterior.plans import plan_of
from diffc.codecs.posterior.stream import LevelModel, StepSymbols
from diffc.codecs.posterior.walk import Walk, entropies, levels_of
from diffc.codecs.shared.latents.walk import quality_time
from diffc.entropy.range_coder import RangeEncoder
from diffc.errors import RateError

# parts of a step that the last one is tried in
_PARTS = 24
# a file at least so full is not tried to be filled more
_FULL = 0.99


class EncoderWalk:
    """A walk towards a latent, and the stream of what it takes.

    Parameters
    ----------
    walk : Walk
        At its start.
    target : Tensor
        The latent, (1, channels, rows, columns).
    weights : Tensor
        What an error matters at each position, (1, 1, rows, columns), in [0, 1].
    grid : list of int
        Places in the table, falling.
    """

    def __init__(self, walk: Walk, target: Tensor, weights: Tensor, grid: list[int]) -> None:
        self.walk, self.target, self.weights, self.grid = walk, target, weights, grid
        self.encoder = RangeEncoder()
        self.model = LevelModel(walk.layout.grid, walk.most_bits, walk.layout.length)

    def step(self, last: int, room: int | None = None) -> bool:
        """Take the grid's next step, down to time ``last`` at most; return whether one more fits.

        If a step does not fit into ``room`` bytes, the part of it that does is taken.
        """
        walk = self.walk
        x0hat = walk.denoise()
        residual = (self.target - x0hat) * self.weights
        time = max(self.grid[walk.steps + 1], last)
        shift = walk.shift(residual, time)
        symbols = walk.choose(shift, levels_of(shift))
        stream = self._with(symbols)
        fits = room is None or stream[0].length() <= room
        if not fits:
            assert room is not None
            found = self._part(residual, time, room)
            if found is None:
                return False
            time, symbols, stream = found
        self.encoder, self.model = stream
        walk.take(x0hat, time, symbols)
        return fits

    def length(self) -> int:
        """Return the bytes of the stream so far."""
        return self.encoder.length()

    def _with(self, symbols: StepSymbols) -> tuple[RangeEncoder, LevelModel]:
        encoder, model = self.encoder.copy(), self.model.copy()
        model.encode(encoder, symbols)
        return encoder, model

    def _part(
        self, residual: Tensor, time: int, room: int
    ) -> tuple[int, StepSymbols, tuple[RangeEncoder, LevelModel]] | None:
        """Return the nearest end whose symbols exceed the room, less the blocks that do not fit."""
        walk = self.walk
        left = 8 * (room - self.length())
        first = walk.time - 1
        ends = sorted({first + (time - first) * part // _PARTS for part in range(_PARTS + 1)})
        # where the estimate is enough, or further down as long as there is room left
        start = next((i for i, end in enumerate(ends) if self._cost(residual, end) < left), 1)
        found = None
        for end in reversed(ends[: max(start, 1)]):
            found = self._fitting(walk.shift(residual, end), room)
            if found is None or found[1][0].length() >= _FULL * room:
                break
        return None if found is None else (end, *found)

    def _fitting(
        self, shift: Tensor, room: int
    ) -> tuple[StepSymbols, tuple[RangeEncoder, LevelModel]] | None:
        """Return a step's symbols less those of the blocks of least entropy that do not fit."""
        levels, worth = levels_of(shift), entropies(shift)
        order = sorted(range(len(levels)), key=lambda block: -worth[block])
        whole = self.walk.choose(shift, levels)

        def of_first(count: int) -> StepSymbols:
            kept = set(order[:count])
            chosen = [level if block in kept else 0 for block, level in enumerate(levels)]
            indices = [row if block in kept else [] for block, row in enumerate(whole.indices)]
            return StepSymbols(chosen, indices)

        low, high = -1, sum(level > 0 for level in levels)
        while low < high:
            middle = (low + high + 1) // 2
            if self._with(of_first(middle))[0].length() <= room:
                low = middle
            else:
                high = middle - 1
        return None if low < 0 else (of_first(low), self._with(of_first(low)))

    def _cost(self, residual: Tensor, end: int) -> float:
        """Return about how many bits a step to ``end`` takes."""
        walk = self.walk
        bits = 0.0
        for level in levels_of(walk.shift(residual, end)):
            if level:
                plan = plan_of(level, walk.most_bits, walk.layout.length)
                share = plan.entropy / 4
                index = min(share + math.log2(share + 1) + 1.5, plan.bits)
                bits += plan.chunks * index + 1
            else:
                bits += 0.3
        return bits


def walk_to_rate(
    walk: EncoderWalk,
    rate: Rate,
    length: int,
    sigmas: Sequence[float],
    progress: Progress,
    *,
    described: int = 0,
) -> None:
    """Walk until the rate is used up.

    Parameters
    ----------
    walk : EncoderWalk
        At its start.
    rate : Rate
        What is allowed.
    length : int
        Bytes of the parameters.
    sigmas : sequence of float
        The model's noise levels.
    progress : callable
        Called with the step that is done and the number of steps.
    described : int
        Bytes of the payload before the walk.

    Raises
    ------
    RateError
        If nothing fits, or all steps take less than is allowed.
    """

    def walk_down(last: int, room: int | None, progress: Progress) -> bool:
        while walk.walk.time > last:
            progress(walk.walk.steps, len(walk.grid) - 1)
            if not walk.step(last, room):
                return False
        return True

    def whole_walk() -> int:
        with torch.inference_mode():
            walk_down(0, None, no_progress)
        return least + walk.length()

    least = length + described
    room = rate.room(length) - described if rate.bounded else None
    if room is not None and room < 0:
        raise RateError(least, whole_walk)
    if room is None:
        walk_down(quality_time(rate.quality, sigmas), None, progress)
    elif walk_down(0, room, progress) and walk.length() < 0.95 * room:
        raise RateError(least, least + walk.length())
