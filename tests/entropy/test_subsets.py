from __future__ import annotations

import math
import random
from itertools import combinations

import pytest

from diffc.entropy.range_coder import RangeDecoder, RangeEncoder
from diffc.entropy.subsets import count, decode_subset, encode_subset, rank, unrank


def test_every_set_of_few_numbers_has_its_own_rank() -> None:
    for n in range(11):
        for m in range(n + 1):
            ranks = []
            for positions in combinations(range(n), m):
                number = rank(positions, n)
                assert unrank(number, n, m) == list(positions)
                ranks.append(number)
            assert sorted(ranks) == list(range(count(n, m)))


@pytest.mark.parametrize(
    ("positions", "n", "number"),
    [
        ([], 0, 0),
        ([0], 9, 0),
        ([8], 9, 8),
        ([0, 1, 2], 9, 0),
        ([1, 4, 7], 9, 1 + 6 + 35),
        ([6, 7, 8], 9, 83),
        ([0, 1, 4, 5, 6, 8], 9, math.comb(2, 1) + math.comb(3, 2) + math.comb(7, 3)),
        ([0, 1, 2, 3, 4, 5], 9, 83),
        ([5, 100, 1000, 4095], 4096, 11699681544500),
    ],
)
def test_known_ranks(positions: list[int], n: int, number: int) -> None:
    assert rank(positions, n) == number
    assert unrank(number, n, len(positions)) == positions


@pytest.mark.parametrize("m", [0, 1, 5, 63, 64, 65, 300, 511, 512, 513, 900, 960, 1023, 1024])
def test_sets_of_1024_come_back_at_their_cost(m: int) -> None:
    draw = random.Random(m)
    sets = [sorted(draw.sample(range(1024), m)) for _ in range(8)]
    sets += [list(range(m)), list(range(1024 - m, 1024))]
    encoder = RangeEncoder()
    for positions in sets:
        encode_subset(encoder, positions, 1024)
    data = encoder.finish()
    decoder = RangeDecoder(data)
    assert [decode_subset(decoder, 1024, m) for _ in sets] == sets
    assert len(data) <= (len(sets) * (math.log2(math.comb(1024, m)) + 0.01)) / 8 + 1


def test_the_largest_set() -> None:
    positions = sorted(random.Random(3).sample(range(4096), 2048))
    assert unrank(rank(positions, 4096), 4096, 2048) == positions
    encoder = RangeEncoder()
    encode_subset(encoder, positions, 4096)
    assert encoder.length() <= (math.log2(math.comb(4096, 2048)) + 0.01) / 8 + 1


def test_both_ways_to_rank_agree() -> None:
    for m in (64, 65):
        positions = sorted(random.Random(m).sample(range(1024), m))
        by_definition = sum(math.comb(c, place) for place, c in enumerate(positions, 1))
        assert rank(positions, 1024) == by_definition


def test_the_bytes() -> None:
    encoder = RangeEncoder()
    encode_subset(encoder, [1, 4, 7], 9)
    encode_subset(encoder, [5, 100, 1000, 4095], 4096)
    encode_subset(encoder, list(range(0, 1024, 16)), 1024)
    assert encoder.finish().hex() == (
        "830b6f26fb85d67b7102353876e669cf6c900c4cc77e54ee9e4eeb5a3f214f2b067abf6a83fa6c2eaca9df340fca00d834"
    )


def test_any_bytes_decode_to_a_set() -> None:
    draw = random.Random(5)
    for _ in range(200):
        n = draw.randrange(1, 300)
        m = draw.randrange(n + 1)
        positions = decode_subset(RangeDecoder(draw.randbytes(draw.randrange(40))), n, m)
        assert len(positions) == m
        assert positions == sorted(set(positions))
        assert all(0 <= position < n for position in positions)
    assert decode_subset(RangeDecoder(b"\xff" * 99), 300, 150) == list(range(150, 300))


def test_wrong_arguments() -> None:
    for n, m in ((3, 4), (4, -1), (-1, 0), (4097, 1)):
        with pytest.raises(ValueError, match="0 <= m <= n <= 4096"):
            count(n, m)
        with pytest.raises(ValueError, match="0 <= m <= n <= 4096"):
            unrank(0, n, m)
    with pytest.raises(ValueError, match="0 <= m <= n <= 4096"):
        rank([0], 4097)
    for positions in ([1, 1], [2, 1], [-1, 1], [1, 5]):
        with pytest.raises(ValueError, match="ascending"):
            rank(positions, 5)
    for number in (-1, 10):
        with pytest.raises(ValueError, match="a rank is in"):
            unrank(number, 5, 2)
