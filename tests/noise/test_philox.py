from __future__ import annotations

import random

import pytest
import torch

from diffc.noise.philox import philox4x32

ALL = 0xFFFFFFFF


def reference(counter: list[int], key: tuple[int, int]) -> list[int]:
    a, b, c, d = counter
    k, m = key
    for _ in range(10):
        p, q = 0xD2511F53 * a, 0xCD9E8D57 * c
        a, b, c, d = (q >> 32) ^ b ^ k, q & ALL, (p >> 32) ^ d ^ m, p & ALL
        k, m = (k + 0x9E3779B9) & ALL, (m + 0xBB67AE85) & ALL
    return [a, b, c, d]


@pytest.mark.parametrize(
    ("counter", "key", "words"),
    [
        ([0] * 4, (0, 0), [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
        ([ALL] * 4, (ALL, ALL), [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
        (
            [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
            (0xA4093822, 0x299F31D0),
            [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
        ),
    ],
)
def test_the_published_vectors(counter: list[int], key: tuple[int, int], words: list[int]) -> None:
    assert philox4x32(torch.tensor(counter), key).tolist() == words
    assert philox4x32([torch.tensor(word) for word in counter], key).tolist() == words


def test_it_is_the_generator_on_random_and_extreme_counters() -> None:
    draw = random.Random(1)
    values = (0, 1, 2**31 - 1, 2**31, 2**32 - 2, ALL)
    for _ in range(20):
        key = (draw.randrange(2**32), draw.randrange(2**32))
        counters = [[draw.randrange(2**32) for _ in range(4)] for _ in range(20)]
        counters += [[draw.choice(values) for _ in range(4)] for _ in range(20)]
        words = philox4x32(torch.tensor(counters), key)
        assert words.tolist() == [reference(counter, key) for counter in counters]
        assert words.dtype == torch.int64


def test_four_words_broadcast_and_are_not_changed() -> None:
    words = [torch.arange(5)[None, :], torch.arange(3)[:, None], torch.tensor(7), torch.tensor(8)]
    before = [word.clone() for word in words]
    whole = torch.stack([word.expand(3, 5) for word in words], dim=-1)
    result = philox4x32(words, (1, 2))
    assert result.shape == (3, 5, 4)
    assert torch.equal(result, philox4x32(whole, (1, 2)))
    assert all(torch.equal(word, kept) for word, kept in zip(words, before, strict=True))


def test_no_counters_give_no_words() -> None:
    assert philox4x32(torch.empty(0, 4, dtype=torch.int64), (0, 0)).shape == (0, 4)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_makes_the_same_words() -> None:
    counters = torch.arange(4 * 4096).reshape(-1, 4) * 262139 % 2**32
    here = philox4x32(counters, (ALL, 5))
    assert torch.equal(philox4x32(counters.cuda(), (ALL, 5)).cpu(), here)


def test_wrong_arguments() -> None:
    with pytest.raises(ValueError, match="4 words, not 3"):
        philox4x32(torch.zeros(2, 3, dtype=torch.int64), (0, 0))
    with pytest.raises(ValueError, match=r"int64, not torch\.int32"):
        philox4x32(torch.zeros(4, dtype=torch.int32), (0, 0))
    for key in ((-1, 0), (0, 2**32)):
        with pytest.raises(ValueError, match=r"0\.\.2\*\*32-1"):
            philox4x32(torch.zeros(4, dtype=torch.int64), key)
