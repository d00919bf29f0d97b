"""A range coder in exact integers: symbols with given shares of a total become bytes and back.

The bytes, followed by zeros without end, are a binary fraction; every symbol narrows the interval
that the fraction must lie in. The interval keeps 32 to 48 bits, so that rounding costs less than
10**-5 bits a symbol. Its rounding remainder belongs to the last symbol of a total: every fraction
decodes to some symbols, and no bytes, however damaged, make the decoder raise or run away.

All methods raise `ValueError` for numbers outside the ranges that they state, and for nothing else.
"""

from __future__ import annotations

_TOP = 1 << 48
_BOTTOM = 1 << 32
_LARGEST_TOTAL = 1 << 16


class RangeEncoder:
    """Collects symbols and gives their bytes. The state is three plain values, cheap to copy."""

    __slots__ = ("_bytes", "_low", "_range")

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._low = 0  # the interval is _low .. _low + _range - 1, in units of the last of the
        self._range = _TOP  # 48 bits that come after _bytes

    def copy(self) -> RangeEncoder:
        """Return an encoder of the same symbols that goes its own way from here."""
        other = RangeEncoder()
        other._bytes, other._low, other._range = self._bytes[:], self._low, self._range
        return other

    def encode(self, start: int, size: int, total: int) -> None:
        """Add the symbol that owns start..start+size-1 of 0..total-1; log2(total/size) bits.

        0 <= start < start + size <= total <= 65536.
        """
        end = start + size
        if not 0 <= start < end <= total <= _LARGEST_TOTAL:
            raise ValueError(
                f"a symbol needs 0 <= start < start + size <= total <= {_LARGEST_TOTAL}, "
                f"not start {start}, size {size}, total {total}: scale the shares to fit"
            )
        offset = self._range // total * start
        low = self._low + offset
        width = self._range // total * size if end < total else self._range - offset
        if low >= _TOP:
            low -= _TOP
            _carry(self._bytes)
        if width < _BOTTOM:  # once is enough: width is at least 2**32 // 2**16
            self._bytes += (low >> 32).to_bytes(2, "big")
            low = (low & 0xFFFFFFFF) << 16
            width <<= 16
        self._low = low
        self._range = width

    def encode_bits(self, value: int, count: int) -> None:
        """Add the `count` bits of 0 <= value < 2**count, the highest first; any count >= 0."""
        if value < 0 or value.bit_length() > count:
            raise ValueError(f"{value} is not a number of {count} bits: give it more bits")
        for place in range((count - 1) // 16 * 16, -1, -16):
            self.encode(value >> place & 0xFFFF, 1, 1 << min(count - place, 16))

    def encode_uniform(self, value: int, total: int) -> None:
        """Add one of `total` equally likely values, 0 <= value < total, of any size.

        Costs log2(total) bits, and less than 2**-14 more where the total exceeds 65536: only its
        leading 16 bits are rounded up.
        """
        if not 0 <= value < total:
            raise ValueError(f"a value is in 0..total-1, not {value} of {total}: check the total")
        low_bits = max(total.bit_length() - 16, 0)
        self.encode(value >> low_bits, 1, ((total - 1) >> low_bits) + 1)
        self.encode_bits(value & ((1 << low_bits) - 1), low_bits)

    def finish(self) -> bytes:
        """Return the shortest bytes that decode to the symbols so far; more may still be added."""
        kept, tail = self._ending()
        data = self._bytes[:]
        if kept == 0 and tail:
            _carry(data)
        return bytes((data + tail.to_bytes(kept, "big") if kept else data).rstrip(b"\0"))

    def length(self) -> int:
        """Return len(finish()) without making the bytes."""
        kept, tail = self._ending()
        return kept + len(self._bytes if kept else self._bytes.rstrip(b"\xff" if tail else b"\0"))

    def _ending(self) -> tuple[int, int]:
        """Return the fewest bytes that reach the interval after _bytes, and them as a number.

        With 0 bytes the number is 1 for a carry into _bytes and 0 for none.
        """
        kept = 0
        while -(-self._low >> (shift := 48 - 8 * kept)) << shift >= self._low + self._range:
            kept += 1  # at most 2, where a unit is 2**32, no more than the range
        return kept, -(-self._low >> shift)


def _carry(data: bytearray) -> None:
    """Add one to the bytes as one number; the fraction is below 1, so that it always fits."""
    place = len(data) - 1
    while data[place] == 0xFF:
        data[place] = 0
        place -= 1
    data[place] += 1


class RangeDecoder:
    """Reads the symbols of `RangeEncoder` back, given the totals and shares in the same order.

    `data` is all of the bytes, or the first of them; zeros follow where it ends.
    """

    __slots__ = ("_data", "_offset", "_place", "_range")

    def __init__(self, data: bytes | bytearray) -> None:
        self._data = bytes(data)
        self._place = 6  # bytes taken into _offset so far
        self._offset = int.from_bytes(self._data[:6].ljust(6, b"\0"), "big")
        self._range = _TOP  # 0 <= _offset < _range always

    def peek(self, total: int) -> int:
        """Return a number in 0..total-1 that the next symbol owns, total in 1..65536."""
        if not 1 <= total <= _LARGEST_TOTAL:
            raise ValueError(f"a total is in 1..{_LARGEST_TOTAL}, not {total}: scale the shares")
        target = self._offset // (self._range // total)
        return target if target < total else total - 1

    def take(self, start: int, size: int, total: int) -> None:
        """Move past the symbol that owns start..start+size-1, which `peek` pointed into."""
        end = start + size
        unit = self._range // total if 0 <= start < end <= total <= _LARGEST_TOTAL else 0
        offset = self._offset - unit * start
        width = unit * size if end < total else self._range - unit * start
        if not (unit and 0 <= offset < width):
            raise ValueError(
                f"the next symbol is not {start}..{end - 1} of {total}: take what peek pointed into"
            )
        if width < _BOTTOM:
            octets = self._data[self._place : self._place + 2].ljust(2, b"\0")
            offset = offset << 16 | int.from_bytes(octets, "big")
            width <<= 16
            self._place += 2
        self._offset = offset
        self._range = width

    def decode_bits(self, count: int) -> int:
        """Return the number that `encode_bits` was given, count >= 0."""
        if count < 0:
            raise ValueError(f"a count of bits is at least 0, not {count}: check the caller")
        digits = bytearray()
        for place in range((count - 1) // 16 * 16, -1, -16):
            total = 1 << min(count - place, 16)
            digit = self.peek(total)
            self.take(digit, 1, total)
            digits += digit.to_bytes(2, "big")
        return int.from_bytes(digits, "big")

    def decode_uniform(self, total: int) -> int:
        """Return the value that `encode_uniform` was given, in 0..total-1 whatever the bytes."""
        if total < 1:
            raise ValueError(f"a total is at least 1, not {total}: check the caller")
        low_bits = max(total.bit_length() - 16, 0)
        leading = ((total - 1) >> low_bits) + 1
        high = self.peek(leading)
        self.take(high, 1, leading)
        return min(high << low_bits | self.decode_bits(low_bits), total - 1)

    def overrun(self) -> bool:
        """Return whether symbols are read that no encoder wrote: the data ended well before them.

        A finished stream leaves out zeros at its end, and nothing else.
        """
        return self._offset != 0 and self._place > len(self._data) + 38

    def certain(self) -> bool:
        """Return whether every symbol so far is the same whatever bytes follow the given ones.

        Once false it stays so. At the end of whole data it is mostly false, for the encoder
        leaves zeros out: ask only about data that is known to be cut short.
        """
        missing = min(max(self._place - len(self._data), 0), 7)
        return self._offset + (1 << 8 * missing) <= self._range
