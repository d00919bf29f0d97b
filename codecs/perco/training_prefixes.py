"""Random prefixes of tokens: what a file of a random rate would hold."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from diffc.codecs.perco.sequence import coding_rank
from diffc.codecs.perco.tokeniser import Tokens


def random_prefixes(
    tokens: Tokens, chances: Sequence[float], generator: torch.Generator
) -> list[Tensor]:
    """Draw a prefix of the tokens for each item of a batch.

    Parameters
    ----------
    tokens : Tokens
        Of N pictures.
    chances : sequence of float
        How often a prefix ends in each grid; half of those end with the grid.
    generator : torch.Generator
        On the CPU.

    Returns
    -------
    list of Tensor
        Which of each grid's tokens are there, bool (N, h, w), on the tokens' device.
    """
    count = len(tokens.of_picture)
    last = torch.multinomial(torch.tensor(chances), count, replacement=True, generator=generator)
    part = torch.rand(count, generator=generator)
    whole = torch.rand(count, generator=generator) < 0.5
    part = torch.where(whole, torch.ones(()), part)
    found = []
    for index, grid in enumerate(tokens.grids):
        rows, columns = grid.shape[1:]
        rank = coding_rank(rows, columns)[None]
        share = torch.where(last == index, part, (last > index).float())
        found.append((rank < share[:, None, None] * rows * columns).to(grid.device))
    return found
