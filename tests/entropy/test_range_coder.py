from __future__ import annotations

import math
import random
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diffc.entropy.range_coder import RangeDecoder, RangeEncoder

# A symbol: ("share", start, size, total), ("bits", value, count) or ("uniform", value, total).
Symbol = tuple[str, int, int, int]


@st.composite
def symbols(draw: st.DrawFn) -> Symbol:
    kind = draw(st.sampled_from(["share", "bits", "uniform"]))
    if kind == "share":
        total = draw(st.integers(1, 65536))
        start = draw(st.integers(0, total - 1))
        return kind, start, draw(st.integers(1, total - start)), total
    if kind == "bits":
        count = draw(st.integers(0, 80))
        return kind, draw(st.integers(0, 2**count - 1)), count, 0
    total = draw(st.integers(1, 2**20) | st.integers(1, 2**200))
    return kind, draw(st.integers(0, total - 1)), total, 0


def put(encoder: RangeEncoder, symbol: Symbol) -> None:
    kind, a, b, c = symbol
    if kind == "share":
        encoder.encode(a, b, c)
    elif kind == "bits":
        encoder.encode_bits(a, b)
    else:
        encoder.encode_uniform(a, b)


def get(decoder: RangeDecoder, like: Symbol) -> Symbol | None:
    """Read a symbol with the total of `like`; a share of another symbol is None."""
    kind, a, b, c = like
    if kind == "bits":
        return kind, decoder.decode_bits(b), b, 0
    if kind == "uniform":
        return kind, decoder.decode_uniform(b), b, 0
    if not a <= decoder.peek(c) < a + b:
        return None
    decoder.take(a, b, c)
    return like


def encoded(sequence: list[Symbol]) -> RangeEncoder:
    encoder = RangeEncoder()
    for symbol in sequence:
        put(encoder, symbol)
    return encoder


@settings(derandomize=True, deadline=None)
@given(st.lists(symbols(), max_size=40))
def test_symbols_come_back(sequence: list[Symbol]) -> None:
    encoder = encoded(sequence)
    data = encoder.finish()
    assert encoder.length() == len(data)
    assert encoder.finish() == data
    assert not data.endswith(b"\0")
    decoder = RangeDecoder(data)
    assert [get(decoder, symbol) for symbol in sequence] == sequence
    decoder = RangeDecoder(bytearray(data) + bytes(20))
    assert [get(decoder, symbol) for symbol in sequence] == sequence
    assert decoder.certain()


def test_the_bytes() -> None:
    encoder = RangeEncoder()
    assert encoder.finish() == b""
    encoder.encode(1, 2, 5)
    assert encoder.finish().hex() == "34"
    encoder.encode(65535, 1, 65536)
    encoder.encode_bits(0x123456789, 33)
    encoder.encode_uniform(10**30, 10**40)
    for i in range(20):
        encoder.encode(i, 1, 20)
    assert (
        encoder.finish().hex()
        == "99996d741bc2a032d69615fd855db07534e1ef0ea39000013c49ed8d9873070c7a92"
    )


def interval(sequence: list[Symbol]) -> tuple[Fraction, Fraction]:
    """Return the interval of the symbols, with the rounding of the coder but unbounded digits."""
    low, width, unit = Fraction(0), 2**48, Fraction(1, 2**48)
    for _, start, size, total in sequence:
        share = width // total
        low += share * start * unit
        width = share * size if start + size < total else width - share * start
        if width < 2**32:
            width, unit = width << 16, unit / 2**16
    return low, low + width * unit


