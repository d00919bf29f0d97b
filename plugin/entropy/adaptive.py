"""Adaptive models in integers: bits, and small counts, whose shares follow what was coded.

A count is coded as its class, the number of its binary digits (0 is class 0, 1 class 1, 2 and 3
class 2, 4 to 7 class 3 and so on), as that many adaptive bits 1 and one 0; then the two digits
after the leading one by adaptive bits of the class; then the other digits, each costing one bit.
"""

from __future__ import annotations

from diffc.entropy.range_coder import RangeDecoder, RangeEncoder

_INCREMENT = 2  # with first shares of 1 this is the estimator of Krichevsky and Trofimov
_LIMIT = 2048  # twice the observations that a bit remembers in full
_CLASSES = 16
_MODELS = _CLASSES + 3 * (_CLASSES - 1)  # bits of a context: of the class, then trees of three


class AdaptiveBit:
    """A bit whose shares are the counts of what it was, old ones halved now and then."""

    __slots__ = ("ones", "zeros")

    def __init__(self, zeros: int = 1, ones: int = 1) -> None:
        self.zeros = zeros
        self.ones = ones

    def copy(self) -> AdaptiveBit:
        """Return a bit with the same counts that goes its own way from here."""
        return AdaptiveBit(self.zeros, self.ones)

    def encode(self, encoder: RangeEncoder, bit: int) -> None:
        """Add a bit, 0 or any other for 1, and learn it."""
        if bit:
            encoder.encode(self.zeros, self.ones, self.zeros + self.ones)
            self.ones += _INCREMENT
        else:
            encoder.encode(0, self.zeros, self.zeros + self.ones)
            self.zeros += _INCREMENT
        if self.zeros + self.ones > _LIMIT:
            self._forget()

    def decode(self, decoder: RangeDecoder) -> int:
        """Return the next bit, 0 or 1, and learn it."""
        total = self.zeros + self.ones
        bit = int(decoder.peek(total) >= self.zeros)
        if bit:
            decoder.take(self.zeros, self.ones, total)
            self.ones += _INCREMENT
        else:
            decoder.take(0, self.zeros, total)
            self.zeros += _INCREMENT
        if total + _INCREMENT > _LIMIT:
            self._forget()
        return bit

    def _forget(self) -> None:
        self.zeros = (self.zeros + 1) // 2
        self.ones = (self.ones + 1) // 2


class CountModel:
    """Whole numbers 0..65535, small ones cheap, with a separate model for each context.

    Parameters
    ----------
    contexts : int
        How many contexts there are, at least 1.
    """

    __slots__ = ("_contexts",)

    def __init__(self, contexts: int = 1) -> None:
        if contexts < 1:
            raise ValueError(f"a model has at least 1 context, not {contexts}: give it one")
        self._contexts = [[AdaptiveBit() for _ in range(_MODELS)] for _ in range(contexts)]

    def copy(self) -> CountModel:
        """Return a model with the same counts that goes its own way from here."""
        other = CountModel.__new__(CountModel)
        other._contexts = [[bit.copy() for bit in bits] for bits in self._contexts]
        return other

    def encode(self, encoder: RangeEncoder, value: int, context: int = 0) -> None:
        """Add a value in 0..65535 and learn it.

        Raises
        ------
        ValueError
            The value or the context is outside its range.
        """
        if not 0 <= value < 1 << _CLASSES:
            raise ValueError(f"a count is in 0..{(1 << _CLASSES) - 1}, not {value}: split it")
        bits = self._bits(context)
        digits = value.bit_length()
        for size in range(digits):
            bits[size].encode(encoder, 1)
        if digits < _CLASSES:
            bits[digits].encode(encoder, 0)
        tree, node = _tree(digits), 1
        for place in range(digits - 2, max(digits - 4, -1), -1):
            bit = value >> place & 1
            bits[tree + node].encode(encoder, bit)
            node = 2 * node + bit
        raw = max(digits - 3, 0)
        encoder.encode_bits(value & ((1 << raw) - 1), raw)

    def decode(self, decoder: RangeDecoder, context: int = 0) -> int:
        """Return the next value, in 0..65535 whatever the bytes, and learn it.

        Raises
        ------
        ValueError
            The context is outside its range.
        """
        bits = self._bits(context)
        digits = 0
        while digits < _CLASSES and bits[digits].decode(decoder):
            digits += 1
        if digits < 2:
            return digits
        tree, value, node = _tree(digits), 1, 1
        for _ in range(min(digits - 1, 2)):
            bit = bits[tree + node].decode(decoder)
            value, node = 2 * value + bit, 2 * node + bit
        raw = max(digits - 3, 0)
        return value << raw | decoder.decode_bits(raw)

    def _bits(self, context: int) -> list[AdaptiveBit]:
        if not 0 <= context < len(self._contexts):
            raise ValueError(f"a context is in 0..{len(self._contexts) - 1}, not {context}: add it")
        return self._contexts[context]


def _tree(digits: int) -> int:
    """Return where a class of 2 or more has its bits, less 1: node 1, and below it 2 and 3."""
    return _CLASSES - 1 + 3 * (digits - 2)
