"""Fields of single bits, the highest first, as video standards write their headers."""

from __future__ import annotations

from diffc.errors import FileError


class BitWriter:
    """Collects fields; made for headers of some hundred bits, not for pictures."""

    def __init__(self) -> None:
        self._fields: list[str] = []

    def number(self, value: int, length: int) -> None:
        """Add an unsigned number of `length` bits, which `value` fits in."""
        if not 0 <= value < 1 << length:
            raise ValueError(f"a field of {length} bits cannot hold {value}: give it more bits")
        self._fields.append(f"{value:0{length}b}")

    def golomb(self, value: int) -> None:
        """Add a number of 0 or more as ue(v), the Exp-Golomb code of ITU-T H.265, 9.2."""
        self.number(value + 1, 2 * (value + 1).bit_length() - 1)

    def bits(self) -> str:
        """Return what was added as a string of 0 and 1."""
        return "".join(self._fields)

    def trailed(self) -> bytes:
        """Return the bytes, ended by a bit of 1 and up to seven of 0 (AV1 5.3.4, H.265 7.3.2.11)."""
        bits = self.bits() + "1"
        length = -(-len(bits) // 8)
        return int(bits.ljust(8 * length, "0"), 2).to_bytes(length, "big")


class BitReader:
    """Takes fields off some bytes, none of them beyond the end.

    Parameters
    ----------
    data : bytes
        A header; it is short, or was cut off.
    """

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "big")
        self._left = 8 * len(data)

    def number(self, length: int) -> int:
        """Take an unsigned number of `length` bits.

        Raises
        ------
        FileError
            Fewer bits are left.
        """
        if length > self._left:
            raise FileError(
                f"a header field has {length} bits, only {self._left} are left: the data are cut off"
            )
        self._left -= length
        return self._value >> self._left & (1 << length) - 1
