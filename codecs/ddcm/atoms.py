"""The atoms that a walk takes, step after step: their choice, and their coding in exact integers.

For each block a file holds how many atoms it has, by a model that adapts to the same block one step
before and to its neighbours; which words they are, as one number of log2 C(K, M) bits; and a bit
for each sign.  The order of blocks is that of `diffc.codecs.ddcm.codebook.BlockLayout`.

The encoder chooses: a draw from the posterior q(x_next | x, x0) differs from the one that the
decoder could make by a shift along the residual.  A block takes the fewest atoms whose sum has that
shift, so that the walk stays what the denoiser was trained for, and each block costs about the
relative entropy of the two draws: the rate of reverse channel coding (arXiv 2206.08889), reached by
greedy atoms.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

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
    signs = 1 - 2 * (products.gather(1, words) < 0).to(torch.float32)
    return Ranking(sizes, words, signs, energy)


def by_shift(ranking: Ranking, shift: float) -> Tensor:
    """Return how many atoms each block takes for a shift of ``shift`` times its residual.

    M atoms shift a block by the sum of their inner products over sqrt(M).  A block whose first
    atom would shift it more than twice too far takes none: its turn comes as the noise falls.
    """
    needed = shift * ranking.energy[:, None]
    atoms = torch.arange(1, ranking.sizes.shape[1] + 1, device=needed.device)
    reached = ranking.sizes.cumsum(1) / atoms.to(torch.float32).sqrt() >= needed
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
