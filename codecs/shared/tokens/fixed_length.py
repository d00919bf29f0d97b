"""A grid of tokens as bytes: every token takes the same number of bits, the highest first."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def payload_length(count: int, bits: int) -> int:
    """Return the bytes that so many tokens take."""
    return -(-count * bits // 8)


def pack(tokens: Tensor, bits: int) -> bytes:
    """Return tokens as bytes, row by row; what is left of the last byte is 0.

    Parameters
    ----------
    tokens : Tensor
        Integers from 0 to ``2**bits - 1``, of any shape.
    bits : int
        1 to 16.
    """
    values = tokens.cpu().numpy().reshape(-1, 1)
    each = (values >> np.arange(bits - 1, -1, -1)) & 1
    return np.packbits(each.astype(np.uint8)).tobytes()


def unpack(payload: bytes, shape: tuple[int, int], bits: int) -> Tensor:
    """Return the tokens of a payload, int64 of the shape; see `pack`.

    Raises
    ------
    OSError
        If the payload has another length, or something behind the last token.
    """
    count = shape[0] * shape[1]
    if len(payload) != payload_length(count, bits):
        raise OSError(
            f"{count} tokens of {bits} bits take {payload_length(count, bits)} bytes, not "
            f"{len(payload)}: the file is damaged"
        )
    each = np.unpackbits(np.frombuffer(payload, np.uint8))
    if each[count * bits :].any():
        raise OSError(
            f"the bits behind the last of {count} tokens are 0, which they are not: the file is "
            "damaged"
        )
    weights = 1 << np.arange(bits - 1, -1, -1, dtype=np.int64)
    values = each[: count * bits].reshape(count, bits) @ weights
    return torch.from_numpy(values).reshape(shape)
