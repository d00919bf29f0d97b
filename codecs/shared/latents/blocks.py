"""Blocks of a latent, and the Walsh-Hadamard transform of their elements."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from diffc.noise.streams import Purpose, random_words


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
        return blocks[:, element_order(self.length).to(latent.device)]

    def join(self, blocks: Tensor) -> Tensor:
        """Put blocks (count, length) together again to a latent (channels, height, width)."""
        deep, high, wide = self.grid
        blocks = blocks[:, element_order(self.length).argsort().to(blocks.device)]
        axes = blocks.reshape(deep, high, wide, self.depth, self.side, self.side)
        joined = axes.permute(0, 3, 1, 4, 2, 5)
        joined = joined.reshape(deep * self.depth, high * self.side, wide * self.side)
        return joined[: self.channels, : self.height, : self.width].contiguous()


def walsh_hadamard(blocks: Tensor) -> Tensor:
    """Walsh-Hadamard transform of each row, by two products with small Hadamard matrices."""
    length = blocks.shape[1]
    bits = length.bit_length() - 1
    left, right = 1 << (bits // 2), 1 << (bits - bits // 2)
    # H of n = H of left (x) H of right, and index j = j_left * right + j_right
    square = blocks.reshape(-1, left, right)
    small, large = _matrix(left).to(blocks.device), _matrix(right).to(blocks.device)
    return (small @ square @ large).reshape(-1, length)


@lru_cache(maxsize=16)
def element_order(length: int) -> Tensor:
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
        return parity_signs(size)[index[:, None] & index].clone()


@lru_cache(maxsize=16)
def parity_signs(length: int) -> Tensor:
    """Return (-1)**popcount(i) for i in 0..length-1, length a power of two, float32."""
    with torch.inference_mode(False):
        signs = torch.ones(1, dtype=torch.float32)
        while len(signs) < length:
            signs = torch.cat([signs, -signs])
        return signs
