"""A codebook of sign-randomised Walsh-Hadamard words, laid over blocks of a latent.

Word k of block b at step t is ``d[j] * (-1)**popcount(k & j)`` for its elements j, with signs d
drawn from the portable generator at (seed, t, b).  Within a block the words are orthogonal, so the
M largest inner products are the best M atoms; the encoder gets all inner products from one fast
transform, and the decoder makes the M words that it needs and no others.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from diffc.noise.streams import Purpose, random_signs, random_words

# how many elements of atoms are made at a time: bounds the decoder's memory to some 50 MB
_TILE = 1 << 22


@dataclass(frozen=True)
class BlockLayout:
    """How a latent (channels, height, width) is cut into blocks of equal size.

    A block is ``depth`` channels by ``side`` by ``side`` positions.  Small latents have small
    blocks, because an atom's index costs the logarithm of the block's size.
    """

    channels: int
    height: int
    width: int

    @property
    def depth(self) -> int:
        """Channels of a block: the largest power of two up to 32 that the latent has."""
        return min(32, 1 << (self.channels.bit_length() - 1))

    @property
    def side(self) -> int:
        """Positions of a block along each axis, a power of two."""
        longest = max(self.height, self.width)
        return min(8 if self.depth >= 32 else 16, 1 << (longest - 1).bit_length())

    @property
    def length(self) -> int:
        """Elements of a block, and words in its codebook."""
        return self.depth * self.side * self.side

    @property
    def grid(self) -> tuple[int, int, int]:
        """Blocks along channels, height and width."""
        return (
            -(-self.channels // self.depth),
            -(-self.height // self.side),
            -(-self.width // self.side),
        )

    @property
    def count(self) -> int:
        """Blocks in all."""
        deep, high, wide = self.grid
        return deep * high * wide

    def split(self, latent: Tensor) -> Tensor:
        """Cut a latent (channels, height, width) into blocks (count, length), zeros beyond it."""
        deep, high, wide = self.grid
        padded = latent.new_zeros(deep * self.depth, high * self.side, wide * self.side)
        padded[: self.channels, : self.height, : self.width] = latent
        axes = padded.reshape(deep, self.depth, high, self.side, wide, self.side)
        blocks = axes.permute(0, 2, 4, 1, 3, 5).reshape(self.count, self.length)
        return blocks[:, _order(self.length).to(latent.device)]

    def join(self, blocks: Tensor) -> Tensor:
        """Put blocks (count, length) together again to a latent (channels, height, width)."""
        deep, high, wide = self.grid
        blocks = blocks[:, _order(self.length).argsort().to(blocks.device)]
        axes = blocks.reshape(deep, high, wide, self.depth, self.side, self.side)
        joined = axes.permute(0, 3, 1, 4, 2, 5)
        joined = joined.reshape(deep * self.depth, high * self.side, wide * self.side)
        return joined[: self.channels, : self.height, : self.width].contiguous()


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
        return _transform(residual * self._signs(step))

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
        parity = _parity_signs(length).to(self.device)
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


def _transform(blocks: Tensor) -> Tensor:
    """Walsh-Hadamard transform of each row, by two products with small Hadamard matrices."""
    length = blocks.shape[1]
    bits = length.bit_length() - 1
    left, right = 1 << (bits // 2), 1 << (bits - bits // 2)
    # H of n = H of left (x) H of right, and index j = j_left * right + j_right
    square = blocks.reshape(-1, left, right)
    small, large = _matrix(left).to(blocks.device), _matrix(right).to(blocks.device)
    return (small @ square @ large).reshape(-1, length)


@lru_cache(maxsize=16)
def _order(length: int) -> Tensor:
    """Return the fixed permutation of a block's elements, int64.

    Without it, words that differ in one bit of their index are the same on a block that the
    latent fills by half, and the sum of both would be noise of twice the variance.
    """
    indices = torch.tensor([length])
    with torch.inference_mode(False):
        return random_words(0, Purpose.ORDER, 0, indices, length, "cpu")[0].argsort(stable=True)


@lru_cache(maxsize=16)
def _matrix(size: int) -> Tensor:
    index = torch.arange(size)
    with torch.inference_mode(False):
        return _parity_signs(size)[index[:, None] & index].clone()


@lru_cache(maxsize=16)
def _parity_signs(length: int) -> Tensor:
    """Return (-1)**popcount(i) for i in 0..length-1, length a power of two, float32."""
    with torch.inference_mode(False):
        signs = torch.ones(1, dtype=torch.float32)
        while len(signs) < length:
            signs = torch.cat([signs, -signs])
        return signs