def test_a_carry_runs_through_the_bytes_before() -> None:
    # Each symbol is the one that holds 1/2, so that the low end is 7f ff ff ... to the last.
    sequence: list[Symbol] = [("share", 1, 3, 7)]
    for _ in range(20):
        low, high = interval(sequence)
        sequence.append(
            ("share", math.floor((Fraction(1, 2) - low) / (high - low) * 2**16), 1, 2**16)
        )
    encoder = encoded(sequence)
    assert encoder.finish().hex() == "80"
    assert encoder.length() == 1
    encoder.encode(65000, 1, 65536)
    data = encoder.finish()
    assert data.hex() == "80" + "00" * 39 + "398a3c"
    assert encoder.length() == len(data)
    decoder = RangeDecoder(data)
    assert [get(decoder, symbol) for symbol in sequence] == sequence
    assert get(decoder, ("share", 65000, 1, 65536))


@pytest.mark.parametrize("seed", range(150))
def test_the_bytes_are_the_shortest_in_the_interval(seed: int) -> None:
    draw = random.Random(seed)
    sequence: list[Symbol] = []
    for _ in range(draw.randrange(12)):
        total = draw.choice([1, 2, 3, 256, 257, 65536])
        start = draw.choice([0, total - 1, draw.randrange(total)])
        sequence.append(("share", start, draw.choice([1, total - start]), total))
    low, high = interval(sequence)
    data = encoded(sequence).finish()
    length = len(data)
    assert low <= Fraction(int.from_bytes(data, "big"), 256**length) < high
    if length:  # one byte fewer holds no multiple that is inside
        assert math.ceil(low * 256 ** (length - 1)) >= high * 256 ** (length - 1)


def test_the_cost_is_that_of_the_shares() -> None:
    draw = random.Random(7)
    bits, encoder = 0.0, RangeEncoder()
    for _ in range(5000):
        total = draw.randrange(2, 65537)
        size = draw.randrange(1, total)
        encoder.encode(draw.randrange(total - size + 1), size, total)
        bits += math.log2(total / size)
    assert 8 * encoder.length() <= bits + 5000 * 1e-5 + 8
    for total in (3, 65535, 65536, 65537, 2**17, 2**4000 + 1, 3**2500, 2**16 * 65535 + 1):
        encoder = RangeEncoder()
        for _ in range(50):
            encoder.encode_uniform(draw.randrange(total), total)
        most = 50 * (math.log2(total) + 2**-14 + 1e-5 * (1 + math.log2(total) / 16)) + 8
        assert 8 * encoder.length() <= most


def test_copies_go_their_own_way() -> None:
    base = encoded([("share", 1, 1, 3)] * 50)
    data = base.finish()
    one, two = base.copy(), base.copy()
    for _ in range(40):
        one.encode(2, 1, 3)
        two.encode(0, 1, 3)
    assert base.finish() == data
    assert one.finish() == encoded([("share", 1, 1, 3)] * 50 + [("share", 2, 1, 3)] * 40).finish()
    assert two.finish() == encoded([("share", 1, 1, 3)] * 50 + [("share", 0, 1, 3)] * 40).finish()


@settings(derandomize=True, deadline=None, max_examples=60)
@given(st.lists(symbols(), max_size=25), st.binary(max_size=4))
def test_what_is_certain_of_a_prefix_is_right(sequence: list[Symbol], tail: bytes) -> None:
    data = encoded(sequence).finish() + tail  # the tail stands for symbols that came after
    whole = RangeDecoder(data)
    truth = [get(whole, symbol) for symbol in sequence]
    certain_before = 0
    for length in range(len(data) + 1):
        decoder, certain, was = RangeDecoder(data[:length]), 0, True
        for place, symbol in enumerate(sequence):
            read = get(decoder, symbol)
            now = decoder.certain()
            assert was or not now
            was = now
            if not now or read is None:
                break
            assert read == truth[place]
            certain = place + 1
        assert certain >= certain_before
        certain_before = certain


