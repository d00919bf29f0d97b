"""The noise of a step: a chosen candidate for each chunk that is coded, else what anybody draws."""

from __future__ import annotations

from collections import defaultdict

import torch
from torch import Tensor

from diffc.codecs.posterior.candidates import Candidates, chunk_numbers
from diffc.codecs.posterior.plans import plan_of
from diffc.codecs.posterior.stream import StepSymbols
from diffc.noise.streams import Purpose, random_normals


def choose_symbols(
    candidates: Candidates, step: int, levels: list[int], shift: Tensor, most_bits: int
) -> StepSymbols:
    """Choose the candidates of a step.

    Parameters
    ----------
    candidates : Candidates
        Of the file.
    step : int
        Number of the step.
    levels : list of int
        Of each block.
    shift : Tensor
        Means of the posterior less the decoder's, in its standard deviations, (blocks, length).
    most_bits : int
        Of an index.
    """
    length = shift.shape[1]
    indices: list[list[int]] = [[] for _ in levels]
    for plan, blocks in _by_plan(levels, most_bits, length).items():
        numbers = torch.tensor(blocks)
        wanted = shift[numbers.to(shift.device)].reshape(-1, length // plan[0])
        found = candidates.choose(step, chunk_numbers(numbers, plan[0]), wanted, plan[1])
        for block, row in zip(blocks, found.reshape(-1, plan[0]).tolist(), strict=True):
            indices[block] = row
    return StepSymbols(levels, indices)


def noise_of(
    candidates: Candidates, step: int, symbols: StepSymbols, length: int, most_bits: int
) -> Tensor:
    """Return the noise of a step, (blocks, length), float32.

    Parameters
    ----------
    candidates, step, most_bits
        See `choose_symbols`.
    symbols : StepSymbols
        What was coded.
    length : int
        Elements of a block.
    """
    count, device = len(symbols.levels), candidates.device
    noise = torch.zeros(count, length, dtype=torch.float32, device=device)
    left = torch.tensor(
        [block for block in range(count) if not symbols.levels[block]], dtype=torch.int64
    )
    if len(left):
        noise[left.to(device)] = random_normals(
            candidates.seed, Purpose.FILL, step, left, length, device
        )
    for plan, blocks in _by_plan(symbols.levels, most_bits, length).items():
        numbers = torch.tensor(blocks)
        chosen = torch.tensor([symbols.indices[block] for block in blocks]).flatten()
        chunks = chunk_numbers(numbers, plan[0])
        made = candidates.make(step, chunks, length // plan[0], chosen)
        noise[numbers.to(device)] = made.reshape(-1, length)
    return noise


def _by_plan(levels: list[int], most_bits: int, length: int) -> dict[tuple[int, int], list[int]]:
    """Return the blocks of each number of chunks and of bits."""
    found: dict[tuple[int, int], list[int]] = defaultdict(list)
    for block, level in enumerate(levels):
        if level:
            plan = plan_of(level, most_bits, length)
            found[plan.chunks, plan.bits].append(block)
    return found
