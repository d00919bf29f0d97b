"""The index model: what it knows of a token, its exact integers, and how it is trained."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from index_weights import CODE, VOCABULARIES, index_weights
from safetensors.torch import save_file
from torch import Tensor

from diffc.codecs.perco.index_contexts import (
    STAGES,
    KnownTokens,
    Part,
    neighbours,
    parts,
    slots,
    stage_sizes,
)
from diffc.codecs.perco.index_model import LARGEST, SHIFT, IndexModel
from diffc.codecs.perco.integer_frequencies import STEP, TOTAL, cumulative
from diffc.codecs.perco.sequence import coding_order
from diffc.codecs.perco.tokeniser import TokenConfig, TokenNetwork
from diffc.codecs.perco.training_index import WEIGHTS, IndexStage, write_index_model
from diffc.codecs.perco.training_index_network import IndexConfig, IndexNetwork
from diffc.codecs.shared.latents.patch_transform import PatchTransform
from diffc.codecs.training.loop import LoopSettings, train
from diffc.codecs.training.photos import Crops

SIZES = ((3, 2), (6, 4), (12, 8), (12, 8), (12, 8))


def random_grids(generator: torch.Generator) -> list[Tensor]:
    return [
        torch.randint(words, size, generator=generator)
        for size, words in zip(SIZES, VOCABULARIES, strict=True)
    ]


def product(rows: list[int], matrix: list[list[int]]) -> list[int]:
    return [
        sum(x * w for x, w in zip(rows, column, strict=True))
        for column in zip(*matrix, strict=True)
    ]


def scores_in_python(
    weights: dict[str, Tensor], context: list[int], grid: int, stage: int
) -> list[int]:
    """What `IndexModel.scores` says of one token, in Python's integers."""
    w = {name: value.tolist() for name, value in weights.items()}
    inputs = [0] * (slots(grid) * CODE)
    for token, each in zip(context, neighbours(grid, stage), strict=True):
        if token < VOCABULARIES[each.grid]:
            for k in range(CODE):
                inputs[each.slot * CODE + k] += w[f"codes.{each.grid}"][token][k]

    def shifted(sums: list[int]) -> list[int]:
        return [(2 * total + (1 << SHIFT)) >> SHIFT + 1 for total in sums]

    sums = product(inputs, w[f"enter.{grid}"])
    sums = [s + b for s, b in zip(sums, w[f"enter_bias.{grid}"][stage], strict=True)]
    features = [min(max(x, 0), LARGEST) for x in shifted(sums)]
    sums = product(features, w[f"middle.{grid}"])
    sums = [s + b for s, b in zip(sums, w[f"middle_bias.{grid}"], strict=True)]
    vector = [min(max(x, -LARGEST), LARGEST) for x in shifted(sums)]
    words = [a + b for a, b in zip(w[f"codes.{grid}"], w[f"extra.{grid}"], strict=True)]
    found = shifted([sum(x * c for x, c in zip(vector, word, strict=True)) for word in words])
    return [s + b for s, b in zip(found, w[f"bias.{grid}"], strict=True)]


