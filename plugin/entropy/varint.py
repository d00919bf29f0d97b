"""Unsigned LEB128 numbers: seven bits a byte, the lowest first, in as few bytes as possible."""

from __future__ import annotations

from collections.abc import Callable

from diffc.errors import FileError, TruncatedError


def encode(value: int) -> bytes:
    """Return the bytes of `value`, which is 0 or more."""
    if value < 0:
        raise ValueError(f"a varint is 0 or more, got {value}: store a distance from the lowest")
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def length(value: int) -> int:
    """Return how many bytes `encode` uses for `value`, which is 0 or more."""
    return max(1, (value.bit_length() + 6) // 7)


def read(read_bytes: Callable[[int], bytes], end: int) -> int:
    """Read one number byte by byte.

    Parameters
    ----------
    read_bytes : callable
        Returns at most as many next bytes as asked for, like the `read` of a binary file.
    end : int
        The number is 0 to `end` - 1, which also bounds how many bytes are read.

    Raises
    ------
    TruncatedError
        The bytes end inside the number.
    FileError
        The number is `end` or more, or has more bytes than it needs.
    """
    value = 0
    for shift in range(0, (end - 1).bit_length(), 7):
        byte = read_bytes(1)
        if not byte:
            raise TruncatedError("the file ends inside a number: copy it again from its source")
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            if byte[0] == 0 and shift > 0:
                raise FileError(f"a number has no superfluous bytes, {value} has: not a valid file")
            if value >= end:
                break
            return value
    raise FileError(f"a number here is below {end}, this one is not: the file is damaged")
