from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diffc.entropy.adaptive import AdaptiveBit, CountModel
from diffc.entropy.range_coder import RangeDecoder, RangeEncoder


def coded(values: list[int], contexts: list[int], number: int) -> bytes:
    model, encoder = CountModel(number), RangeEncoder()
    for value, context in zip(values, contexts, strict=True):
        model.encode(encoder, value, context)
    return encoder.finish()


@settings(derandomize=True, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 65535) | st.integers(0, 5), st.integers(0, 2))))
def test_counts_come_back(pairs: list[tuple[int, int]]) -> None:
    data = coded([value for value, _ in pairs], [context for _, context in pairs], 3)
    model, decoder = CountModel(3), RangeDecoder(data)
    assert [(model.decode(decoder, context), context) for _, context in pairs] == pairs


def test_every_class_comes_back_from_both_ends() -> None:
    values = [0, 1] + [v for k in range(1, 17) for v in (2**k - 1, 2 ** (k - 1), 3 * 2**k // 4)]
    data = coded(values, [0] * len(values), 1)
    model, decoder = CountModel(), RangeDecoder(data)
    assert [model.decode(decoder) for _ in values] == values


@settings(derandomize=True, deadline=None)
@given(st.lists(st.integers(0, 1), max_size=300))
def test_bits_come_back(bits: list[int]) -> None:
    model, encoder = AdaptiveBit(), RangeEncoder()
    for bit in bits:
        model.encode(encoder, bit)
    other, decoder = AdaptiveBit(), RangeDecoder(encoder.finish())
    assert [other.decode(decoder) for _ in bits] == bits
    assert (other.zeros, other.ones) == (model.zeros, model.ones)


def test_the_counts_of_a_bit_stay_small_and_equal_on_both_sides() -> None:
    draw = random.Random(1)
    bits = [int(draw.random() < 0.01) for _ in range(6000)]
    model, encoder = AdaptiveBit(), RangeEncoder()
    for bit in bits:
        model.encode(encoder, bit)
        assert model.zeros >= 1
        assert model.ones >= 1
        assert model.zeros + model.ones <= 2048
    other, decoder = AdaptiveBit(), RangeDecoder(encoder.finish())
    assert [other.decode(decoder) for _ in bits] == bits
    assert (other.zeros, other.ones) == (model.zeros, model.ones)


def test_the_first_shares_and_the_halving() -> None:
    bit, encoder = AdaptiveBit(), RangeEncoder()
    bit.encode(encoder, 1)
    assert (bit.zeros, bit.ones) == (1, 3)
    for _ in range(1022):
        bit.encode(encoder, 1)
    assert (bit.zeros, bit.ones) == (1, 2047)
    bit.encode(encoder, 0)
    assert (bit.zeros, bit.ones) == (2, 1024)


def test_the_bytes() -> None:
    draw = random.Random(2)
    values = [0, 1, 2, 3, 7, 8, 100, 65535, *(draw.randrange(9) for _ in range(20))]
    assert (
        coded(values, [i % 2 for i in range(len(values))], 2).hex()
        == "5ce76e3dd390ffffd101a83a8e2c9389c3dfc811"
    )
    bit, encoder = AdaptiveBit(), RangeEncoder()
    for value in (1, 0, 1, 1, 1, 0, 1, 1, 1, 1, 0, 1, 1, 1, 1, 1):
        bit.encode(encoder, value)
    assert encoder.finish().hex() == "9a68"


@pytest.mark.parametrize("mean", [0.3, 2, 10, 300])
def test_counts_cost_little_more_than_their_entropy(mean: float) -> None:
    draw = random.Random(3)
    stop = 1 / (1 + mean)
    values = [int(math.log(1 - draw.random()) / math.log(1 - stop)) for _ in range(4000)]
    entropy = -(math.log2(stop) + mean * math.log2(1 - stop))
    assert 8 * len(coded(values, [0] * 4000, 1)) / 4000 < 1.05 * entropy


def test_contexts_learn_apart() -> None:
    values = [0, 7] * 500
    together = coded(values, [0] * 1000, 2)
    apart = coded(values, [0, 1] * 500, 2)
    assert len(apart) < len(together) / 4


def test_copies_go_their_own_way() -> None:
    model, encoder = CountModel(2), RangeEncoder()
    for value in (3, 1, 4, 1, 5):
        model.encode(encoder, value, 1)
    tried, trial = model.copy(), encoder.copy()
    for _ in range(50):
        tried.encode(trial, 1000, 1)
    model.encode(encoder, 9, 1)
    assert encoder.finish() == coded([3, 1, 4, 1, 5, 9], [1] * 6, 2)
    again, decoder = CountModel(2), RangeDecoder(trial.finish())
    assert [again.decode(decoder, 1) for _ in range(55)] == [3, 1, 4, 1, 5] + [1000] * 50


def test_any_bytes_decode_to_counts() -> None:
    draw = random.Random(4)
    for data in (b"", b"\xff" * 50, *(draw.randbytes(draw.randrange(60)) for _ in range(50))):
        model, decoder = CountModel(2), RangeDecoder(data)
        for i in range(100):
            assert 0 <= model.decode(decoder, i % 2) <= 65535


def test_wrong_arguments() -> None:
    model, encoder = CountModel(2), RangeEncoder()
    for value in (-1, 65536):
        with pytest.raises(ValueError, match=r"0\.\.65535"):
            model.encode(encoder, value)
    for context in (-1, 2):
        with pytest.raises(ValueError, match="a context is in"):
            model.encode(encoder, 0, context)
        with pytest.raises(ValueError, match="a context is in"):
            model.decode(RangeDecoder(b""), context)
    with pytest.raises(ValueError, match="at least 1 context"):
        CountModel(0)
    assert encoder.finish() == b""