def cumulative_in_python(scores: list[int]) -> list[int]:
    roots = []
    for i in range(STEP):
        # the largest whole number whose STEP-th power is not above 2**(24 STEP - i)
        low, high = 0, 1 << 25
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if middle**STEP <= 1 << 24 * STEP - i else (low, middle)
        roots.append(low)
    below = [max(scores) - s for s in scores]
    shares = [roots[b % STEP] >> b // STEP for b in below]
    sums = list(itertools.accumulate(shares, initial=0))
    return [s * (TOTAL - len(scores)) // sums[-1] + v for v, s in enumerate(sums)]


@pytest.mark.parametrize("largest", [9, 127])
def test_frequencies_are_those_of_plain_integers(largest: int) -> None:
    generator = torch.Generator().manual_seed(largest)
    weights = index_weights(largest, largest=largest)
    model = IndexModel(weights, VOCABULARIES)
    for grid, stage in itertools.product(range(len(VOCABULARIES)), range(STAGES)):
        limits = [VOCABULARIES[each.grid] + 1 for each in neighbours(grid, stage)]
        columns = [torch.randint(limit, (3,), generator=generator) for limit in limits]
        contexts = torch.stack(columns, 1) if columns else torch.zeros(3, 0, dtype=torch.int64)
        found = model.scores(contexts, grid, stage)
        expected = [scores_in_python(weights, row, grid, stage) for row in contexts.tolist()]
        assert found.tolist() == expected
        rows = model.cumulative(contexts, grid, stage).tolist()
        assert rows == [cumulative_in_python(row) for row in expected]


@pytest.mark.parametrize("sign", [-1, 1])
def test_the_largest_sums_are_exact(sign: int) -> None:
    weights = {
        name: torch.full_like(value, sign * torch.iinfo(value.dtype).max)
        for name, value in index_weights(0).items()
    }
    model = IndexModel(weights, VOCABULARIES)
    for grid in range(len(VOCABULARIES)):
        context = [0] * len(neighbours(grid, 6))
        found = model.scores(torch.tensor([context]), grid, 6)[0].tolist()
        assert found == scores_in_python(weights, context, grid, 6)


@given(
    st.lists(st.integers(-40_000, 40_000), min_size=1, max_size=60),
    st.integers(-(10**6), 10**6),
)
@settings(derandomize=True, deadline=None, max_examples=60)
def test_every_word_has_a_share(scores: list[int], more: int) -> None:
    rows = cumulative(torch.tensor([scores, [s + more for s in scores]]))
    assert rows[0].tolist() == rows[1].tolist() == cumulative_in_python(scores)
    shares = rows[0].diff()
    assert int(rows[0, 0]) == 0
    assert int(rows[0, -1]) == TOTAL
    assert int(shares.min()) >= 1
    exact = torch.tensor(scores, dtype=torch.float64).mul(math.log(2) / STEP).softmax(0)
    expected = exact * (TOTAL - len(scores)) + 1
    assert float((shares - expected).abs().max()) < 1.1


def test_many_words_of_equal_score_have_equal_shares() -> None:
    shares = cumulative(torch.full((1, 4096), 7))[0].diff()
    assert set(shares.tolist()) == {16}


@pytest.mark.parametrize("size", [(1, 1), (1, 6), (5, 1), (6, 9), (12, 8)])
def test_parts_go_through_a_grid_in_coding_order(size: tuple[int, int]) -> None:
    assert sum(stage_sizes(*size)) == math.prod(size)
    for largest in (1, 5, 1000):
        found = list(parts([size, size], [7, 7], 7 * largest + 6))
        positions = torch.cat([part.positions for part in found if part.grid == 1])
        assert torch.equal(positions, coding_order(*size))
        assert max(len(part.positions) for part in found) <= largest
        assert [(part.grid, part.stage) for part in found] == sorted(
            (part.grid, part.stage) for part in found
        )


def test_contexts_hold_only_what_is_coded_before() -> None:
    """The same contexts with everything known, and with nothing known that comes later."""
    grids = random_grids(torch.Generator().manual_seed(1))
    all_known, so_far = KnownTokens(SIZES, VOCABULARIES), KnownTokens(SIZES, VOCABULARIES)
    for part in parts(SIZES, VOCABULARIES, 10**6):
        all_known.put(part, grids[part.grid].flatten()[part.positions])
    for part in parts(SIZES, VOCABULARIES, 10**6):
        assert torch.equal(all_known.contexts(part), so_far.contexts(part))
        so_far.put(part, grids[part.grid].flatten()[part.positions])


def test_contexts_are_the_tokens_around() -> None:
    grids = random_grids(torch.Generator().manual_seed(2))
    known = KnownTokens(SIZES, VOCABULARIES)
    for part in parts(SIZES, VOCABULARIES, 10**6):
        known.put(part, grids[part.grid].flatten()[part.positions])
    for grid, stage in ((0, 6), (1, 5), (2, 3), (4, 6), (4, 1)):
        for part in (
            p for p in parts(SIZES, VOCABULARIES, 10**6) if (p.grid, p.stage) == (grid, stage)
        ):
            found = known.contexts(part).tolist()
            for position, row in zip(part.positions.tolist(), found, strict=True):
                r, c = divmod(position, SIZES[grid][1])
                for token, each in zip(row, neighbours(grid, stage), strict=True):
                    scale = SIZES[grid][0] // SIZES[each.grid][0]
                    down, right = each.down, each.right
                    if scale == 2:
                        # towards the nearest edge of the coarser token
                        down *= 1 if r % 2 else -1
                        right *= 1 if c % 2 else -1
                    y, x = r // scale + down, c // scale + right
                    rows, columns = SIZES[each.grid]
                    inside = 0 <= y < rows and 0 <= x < columns
                    expected = int(grids[each.grid][y, x]) if inside else VOCABULARIES[each.grid]
                    assert token == expected


def test_every_input_is_used_by_some_stage() -> None:
    for grid in range(6):
        used = {each.slot for stage in range(STAGES) for each in neighbours(grid, stage)}
        assert used == set(range(slots(grid)))


def test_some_of_a_stage_may_be_known() -> None:
    known = KnownTokens(SIZES, VOCABULARIES)
    known.put(Part(0, 0, torch.tensor([0, 4])), torch.tensor([9]))
    found = known.contexts(Part(1, 0, torch.tensor([0, 2, 3])))
    assert found[0, 0] == 9
    assert found[1:, 0].tolist() == [VOCABULARIES[0]] * 2


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("codes.0", lambda value: value[:-1]),
        ("codes.0", lambda value: value.reshape(-1)),
        ("codes.3", lambda value: value.to(torch.int16)),
        ("enter.2", lambda value: value.T.contiguous()),
        ("enter_bias.4", lambda value: value.to(torch.int8)),
        ("extra.1", lambda value: value[:, :-1]),
        ("enter.0", lambda value: None),
        ("bias.4", lambda value: None),
        ("enter.0", lambda value: torch.tensor(3)),
        ("more", lambda value: torch.zeros(1)),
    ],
)
def test_weights_of_another_form_are_refused(name: str, change: object, tmp_path: Path) -> None:
    assert callable(change)
    weights = index_weights(0)
    changed = change(weights.get(name, torch.zeros(1)))
    weights.pop(name, None)
    if changed is not None:
        weights[name] = changed.contiguous()
    save_file(weights, tmp_path / WEIGHTS)
    with pytest.raises(ValueError, match=r"fetch (it|the model) anew"):
        IndexModel.load(tmp_path / WEIGHTS, VOCABULARIES)


