"""A codebook of sign-randomised Walsh-Hadamard words, laid over blocks of a latent.

Word k of block b at step t is ``d[j] * (-1)**popcount(k & j)`` for its elements j, with signs d
drawn from the portable generator at (seed, t, b).  Within a block the words are orthogonal, so the
M largest inner products are the best M atoms; the encoder gets all inner products from one fast
transform, and the decoder makes the M words that it needs and no others.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from diffc.codecs.shared.latents.blocks import BlockLayout, parity_signs, walsh_hadamard
from diffc.noise.streams import Purpose, random_signs

# how many elements of atoms are made at a time: bounds the decoder's memory to some 50 MB
_TILE = 1 << 22


@dataclass(frozen=True)
class Atoms:
    """Signed atoms chosen at one step, block after block.

    Parameters
    ----------
    counts : Tensor
        Atoms in each block, (blocks,), int64.
    words : Tensor
        The chosen words' indices, ascending within a block, (sum of counts,), int64.
    signs : Tensor
        +1 or -1 for each, (sum of counts,), float32.
    """

    counts: Tensor
    words: Tensor
    signs: Tensor


class HadamardCodebook:
    """The words of all blocks and steps, for one seed.

    Attributes
    ----------
    words : int
        Words to choose from in each block.
    atoms_made : int
        Words made by `noise` so far; an encoder's inner products make none.
    """

    def __init__(self, layout: BlockLayout, seed: int, device: str) -> None:
        self.layout = layout
        self.words = layout.length
        self.seed = seed
        self.device = device
        self.blocks = torch.arange(layout.count)
        self.atoms_made = 0

    def products(self, step: int, residual: Tensor) -> Tensor:
        """Return the inner products of every word with blocks (count, length) of a residual."""
        return walsh_hadamard(residual * self._signs(step))

    def noise(self, step: int, atoms: Atoms) -> Tensor:
        """Return the step's noise, blocks (count, length) of unit variance.

        A block is the signed sum of its atoms over the root of their number; a block without
        atoms is filled with random signs of its own.
        """
        length = self.layout.length
        total = torch.zeros(self.layout.count, length, dtype=torch.float32, device=self.device)
        owner = torch.repeat_interleave(self.blocks, atoms.counts).to(self.device)
        words, signs = atoms.words.to(self.device), atoms.signs.to(self.device)
        elements = torch.arange(length, device=self.device)
        parity = parity_signs(length).to(self.device)
        for start in range(0, len(words), max(1, _TILE // length)):
            part = slice(start, start + max(1, _TILE // length))
            made = parity[words[part, None] & elements] * signs[part, None]
            total.index_add_(0, owner[part], made)
            self.atoms_made += len(made)
        counts = atoms.counts.to(self.device)
        total = total * self._signs(step) / counts.clamp(min=1).to(torch.float32).sqrt()[:, None]
        empty = atoms.counts == 0
        if empty.any():
            blocks = self.blocks[empty]
            fill = random_signs(self.seed, Purpose.FILL, step, blocks, length, self.device)
            total[empty.to(self.device)] = fill
        return total

    def _signs(self, step: int) -> Tensor:
        return random_signs(
            self.seed, Purpose.SIGNS, step, self.blocks, self.layout.length, self.device
        )
