"""Image tokens: their order, codebooks, networks, and the sampler under them."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from diffc.codecs.perco.control import ControlConfig, TokenControl
from diffc.codecs.perco.sequence import GROUPS, coding_order, coding_rank, group_sizes
from diffc.codecs.perco.tokeniser import TokenConfig, TokenNetwork, Tokens
from diffc.codecs.perco.training_codebooks import CodebookAverage
from diffc.codecs.shared.latents.denoiser import DenoiserConfig, LatentDenoiser
from diffc.codecs.shared.networks.blocks import to_device
from diffc.codecs.shared.tokens.vector_quantiser import nearest, words
from diffc.models.byte_weights import from_bytes, to_bytes

SMALL = TokenConfig(
    channels=6,
    fine_width=8,
    width=12,
    global_words=4,
    coarse_words=16,
    middle_words=8,
    fine_words=8,
    fine_grids=2,
    global_length=2,
    coarse_length=4,
    middle_length=3,
    fine_length=3,
    embedding=5,
)
DENOISER = DenoiserConfig(
    channels=6, width=8, inner_width=8, outer_blocks=1, inner_blocks=1, embedding=7
)


def test_the_order_of_a_square_is_bayers() -> None:
    # ranks of a 4x4 dither matrix, written out by hand
    expected = [[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]]
    assert coding_rank(4, 4).tolist() == expected


@given(rows=st.integers(1, 40), columns=st.integers(1, 40))
@settings(max_examples=60, deadline=None)
def test_every_position_comes_once_and_groups_follow_each_other(rows: int, columns: int) -> None:
    order = coding_order(rows, columns).tolist()
    assert sorted(order) == list(range(rows * columns))
    phases = [(p // columns % 2, p % columns % 2) for p in order]
    expected = [(0, 0)], [(1, 1)], [(0, 1)], [(1, 0)]
    sizes = group_sizes(rows, columns)
    assert len(sizes) == GROUPS
    for (phase,), end, size in zip(expected, itertools.accumulate(sizes), sizes, strict=True):
        assert set(phases[end - size : end]) <= {phase}


def test_a_prefix_is_spread_evenly() -> None:
    rank = coding_rank(16, 24)
    for count in (24, 96, 192):
        halves = [(rank[:8] < count).sum(), (rank[:, :12] < count).sum()]
        assert all(abs(int(half) - count // 2) <= 2 for half in halves)


def test_the_nearest_word_is_found_in_parts_and_comes_back() -> None:
    generator = torch.Generator().manual_seed(3)
    codebook = torch.randn(11, 4, generator=generator)
    vectors = torch.randn(2, 4, 130, 70, generator=generator)
    found = nearest(vectors, codebook)
    distances = torch.cdist(vectors.permute(0, 2, 3, 1).reshape(-1, 4), codebook)
    assert torch.equal(found.flatten(), distances.argmin(1))
    assert torch.equal(nearest(words(found, codebook), codebook), found)


def network() -> TokenNetwork:
    torch.manual_seed(5)
    made = TokenNetwork(SMALL)
    torch.nn.init.normal_(made.mean.weight)
    return made.eval()


def everywhere(tokens: Tokens, grids: int) -> list[Tensor]:
    return [torch.full(grid.shape, i < grids) for i, grid in enumerate(tokens.grids)]


def test_tokens_lie_on_grids_within_their_vocabularies() -> None:
    _, tokens = network().analyse(torch.randn(2, 6, 8, 12))
    assert [grid.shape[1:] for grid in tokens.grids] == [(2, 3), (4, 6), (8, 12), (8, 12)]
    assert tokens.of_picture.shape == (2, 3)
    for grid, size in zip(tokens.grids, SMALL.vocabularies, strict=True):
        assert 0 <= int(grid.min()) <= int(grid.max()) < size


def test_absent_tokens_say_nothing_and_present_ones_do() -> None:
    made = network()
    _, tokens = made.analyse(torch.randn(1, 6, 8, 12))
    other = Tokens(tokens.of_picture, tuple((grid + 1) % 8 for grid in tokens.grids))
    for grids in range(5):
        mixed = Tokens(tokens.of_picture, tokens.grids[:grids] + other.grids[grids:])
        first, second = (made.synthesise(t, everywhere(t, grids)).mean for t in (tokens, mixed))
        assert torch.equal(first, second)
        if grids:
            changed = made.synthesise(other, everywhere(other, grids)).mean
            assert not torch.allclose(first, changed, atol=1e-4)


def test_gradients_pass_the_quantisers() -> None:
    made = network()
    scaled = torch.randn(1, 6, 8, 8, requires_grad=True)
    vectors, tokens = made.analyse(scaled)
    condition = made.synthesise(tokens, everywhere(tokens, 4), vectors)
    condition.mean.square().sum().backward()
    assert scaled.grad is not None
    assert float(scaled.grad.abs().min()) > 0


def test_control_starts_at_zero_and_then_changes_the_estimate() -> None:
    torch.manual_seed(2)
    denoiser = LatentDenoiser(DENOISER).eval()
    torch.nn.init.normal_(denoiser.leave.weight)
    control = to_device(TokenControl(ControlConfig(8, 4, 1), SMALL, DENOISER), "cpu")
    x, sigma = torch.randn(2, 6, 8, 12), torch.tensor([0.5, 3.0])
    features, of_picture = torch.randn(2, 8, 8, 12), torch.randn(2, 5)
    plain = denoiser(x, sigma)
    assert torch.equal(denoiser(x, sigma, control=control(features, of_picture, sigma)), plain)
    for layer in (*control.additions, control.of_picture):
        torch.nn.init.normal_(layer.weight)
    changed = denoiser(x, sigma, control=control(features, of_picture, sigma))
    assert float((changed - plain).detach().abs().max()) > 1e-2
    # each picture of a batch has its own
    alone = denoiser(x[1:], sigma[1:], control=control(features[1:], of_picture[1:], sigma[1:]))
    assert torch.allclose(alone, changed[1:], atol=1e-5)


def test_a_codebook_follows_its_vectors_and_revives_dead_words() -> None:
    generator = torch.Generator().manual_seed(1)
    centres = torch.tensor([[4.0, 0], [0, 4], [-4, 0], [0, -4]])
    codebook = torch.nn.Parameter(100 + torch.randn(12, 2, generator=generator), False)
    average = CodebookAverage(codebook)
    used = 0.0
    for step in range(600):
        chosen = torch.randint(4, (64,), generator=generator)
        vectors = centres[chosen] + 0.1 * torch.randn(64, 2, generator=generator)
        indices = nearest(vectors[:, :, None, None], codebook)[:, 0, 0]
        used = average.update(codebook, vectors, indices, step, generator)
    distances = torch.cdist(centres, codebook.detach())
    # the words that were far from everything are where vectors are, and every vector has one near
    assert float(distances.amin(0).max()) < 0.5
    assert float(distances.amin(1).max()) < 0.5
    assert 4 < used <= 12


def test_weights_in_bytes_keep_their_values_to_a_level() -> None:
    torch.manual_seed(0)
    state = {"a.weight": torch.randn(5, 7, 3, 3), "a.bias": torch.randn(5), "b": torch.zeros(2, 2)}
    stored = to_bytes(state)
    assert stored["a.weight"].dtype == torch.int8
    found = from_bytes(stored)
    assert found.keys() == state.keys()
    largest = state["a.weight"].flatten(1).abs().amax(1)
    error = (found["a.weight"] - state["a.weight"]).flatten(1).abs().amax(1)
    assert bool((error <= 0.51 / 127 * largest + 1e-3 * largest).all())
    assert torch.equal(found["b"], state["b"])
    assert torch.equal(to_bytes(state, {"a.weight"})["a.weight"], state["a.weight"])
    with pytest.raises(ValueError, match="no scale for each of its rows"):
        from_bytes({"a.weight": stored["a.weight"]})
