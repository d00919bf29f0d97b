"""A picture's tokens as bytes at fixed length: each takes the bits that its vocabulary needs.

The bytes hold the first tokens of the sequence of `diffc.codecs.perco.sequence`; how many they are
is stored elsewhere.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from diffc.codecs.perco.sequence import TokenLayout


def packed_bits(layout: TokenLayout, count: int) -> int:
    """Return the bits of the first ``count`` tokens in packed form."""
    return sum(length * _width(words) for length, words in layout.runs(count))


def pack(layout: TokenLayout, sequence: Tensor, count: int) -> bytes:
    """Return the first ``count`` tokens at fixed length, the highest bits first.

    What is left of the last byte is 0.
    """
    bits = []
    start = 0
    for length, words in layout.runs(count):
        values = sequence[start : start + length].numpy()[:, None]
        bits.append((values >> np.arange(_width(words) - 1, -1, -1) & 1).astype(np.uint8).ravel())
        start += length
    return np.packbits(np.concatenate(bits)).tobytes() if bits else b""


def unpack(layout: TokenLayout, payload: bytes, count: int, *, truncated: bool = False) -> Tensor:
    """Return the tokens that `pack` was given, int64 (count,).

    Parameters
    ----------
    layout : TokenLayout
        Of the picture.
    payload : bytes
        What `pack` returned; the start of it if ``truncated``, where whole tokens come back.
    count : int
        How many tokens the file says that it has.
    truncated : bool
        Whether the payload was cut off.

    Raises
    ------
    OSError
        If the payload is no such bytes.
    """
    layout.check(count)
    whole = -(-packed_bits(layout, count) // 8)
    if len(payload) > whole or (len(payload) < whole and not truncated):
        raise OSError(f"{count} tokens take {whole} bytes, not {len(payload)}: the file is damaged")
    bits = np.unpackbits(np.frombuffer(payload, np.uint8))
    found = []
    start = 0
    for length, words in layout.runs(count):
        width = _width(words)
        held = min(length, (len(bits) - start) // width)
        weights = 1 << np.arange(width - 1, -1, -1, dtype=np.int64)
        values = bits[start : start + held * width].reshape(held, width) @ weights
        if held and int(values.max()) >= words:
            raise OSError(f"a token is below {words}, not {int(values.max())}: the file is damaged")
        found.append(torch.from_numpy(values))
        start += held * width
    if not truncated and bits[start:].any():
        raise OSError("the bits behind the last token are not 0: the file is damaged")
    return torch.cat([torch.zeros(0, dtype=torch.int64), *found])


def longest_packed(layout: TokenLayout, room: int) -> int:
    """Return how many tokens ``room`` bytes hold in packed form."""
    count, left = 0, 8 * room
    for length, words in layout.runs(layout.total):
        held = min(length, left // _width(words))
        count, left = count + held, left - held * _width(words)
        if held < length:
            break
    return count


def _width(words: int) -> int:
    return max(1, (words - 1).bit_length())
