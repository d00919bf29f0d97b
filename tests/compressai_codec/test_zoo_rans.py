"""The reader of CompressAI's entropy coder: what is written comes back, and damage is an error."""

from __future__ import annotations

import random

import pytest
import torch
from tiny_zoo import library, needs_compressai

from diffc.codecs.compressai.rans import RansReader, Tables, tables_of

TABLES = Tables([[0, 40000, 60000, 65535, 65536], [0, 1, 65000, 65536]], [-1, 5])


@needs_compressai
def test_symbols_come_back() -> None:
    source = random.Random(3)
    indexes = [source.randrange(2) for _ in range(500)]
    # most are in the tables, some are far away
    symbols = [
        source.choice((-1, 0, 1, 5, source.randrange(-(1 << source.randrange(1, 27)), 1 << 26)))
        for _ in indexes
    ]
    lengths = [len(row) for row in TABLES.rows]
    rows = [row + [0] * (max(lengths) - len(row)) for row in TABLES.rows]
    coder = library("compressai.ans").RansEncoder()
    data = coder.encode_with_indexes(symbols, indexes, rows, lengths, TABLES.offsets)
    reader = RansReader(data)
    assert reader.symbols(indexes[:200], TABLES) == symbols[:200]
    assert reader.symbols(indexes[200:], TABLES) == symbols[200:]
    reader.done()
    for damaged in (data[:-4], data + bytes(4)):
        with pytest.raises(OSError, match="the file is damaged"):
            read(damaged, indexes)


def read(data: bytes, indexes: list[int]) -> list[int]:
    """Read all symbols of a string."""
    reader = RansReader(data)
    symbols = reader.symbols(indexes, TABLES)
    reader.done()
    return symbols


def test_any_bytes_end_in_an_error() -> None:
    source, sentences = random.Random(5), set()
    for _ in range(300):
        data = source.randbytes(source.randrange(2, 30) * 4)
        with pytest.raises(OSError, match=r"the file is damaged$") as caught:
            read(data, [source.randrange(2) for _ in range(40)])
        sentences.add(str(caught.value))
    assert len(sentences) == 3, sentences


@pytest.mark.parametrize("data", [b"", bytes(4), bytes(9)])
def test_half_a_word_is_damage(data: bytes) -> None:
    with pytest.raises(OSError, match=f"2 or more words of 4 bytes, not {len(data)} bytes"):
        RansReader(data)


def test_tables_are_checked() -> None:
    rows = torch.tensor([[0, 9, 65536, 0], [0, 1, 2, 65536]])
    found = tables_of(rows, torch.tensor([3, 4]), torch.tensor([-1, 0]))
    assert found == Tables([[0, 9, 65536], [0, 1, 2, 65536]], [-1, 0])
    for lengths, offsets in (([4, 4], [0, 0]), ([2, 4], [0, 0]), ([3], [0]), ([3, 4], [0])):
        with pytest.raises(ValueError, match="of frequencies"):
            tables_of(rows, torch.tensor(lengths), torch.tensor(offsets))
