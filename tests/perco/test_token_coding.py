"""Tokens as bytes: both forms come back, every prefix, and from damaged and hostile payloads."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from index_weights import VOCABULARIES, index_weights, scattered
from torch import Tensor

from diffc.codecs.perco.coding import Shares, decode, encode, longest_prefix, shares
from diffc.codecs.perco.index_contexts import KnownTokens, parts
from diffc.codecs.perco.index_model import IndexModel
from diffc.codecs.perco.packing import longest_packed, pack, packed_bits, unpack
from diffc.codecs.perco.sequence import TokenLayout
from diffc.codecs.perco.tokeniser import GLOBAL_TOKENS, TokenConfig, Tokens

LAYOUT = TokenLayout(((3, 2), (6, 4), (12, 8), (12, 8), (12, 8)), VOCABULARIES, 11)
MODEL = IndexModel(index_weights(5, largest=60), VOCABULARIES)


def draw(layout: TokenLayout = LAYOUT, seed: int = 0) -> Tensor:
    runs = layout.runs(layout.total)
    return torch.cat([scattered(seed + words, words, length) for length, words in runs])


def likeliest() -> Tensor:
    """Each token the likeliest of its place, given those before."""
    known = KnownTokens(LAYOUT.sizes, LAYOUT.vocabularies)
    found = [torch.zeros(GLOBAL_TOKENS, dtype=torch.int64)]
    for part in parts(LAYOUT.sizes, LAYOUT.vocabularies, 1 << 17):
        rows = MODEL.cumulative(known.contexts(part), part.grid, part.stage)
        found.append(rows.diff(dim=1).argmax(1))
        known.put(part, found[-1])
    return torch.cat(found)


SEQUENCE = draw()
SHARES = shares(LAYOUT, MODEL, SEQUENCE)


def test_the_layout_of_a_latent() -> None:
    layout = TokenLayout.of(TokenConfig(), 32, 48)
    assert layout.sizes == ((8, 12), (16, 24), *[(32, 48)] * 4)
    assert layout.total == 3 + 96 + 384 + 4 * 1536
    assert layout.runs(0) == []
    assert layout.runs(2) == [(2, 256)]
    assert layout.runs(100) == [(3, 256), (96, 1024), (1, 256)]
    # 153 bytes hold the global tokens, the coarse grid, and some more
    assert packed_bits(layout, 99) == 24 + 960
    assert longest_packed(layout, 153) == 99 + (153 * 8 - 984) // 8


def test_a_sequence_is_the_grids_in_coding_order() -> None:
    generator = torch.Generator().manual_seed(1)
    grids = [
        torch.randint(v, (2, *s), generator=generator)
        for s, v in zip(LAYOUT.sizes, VOCABULARIES, strict=True)
    ]
    tokens = Tokens(torch.tensor([[1, 2, 3], [4, 5, 6]]), tuple(grids))
    sequence = LAYOUT.sequence(tokens, 1)
    assert sequence[:3].tolist() == [4, 5, 6]
    # of 3 rows of 2: the even rows' first column, then what Bayer's matrix says
    assert sequence[3:9].tolist() == grids[0][1].flatten()[[0, 4, 3, 1, 5, 2]].tolist()
    back = LAYOUT.tokens(sequence)
    assert torch.equal(back.of_picture, tokens.of_picture[1:])
    assert all(torch.equal(a, b[1:]) for a, b in zip(back.grids, grids, strict=True))
    count = 3 + 6 + 10
    some, present = LAYOUT.tokens(sequence[:count]), LAYOUT.present(count)
    assert [int(there.sum()) for there in present] == [6, 10, 0, 0, 0]
    for found, whole, there in zip(some.grids, grids, present, strict=True):
        assert torch.equal(found, torch.where(there, whole[1:], 0))


@given(st.integers(0, LAYOUT.total))
@settings(derandomize=True, deadline=None, max_examples=30)
def test_every_prefix_comes_back_from_both_forms(count: int) -> None:
    packed, modelled = pack(LAYOUT, SEQUENCE, count), encode(SHARES, count)
    assert len(packed) == -(-packed_bits(LAYOUT, count) // 8)
    expected = SEQUENCE[:count].tolist()
    assert unpack(LAYOUT, packed, count).tolist() == expected
    assert decode(LAYOUT, MODEL, modelled, count).tolist() == expected


def test_the_bytes() -> None:
    assert pack(LAYOUT, SEQUENCE, 0) == b""
    # 11 words take 4 bits, 12 words too, 7 words 3
    values = SEQUENCE[:10].tolist()
    bits = "".join(f"{v:04b}" for v in values[:9]) + f"{values[9]:03b}" + "0"
    assert pack(LAYOUT, SEQUENCE, 10) == int(bits, 2).to_bytes(5, "big")
    assert pack(LAYOUT, SEQUENCE, 10).hex() == "852958372a"
    expected = "c5507705eebf7e4c19d02a0f9730ba623f9898f7d09fbeef8d7c386f8baf"
    assert encode(SHARES, 60).hex() == expected


def test_bytes_follow_from_the_costs() -> None:
    bits = float(SHARES.bits().sum())
    assert -8 < 8 * len(encode(SHARES, LAYOUT.total)) - bits < 16
    uniform = SHARES.bits()[:GLOBAL_TOKENS]
    assert uniform.tolist() == pytest.approx([math.log2(11)] * GLOBAL_TOKENS)


def test_likely_tokens_take_few_bytes() -> None:
    sequence = likeliest()
    likely = shares(LAYOUT, MODEL, sequence)
    assert len(encode(likely, LAYOUT.total)) < 0.7 * len(pack(LAYOUT, sequence, LAYOUT.total))
    assert decode(LAYOUT, MODEL, encode(likely, LAYOUT.total), LAYOUT.total).equal(sequence)


@pytest.mark.parametrize("room", [0, 1, 2, 3, 7, 20, 60, 119, 10**6])
def test_the_longest_prefix_is_the_longest(room: int) -> None:
    lengths = [len(encode(SHARES, count)) for count in range(LAYOUT.total + 1)]
    longest = max(count for count, length in enumerate(lengths) if length <= room)
    assert longest_prefix(SHARES, room) == longest
    fitting = [n for n in range(LAYOUT.total + 1) if packed_bits(LAYOUT, n) <= 8 * room]
    assert longest_packed(LAYOUT, room) == max(fitting)


def test_tokens_that_are_nearly_free_are_found() -> None:
    count = 5000
    ones = torch.ones(count, dtype=torch.int64)
    cheap = Shares(0 * ones, 65535 * ones, 65536 * ones)
    assert longest_prefix(cheap, 0) == count
    mixed = Shares(
        torch.cat([0 * ones, 7 * ones]),
        torch.cat([65535 * ones, ones]),
        torch.cat([65536 * ones, 256 * ones]),
    )
    longest = longest_prefix(mixed, 40)
    assert len(encode(mixed, longest)) <= 40 < len(encode(mixed, longest + 1))


@pytest.mark.parametrize("kept", [0, 1, 5, 30, 90])
def test_what_a_cut_payload_gives_is_certain(kept: int) -> None:
    packed, modelled = pack(LAYOUT, SEQUENCE, LAYOUT.total), encode(SHARES, LAYOUT.total)
    found = unpack(LAYOUT, packed[:kept], LAYOUT.total, truncated=True)
    assert len(found) == longest_packed(LAYOUT, kept)
    assert torch.equal(found, SEQUENCE[: len(found)])
    found = decode(LAYOUT, MODEL, modelled[:kept], LAYOUT.total, truncated=True)
    assert torch.equal(found, SEQUENCE[: len(found)])
    # the coder looks no further ahead than some bytes
    costs = SHARES.bits().cumsum(0)
    assert len(found) >= int((costs < 8 * kept - 32).sum())


@pytest.mark.parametrize("count", [-1, LAYOUT.total + 1, 2**62])
def test_counts_that_cannot_be_are_refused(count: int) -> None:
    for truncated in (False, True):
        with pytest.raises(OSError, match=f"at most {LAYOUT.total} tokens, not {count}"):
            unpack(LAYOUT, b"", count, truncated=truncated)
        with pytest.raises(OSError, match=f"at most {LAYOUT.total} tokens, not {count}"):
            decode(LAYOUT, MODEL, b"", count, truncated=truncated)


def test_packed_bytes_of_another_length_are_refused() -> None:
    payload = pack(LAYOUT, SEQUENCE, 100)
    for wrong in (payload[:-1], payload + b"\0", b""):
        with pytest.raises(OSError, match="the file is damaged"):
            unpack(LAYOUT, wrong, 100)
    with pytest.raises(OSError, match="the file is damaged"):
        unpack(LAYOUT, payload + b"\0", 100, truncated=True)


def test_packed_bits_that_no_encoder_wrote_are_refused() -> None:
    payload = pack(LAYOUT, SEQUENCE, 10)
    with pytest.raises(OSError, match="bits behind the last token are not 0"):
        unpack(LAYOUT, payload[:-1] + bytes([payload[-1] | 1]), 10)
    for truncated in (False, True):
        with pytest.raises(OSError, match="a token is below 11, not 15"):
            unpack(LAYOUT, b"\xff" * 5, 10, truncated=truncated)


def test_a_payload_that_ends_too_early_is_refused() -> None:
    # the coder leaves zeros at the end out, so no bytes at all are a payload
    assert len(decode(LAYOUT, MODEL, b"", LAYOUT.total)) == LAYOUT.total
    with pytest.raises(OSError, match="the payload ends before its tokens"):
        decode(LAYOUT, MODEL, encode(SHARES, LAYOUT.total)[:20] + b"\xff", LAYOUT.total)


@given(st.binary(max_size=150), st.integers(0, LAYOUT.total), st.booleans())
@settings(derandomize=True, deadline=None, max_examples=60)
def test_any_bytes_give_tokens_or_an_error_of_the_file(
    payload: bytes, count: int, truncated: bool
) -> None:
    limits = np.repeat(*np.array(LAYOUT.runs(LAYOUT.total)).T[::-1])
    for read in (
        partial(unpack, LAYOUT, payload, count, truncated=truncated),
        partial(decode, LAYOUT, MODEL, payload, count, truncated=truncated),
    ):
        try:
            found = read()
        except OSError:
            continue
        assert len(found) <= count
        assert truncated or len(found) == count
        assert (found.numpy() < limits[: len(found)]).all()
        assert (found.numpy() >= 0).all()


def test_parts_do_not_change_the_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = encode(SHARES, LAYOUT.total)
    monkeypatch.setattr("diffc.codecs.perco.coding._ENTRIES", 3 * max(VOCABULARIES))
    assert encode(shares(LAYOUT, MODEL, SEQUENCE), LAYOUT.total) == whole
    assert torch.equal(decode(LAYOUT, MODEL, whole, LAYOUT.total), SEQUENCE)


@pytest.mark.parametrize("rows", [1, 2, 3])
@pytest.mark.parametrize("columns", [1, 5])
def test_small_pictures_round_trip(rows: int, columns: int) -> None:
    sizes = tuple((rows * s, columns * s) for s in (1, 2, 4, 4, 4))
    layout = TokenLayout(sizes, VOCABULARIES, 11)
    sequence = draw(layout, seed=3)
    payload = encode(shares(layout, MODEL, sequence), layout.total)
    assert torch.equal(decode(layout, MODEL, payload, layout.total), sequence)