def test_what_is_not_certain_does_depend_on_the_bytes_that_follow() -> None:
    draw = random.Random(11)
    for _ in range(200):
        data = draw.randbytes(draw.randrange(1, 12))
        low, high = RangeDecoder(data), RangeDecoder(data + b"\xff" * 40)
        while True:
            total = draw.randrange(2, 65537)
            one, two = low.peek(total), high.peek(total)
            low.take(one, 1, total)
            if one != two:
                assert not low.certain()
                break
            high.take(two, 1, total)
            assert low.certain()
            assert high.certain()


def test_certainty_ends_with_the_last_fraction_of_a_symbol() -> None:
    # The first of 257 symbols ends before 00 ff 00 ff 00 ff.
    for data, certain in ((b"\0\xff\0\xff\0", False), (b"\0\xff\0\xfe\xff", True)):
        decoder = RangeDecoder(data)
        assert decoder.peek(257) == 0
        decoder.take(0, 1, 257)
        assert decoder.certain() == certain
    assert RangeDecoder(b"\0\xff\0\xff\0\xff").peek(257) == 1


def test_a_prefix_is_certain_of_nearly_all_that_it_paid_for() -> None:
    draw = random.Random(12)
    sequence: list[Symbol] = [("share", draw.randrange(10), 1, 10) for _ in range(400)]
    data = encoded(sequence).finish()
    for length in range(0, len(data), 7):
        decoder, certain = RangeDecoder(data[:length]), 0
        for symbol in sequence:
            target = decoder.peek(10)
            decoder.take(target, 1, 10)
            if not decoder.certain():
                break
            assert target == symbol[1]
            certain += 1
        assert certain >= 8 * length / math.log2(10) - 5


@settings(derandomize=True, deadline=None)
@given(st.binary(max_size=60), st.lists(symbols(), max_size=60))
def test_any_bytes_decode_to_values_in_range(data: bytes, sequence: list[Symbol]) -> None:
    decoder = RangeDecoder(data)
    for kind, _, b, c in sequence:
        if kind == "share":
            target = decoder.peek(c)
            assert 0 <= target < c
            decoder.take(target, 1, c)
        elif kind == "bits":
            assert 0 <= decoder.decode_bits(b) < 2**b
        else:
            assert 0 <= decoder.decode_uniform(b) < b


def test_the_remainder_is_the_last_symbol() -> None:
    decoder = RangeDecoder(b"\xff" * 20)  # 2**48 - 1 is 3 times a third of 2**48
    assert decoder.peek(3) == 2
    decoder.take(2, 1, 3)
    assert decoder.decode_bits(64) == 2**64 - 1
    assert decoder.certain()
    assert RangeDecoder(b"\xff" * 20).decode_uniform(2**17 + 1) == 2**17


def test_wrong_arguments() -> None:
    encoder = RangeEncoder()
    for start, size, total in ((-1, 1, 2), (0, 0, 2), (1, 2, 2), (0, 1, 65537), (0, 0, 0)):
        with pytest.raises(ValueError, match="scale the shares"):
            encoder.encode(start, size, total)
        with pytest.raises(ValueError, match="the next symbol is not"):
            RangeDecoder(b"").take(start, size, total)
    for value, count in ((-1, 3), (8, 3), (0, -1), (1, 0)):
        with pytest.raises(ValueError, match="more bits"):
            encoder.encode_bits(value, count)
    for value, total in ((-1, 3), (3, 3), (0, 0)):
        with pytest.raises(ValueError, match="a value is in"):
            encoder.encode_uniform(value, total)
    assert encoder.finish() == b""
    decoder = RangeDecoder(b"\x80")
    for total in (0, -1, 65537):
        with pytest.raises(ValueError, match="a total is in"):
            decoder.peek(total)
    with pytest.raises(ValueError, match="at least 1"):
        decoder.decode_uniform(0)
    with pytest.raises(ValueError, match="at least 0"):
        decoder.decode_bits(-1)
    with pytest.raises(ValueError, match=r"not 0\.\.0 of 2"):
        decoder.take(0, 1, 2)
    assert decoder.decode_bits(1) == 1
