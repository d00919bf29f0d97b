"""A picture's tokens as bytes, each the shorter the likelier a model holds it.

The bytes hold the first tokens of the sequence of `diffc.codecs.perco.sequence`; how many they are
is stored elsewhere.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from diffc.codecs.perco.index_contexts import KnownTokens, Part, parts
from diffc.codecs.perco.index_model import IndexModel
from diffc.codecs.perco.integer_frequencies import TOTAL
from diffc.codecs.perco.sequence import TokenLayout
from diffc.codecs.perco.tokeniser import GLOBAL_TOKENS
from diffc.entropy.range_coder import RangeDecoder, RangeEncoder

# of a table of frequencies at a time: together with what it is made from some tens of megabytes
_ENTRIES = 1 << 17
# bits within which the coder's bytes follow from the costs, but for one file in 2**32
_SLACK = 32


@dataclass(frozen=True)
class Shares:
    """Which part of 0..total-1 each token of a sequence has by the model: three of int64 (n,)."""

    starts: Tensor
    sizes: Tensor
    totals: Tensor

    def bits(self) -> Tensor:
        """Return what each token costs, float64 (n,)."""
        return (self.totals.double() / self.sizes.double()).log2()


def shares(layout: TokenLayout, model: IndexModel, sequence: Tensor) -> Shares:
    """Return what a model says of a whole sequence's tokens, int64 (total,)."""
    starts, sizes = sequence.clone(), torch.ones_like(sequence)
    totals = torch.full_like(sequence, TOTAL)
    totals[:GLOBAL_TOKENS] = layout.global_words
    known = KnownTokens(layout.sizes, layout.vocabularies)
    start = GLOBAL_TOKENS
    for part in _parts(layout):
        end = start + len(part.positions)
        tokens = sequence[start:end]
        rows = model.cumulative(known.contexts(part), part.grid, part.stage)
        low, high = rows.gather(1, torch.stack([tokens, tokens + 1], dim=1)).unbind(1)
        starts[start:end], sizes[start:end] = low, high - low
        known.put(part, tokens)
        start = end
    return Shares(starts, sizes, totals)


def encode(found: Shares, count: int) -> bytes:
    """Return the first ``count`` tokens."""
    return _encoder(found, 0, count, RangeEncoder()).finish()


def longest_prefix(found: Shares, room: int) -> int:
    """Return how many tokens ``room`` bytes hold."""
    costs = found.bits().cumsum(0)
    # fewer surely fit, more surely do not; in between, the coder says
    surely = int(torch.searchsorted(costs, float(8 * room - _SLACK)))
    hardly = int(torch.searchsorted(costs, float(8 * room + _SLACK), right=True))
    encoder = _encoder(found, 0, surely, RangeEncoder())
    longest = surely
    for count in range(surely + 1, hardly + 1):
        _encoder(found, count - 1, count, encoder)
        if encoder.length() <= room:
            longest = count
    return longest


def decode(
    layout: TokenLayout,
    model: IndexModel,
    payload: bytes,
    count: int,
    *,
    truncated: bool = False,
) -> Tensor:
    """Return the tokens that `encode` was given, int64 (count,).

    Parameters
    ----------
    layout : TokenLayout
        Of the picture.
    model : IndexModel
        The one of `shares`.
    payload : bytes
        What `encode` returned; the start of it if ``truncated``, where the tokens that are certain
        come back.
    count : int
        How many tokens the file says that it has.
    truncated : bool
        Whether the payload was cut off.

    Raises
    ------
    OSError
        If the file says more tokens than the picture has, or the payload ends before them.
    """
    layout.check(count)
    decoder = RangeDecoder(payload)
    found = _read_uniform(decoder, layout.global_words, min(count, GLOBAL_TOKENS), truncated)
    known = KnownTokens(layout.sizes, layout.vocabularies)
    for part in _parts(layout):
        wanted = min(len(part.positions), count - len(found))
        if wanted <= 0 or (truncated and not decoder.certain()):
            break
        some = Part(part.grid, part.stage, part.positions[:wanted])
        rows = model.cumulative(known.contexts(some), part.grid, part.stage)
        tokens = _read(decoder, rows, truncated)
        known.put(some, torch.tensor(tokens, dtype=torch.int64))
        found += tokens
        # without this, a few bytes could keep the decoder busy with a large picture
        if not truncated and decoder.overrun():
            raise OSError("the payload ends before its tokens: the file is damaged")
    return torch.tensor(found, dtype=torch.int64)


def _parts(layout: TokenLayout) -> Iterator[Part]:
    return parts(layout.sizes, layout.vocabularies, _ENTRIES)


def _encoder(found: Shares, start: int, end: int, encoder: RangeEncoder) -> RangeEncoder:
    """Add the tokens from ``start`` to ``end`` to an encoder."""
    rows = (each[start:end].tolist() for each in (found.starts, found.sizes, found.totals))
    for share in zip(*rows, strict=True):
        encoder.encode(*share)
    return encoder


def _read_uniform(decoder: RangeDecoder, words: int, count: int, truncated: bool) -> list[int]:
    found: list[int] = []
    for _ in range(count):
        token = decoder.decode_uniform(words)
        if truncated and not decoder.certain():
            break
        found.append(token)
    return found


def _read(decoder: RangeDecoder, rows: Tensor, truncated: bool) -> list[int]:
    """Read one token for each row of cumulative frequencies, or those that are certain."""
    width = rows.shape[1]
    flat = rows.flatten().tolist()
    found: list[int] = []
    for first in range(0, len(flat), width):
        target = decoder.peek(TOTAL)
        place = bisect.bisect_right(flat, target, first, first + width) - 1
        decoder.take(flat[place], flat[place + 1] - flat[place], TOTAL)
        if truncated and not decoder.certain():
            break
        found.append(place - first)
    return found
