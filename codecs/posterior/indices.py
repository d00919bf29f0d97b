"""Indices of candidates under a Zipf distribution, in exact integers.

The winner of a Poisson functional representation has a small index more often than a large one:
p(i) ~ i**-s with s = 1 + 1 / (I + log2(e) / e + 1) is near the best for a relative entropy of I bits
(Li and El Gamal, arXiv 1701.02827; Theis and Yosri, arXiv 2111.12151).  Shares are those of octaves of the
index and of their quarters, integrated in decimal arithmetic, which is exact on every machine.
"""

from __future__ import annotations

import itertools
from bisect import bisect_right
from decimal import Decimal, localcontext
from functools import lru_cache

from diffc.entropy.range_coder import RangeDecoder, RangeEncoder

_TOTAL = 1 << 15


class ZipfModel:
    """Shares of the indices 0..2**bits - 1.

    Parameters
    ----------
    bits : int
        Of an index.
    entropy : int
        Of the candidates' choice, in quarters of a bit.
    """

    def __init__(self, bits: int, entropy: int) -> None:
        # runs of equal shares: first value counted from 1, and length as a power of two
        self._runs = [(1, 0)]
        for octave in range(1, bits):
            parts = min(2, octave)
            size = octave - parts
            first = 1 << octave
            self._runs += [(first + (part << size), size) for part in range(1 << parts)]
        self._runs.append((1 << bits, 0))
        self._firsts = [first for first, _ in self._runs]
        with localcontext() as exact:
            exact.prec = 20
            shape = Decimal(1) / (Decimal(entropy) / 4 + Decimal("1.5307"))
            edges = [(Decimal(first) - Decimal("0.5")) ** -shape for first, _ in self._runs]
            edges.append(((1 << bits) + Decimal("0.5")) ** -shape)
            whole = edges[0] - edges[-1]
            room = _TOTAL - 2 * len(self._runs)
            self._starts = [0]
            for near, far in itertools.pairwise(edges):
                share = 1 + int((near - far) / whole * room)
                self._starts.append(self._starts[-1] + share)

    def encode(self, encoder: RangeEncoder, index: int) -> None:
        """Add an index."""
        value = index + 1
        run = bisect_right(self._firsts, value) - 1
        start, end = self._starts[run], self._starts[run + 1]
        encoder.encode(start, end - start, self._starts[-1])
        first, size = self._runs[run]
        encoder.encode_bits(value - first, size)

    def decode(self, decoder: RangeDecoder) -> int:
        """Return the next index, whatever the bytes."""
        found = decoder.peek(self._starts[-1])
        run = bisect_right(self._starts, found) - 1
        start, end = self._starts[run], self._starts[run + 1]
        decoder.take(start, end - start, self._starts[-1])
        first, size = self._runs[run]
        return first + decoder.decode_bits(size) - 1


@lru_cache(maxsize=256)
def zipf_model(bits: int, entropy: int) -> ZipfModel:
    """Return the model of indices of so many bits, made once."""
    return ZipfModel(bits, entropy)
