"""Which atoms a step takes: the encoder's side of the codebook.

A draw from the posterior q(x_next | x, x0) differs from the one that the decoder could make by a
shift along the residual.  A block takes the fewest atoms whose sum has that shift, so that the
walk stays what the denoiser was trained for, and each block costs about the relative entropy of
the two draws: the rate of reverse channel coding (arXiv 2206.08889), reached by greedy atoms.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from diffc.codecs.ddcm.atoms import largest_count
from diffc.codecs.ddcm.codebook import Atoms


@dataclass(frozen=True)
class Ranking:
    """The words of each block in falling order of their inner product with the residual.

    Parameters
    ----------
    sizes : Tensor
        Absolute inner products (blocks, candidates), falling.
    words : Tensor
        Their indices, int64.
    signs : Tensor
        Their signs, +1 or -1.
    energy : Tensor
        Weighted energy of each block's residual, (blocks,).
    """

    sizes: Tensor
    words: Tensor
    signs: Tensor
    energy: Tensor


def rank(products: Tensor, energy: Tensor) -> Ranking:
    """Order the words of each block."""
    candidates = largest_count(products.shape[1])
    sizes, words = products.abs().topk(candidates, dim=1)
    signs = torch.where(products.gather(1, words) < 0, -1.0, 1.0)
    return Ranking(sizes, words, signs, energy)


def by_shift(ranking: Ranking, shift: float) -> Tensor:
    """Return how many atoms each block takes for a shift of ``shift`` times its residual.

    M atoms shift a block by the sum of their inner products over sqrt(M).  A block whose first
    atom would shift it more than twice too far takes none: its turn comes as the noise falls.
    """
    needed = shift * ranking.energy[:, None]
    atoms = torch.arange(1, ranking.sizes.shape[1] + 1, device=needed.device)
    reached = ranking.sizes.cumsum(1) / atoms.sqrt() >= needed
    counts = torch.where(reached.any(1), reached.float().argmax(1) + 1, ranking.sizes.shape[1])
    return torch.where(needed[:, 0] <= ranking.sizes[:, 0] / 2, 0, counts)


def by_total(ranking: Ranking, total: int) -> Tensor:
    """Return how many atoms each block takes if the largest ``total`` of all blocks are taken."""
    chosen = ranking.sizes.flatten().topk(min(total, ranking.sizes.numel())).indices
    return torch.bincount(chosen // ranking.sizes.shape[1], minlength=len(ranking.sizes))


def take(ranking: Ranking, counts: Tensor) -> Atoms:
    """Return the first ``counts`` words of each block, sorted by index within it."""
    places = torch.arange(ranking.words.shape[1], device=counts.device)
    chosen = places < counts[:, None]
    # words beyond the chosen ones sort to the end, where they are cut off
    beyond = torch.iinfo(torch.int64).max
    words, order = torch.where(chosen, ranking.words, beyond).sort(1)
    signs = ranking.signs.gather(1, order)
    return Atoms(counts.cpu(), words[chosen].cpu(), signs[chosen].cpu())