def test_too_many_words_are_refused() -> None:
    vocabularies = (5000, *VOCABULARIES[1:])
    weights = index_weights(0, vocabularies)
    with pytest.raises(ValueError, match="at most 4096 words"):
        IndexModel(weights, vocabularies)


TOKENS = TokenConfig(
    channels=6,
    fine_width=8,
    width=8,
    global_words=4,
    coarse_words=12,
    middle_words=6,
    fine_words=5,
    fine_grids=3,
    global_length=2,
    coarse_length=4,
    middle_length=1,
    fine_length=3,
    embedding=4,
)
SMALL = IndexConfig(code=3, hidden=8, coarse_vector=5, vector=6)


def stage(seed: int = 0) -> IndexStage:
    torch.manual_seed(seed)
    transform = PatchTransform(TOKENS.channels)
    torch.nn.init.normal_(transform.basis, std=0.1)
    pictures = [(torch.rand(3, 10, 10) * 255).repeat_interleave(20, 1) for _ in range(2)]
    pictures = [each.repeat_interleave(20, 2).to(torch.uint8) for each in pictures]
    return IndexStage(
        transform,
        torch.ones(TOKENS.channels),
        TokenNetwork(TOKENS),
        Crops(pictures, 192, torch.Generator().manual_seed(seed)),
        config=SMALL,
        batch=64,
        learning_rate=1e-2,
        device="cpu",
        warm=3,
        capacity=500,
    )


def test_what_is_trained_is_what_is_written(tmp_path: Path) -> None:
    """The network's scores are those of the integer model, exactly."""
    made = stage()
    network = made.learners["index"].module
    assert isinstance(network, IndexNetwork)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape))
    write_index_model(tmp_path, network)
    model = IndexModel.load(tmp_path / WEIGHTS, TOKENS.vocabularies)
    for grid, pools in enumerate(made.pools):
        for number, pool in enumerate(pools):
            contexts, _ = pool.draw(20, torch.Generator().manual_seed(0))
            with torch.no_grad():
                found = network(contexts, grid, number) * STEP
            assert found.tolist() == model.scores(contexts, grid, number).tolist()


def test_training_beats_the_words_frequencies_and_goes_on_where_it_stopped(tmp_path: Path) -> None:
    made = stage()
    assert train(made, tmp_path, LoopSettings(steps=30, warmup=5, log_every=10))
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    first, last = rows[0], rows[-1]
    grids = range(len(TOKENS.vocabularies))
    assert sum(last[f"bits{i}"] for i in grids) < sum(first[f"bits{i}"] for i in grids)
    assert sum(last[f"bits{i}"] for i in grids) < 0.97 * sum(last[f"plain{i}"] for i in grids)
    again = stage()
    assert train(again, tmp_path, LoopSettings(steps=30))
    for name, value in made.learners["index"].averaged.state_dict().items():
        assert torch.equal(again.learners["index"].averaged.state_dict()[name], value)
