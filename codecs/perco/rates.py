"""How many of a picture's tokens a rate allows, and the bytes of so many."""

from __future__ import annotations

import math

from torch import Tensor

from diffc.codec import Rate
from diffc.codecs.perco import coding, packing
from diffc.codecs.perco.bitstream import (
    LEAST_BYTES,
    PercoParameters,
    most_tokens,
    parameter_bytes,
)
from diffc.codecs.perco.index_model import IndexModel
from diffc.codecs.perco.sequence import TokenLayout
from diffc.codecs.perco.tokeniser import GLOBAL_TOKENS
from diffc.errors import RateError


class Stream:
    """A picture's tokens, and what prefixes of them cost in both forms.

    Parameters
    ----------
    layout : TokenLayout
        Of the picture.
    model : IndexModel
        Of its tokens.
    sequence : Tensor
        All of them, int64 (layout.total,).
    seed : int
        To stand in the parameters.
    """

    def __init__(self, layout: TokenLayout, model: IndexModel, sequence: Tensor, seed: int) -> None:
        self.layout, self.seed = layout, seed
        self._sequence = sequence
        self._shares = coding.shares(layout, model, sequence)

    def encode(self, count: int) -> tuple[bytes, PercoParameters]:
        """Return the shorter form of the first ``count`` tokens, and its parameters."""
        packed = packing.pack(self.layout, self._sequence, count)
        modelled = coding.encode(self._shares, count)
        if len(modelled) < len(packed):
            return modelled, PercoParameters(count, True, self.seed)
        return packed, PercoParameters(count, False, self.seed)

    def packed_bytes(self, count: int) -> int:
        """Return how long the first ``count`` tokens are at fixed length."""
        return -(-packing.packed_bits(self.layout, count) // 8)

    def longest(self, room: int) -> int:
        """Return how many tokens fit into so many bytes, in the better form."""
        packed = packing.longest_packed(self.layout, room)
        return max(packed, coding.longest_prefix(self._shares, room))


def at_quality(layout: TokenLayout, quality: float) -> int:
    """Return the tokens of a quality from 0, the coarse grid, to 100, all; even in the logarithm."""
    least = layout.starts[1]
    return round(least * math.exp(math.log(layout.total / least) * quality / 100))


def fit(stream: Stream, rate: Rate) -> int:
    """Return how many tokens a file has room for.

    Parameters
    ----------
    stream : Stream
        The tokens.
    rate : Rate
        With a limit in bytes.

    Raises
    ------
    RateError
        If not even the tokens of the whole picture fit, or all of them, at fixed length, take less
        than there is.
    """
    total, best = stream.layout.total, -1
    for length in range(LEAST_BYTES, parameter_bytes(total, stream.seed) + 1):
        space = rate.room(length)
        # parameters of few bytes leave room for more tokens, but cannot say so many
        if space >= 0 and (most := most_tokens(length, stream.seed)) >= 0:
            best = max(best, min(stream.longest(space), most))
    if best >= GLOBAL_TOKENS:
        payload, parameters = stream.encode(best)
        # all tokens may take fewer bytes than at fixed length, which is the codec's highest rate
        nominal = max(len(payload) / 0.95, stream.packed_bytes(total))
        if best < total or rate.room(len(parameters.pack())) <= nominal:
            return best
    payload, parameters = stream.encode(GLOBAL_TOKENS)
    lowest = len(payload) + len(parameters.pack())
    raise RateError(lowest, stream.packed_bytes(total) + parameter_bytes(total, stream.seed))
