"""Candidates for a chunk of noise that encoder and decoder both can make, and the encoder's choice.

``gaussian`` candidates are independent normals: cost is candidates times elements.  ``hadamard``
ones are z = d1 H d2 H e / sqrt(n) for unit vectors e and -e, with a Walsh-Hadamard matrix H and random
signs d1, d2: their elements are sums of n signs, nearly normal, they are orthogonal, all inner
products cost two fast transforms, and further ones come from further signs.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from diffc.codecs.shared.latents.blocks import parity_signs, walsh_hadamard
from diffc.noise.streams import Purpose, random_normals, random_signs, random_words

KINDS = ("hadamard", "gaussian")
# how many numbers are made at a time
_TILE = 1 << 22
# numbers of chunks count so many in each block
_CHUNKS = 1 << 9


def chunk_numbers(blocks: Tensor, chunks: int) -> Tensor:
    """Return the number of each chunk of some blocks, (len(blocks) * chunks,), block after block."""
    return (blocks[:, None] * _CHUNKS + torch.arange(chunks)).flatten()


class Candidates:
    """The candidates of one file.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    seed : int
        Of the file.
    device : str
        Where they are made.
    """

    def __init__(self, kind: str, seed: int, device: str) -> None:
        self.kind, self.seed, self.device = kind, seed, device

    def make(self, step: int, chunks: Tensor, length: int, indices: Tensor) -> Tensor:
        """Return one candidate for each chunk, (count, length), float32.

        Parameters
        ----------
        step : int
            Number of the step.
        chunks : Tensor
            Numbers of the chunks, see `chunk_numbers`, (count,), int64, on the CPU.
        length : int
            Elements of a chunk.
        indices : Tensor
            Which candidate, (count,), int64, on the CPU.
        """
        if self.kind == "gaussian":
            return random_normals(
                self.seed,
                Purpose.CANDIDATES,
                step,
                chunks,
                length,
                self.device,
                branches=indices,
            )
        outer, inner = self._signs(step, chunks, length, indices // (2 * length))
        place = (indices % (2 * length)).to(self.device)
        elements = torch.arange(length, device=self.device)
        parity = parity_signs(length).to(self.device)
        rows = parity[(place // 2)[:, None] & elements] * (1 - 2 * (place % 2))[:, None]
        return walsh_hadamard(rows * inner) * outer / math.sqrt(length)

    def products(self, step: int, chunks: Tensor, wanted: Tensor, bits: int) -> Tensor:
        """Return the inner products of 2**bits candidates of each chunk with what is wanted.

        Parameters
        ----------
        step, chunks
            See `make`.
        wanted : Tensor
            (count, length), float32.
        bits : int
            Of the number of candidates.
        """
        length = wanted.shape[1]
        if self.kind == "gaussian":
            every = []
            numbers = torch.arange(1 << bits)
            for chunk, row in zip(chunks, wanted, strict=True):
                made = self.make(step, chunk.expand(len(numbers)), length, numbers)
                every.append(made @ row)
            return torch.stack(every)
        bases = []
        for base in range(max(1, (1 << bits) // (2 * length))):
            branch = torch.full_like(chunks, base)
            outer, inner = self._signs(step, chunks, length, branch)
            found = walsh_hadamard(walsh_hadamard(wanted * outer) * inner) / math.sqrt(length)
            bases.append(torch.stack((found, -found), dim=2).flatten(1))
        return torch.cat(bases, 1)[:, : 1 << bits]

    def choose(self, step: int, chunks: Tensor, wanted: Tensor, bits: int) -> Tensor:
        """Return the winner of each chunk by Poisson functional representation, (count,), int64.

        ``argmin_i log(E_1 + ... + E_i) - <wanted, z_i>`` with exponential E (arXiv 1701.02827): the
        candidate is then a draw from the normal distribution whose mean is ``wanted``, but for
        the number of candidates having an end.
        """
        found = []
        rows = max(1, _TILE >> bits)
        for start in range(0, len(chunks), rows):
            part = chunks[start : start + rows]
            products = self.products(step, part, wanted[start : start + rows], bits)
            arrivals = self._arrivals(step, part, 1 << bits).to(products.device)
            found.append((arrivals - products).argmin(1).cpu())
        return torch.cat(found)

    def _signs(
        self, step: int, chunks: Tensor, length: int, branches: Tensor
    ) -> tuple[Tensor, Tensor]:
        signs = random_signs(
            self.seed,
            Purpose.CANDIDATES,
            step,
            chunks,
            2 * length,
            self.device,
            branches=branches,
        )
        return signs[:, :length], signs[:, length:]

    def _arrivals(self, step: int, chunks: Tensor, count: int) -> Tensor:
        """Return logarithms of the times of a Poisson process; the decoder needs none of them."""
        key = random_words(self.seed, Purpose.ARRIVALS, step, chunks[:1], 4, "cpu")[0].tolist()
        gaps = np.random.default_rng(key).standard_exponential(
            (len(chunks), count), dtype=np.float32
        )
        return torch.from_numpy(np.log(np.cumsum(gaps, axis=1)))
