"""Reverse channel coding against its theory: draws, rates, indices, and what a stream may hold."""

from __future__ import annotations

import math
import random

import pytest
import torch

from diffc.codecs.posterior.candidates import KINDS, Candidates, chunk_numbers
from diffc.codecs.posterior.indices import ZipfModel
from diffc.codecs.posterior.noise import choose_symbols, noise_of
from diffc.codecs.posterior.plans import LEVELS, level_of, plan_of
from diffc.codecs.posterior.stream import LevelModel
from diffc.codecs.posterior.walk import Walk, entropies, levels_of
from diffc.codecs.shared.diffusion.samplers import ancestral_weights
from diffc.codecs.shared.diffusion.schedules import sigma_table
from diffc.codecs.shared.latents.walk import grid_of
from diffc.entropy.range_coder import RangeDecoder, RangeEncoder

SIGMAS = sigma_table(smallest=0.05, largest=60.0, count=1000, warp=0.7)


@pytest.mark.parametrize(
    ("kind", "count", "length"), [("hadamard", 1500, 512), ("gaussian", 200, 8)]
)
def test_chosen_candidates_are_draws_from_the_posterior(kind: str, count: int, length: int) -> None:
    """Mean and variance of the noise that was chosen for a known shift."""
    candidates = Candidates(kind, 5, "cpu")
    generator = torch.Generator().manual_seed(1)
    direction = torch.randn(length, generator=generator)
    direction /= direction.norm()
    # 4 bits of relative entropy, and many more candidates than it takes
    size = math.sqrt(2 * math.log(2) * 4)
    chunks = chunk_numbers(torch.arange(count), 1)
    wanted = (size * direction).expand(count, length).contiguous()
    made = candidates.make(0, chunks, length, candidates.choose(0, chunks, wanted, 11))
    along = made @ direction
    assert abs(float(along.mean()) - size) < 5 / math.sqrt(count)
    assert abs(float(along.var()) - 1) < 5 * math.sqrt(2 / count)
    # across the shift they are what they were
    across = made - along[:, None] * direction
    assert float(across.mean(0).abs().max()) < 5.5 / math.sqrt(count)
    assert abs(float(across.square().sum(1).mean()) / (length - 1) - 1) < 0.08
    # and without a shift, what anybody would draw
    nothing = candidates.choose(1, chunks, torch.zeros(count, length), 6)
    free = candidates.make(1, chunks, length, nothing) @ direction
    assert abs(float(free.mean())) < 5 / math.sqrt(count)
    assert abs(float(free.square().mean()) - 1) < 5 * math.sqrt(2 / count)


@pytest.mark.parametrize("kind", KINDS)
def test_products_are_those_of_the_candidates_made(kind: str) -> None:
    candidates = Candidates(kind, 2, "cpu")
    chunks = chunk_numbers(torch.tensor([3, 900]), 2)
    wanted = torch.randn(4, 16)
    products = candidates.products(7, chunks, wanted, 7)
    assert products.shape == (4, 128)
    for index in range(0, 128, 9):
        made = candidates.make(7, chunks, 16, torch.full((4,), index))
        torch.testing.assert_close(products[:, index], (made * wanted).sum(1))


def test_hadamard_candidates_are_orthogonal_and_nearly_normal() -> None:
    candidates = Candidates("hadamard", 0, "cpu")
    length = 256
    chunks = torch.zeros(2 * length, dtype=torch.int64)
    words = candidates.make(0, chunks, length, torch.arange(2 * length))
    gram = words @ words.T / length
    assert torch.allclose(gram[::2, ::2], torch.eye(length), atol=1e-4)
    assert torch.allclose(words[::2], -words[1::2])
    many = candidates.make(0, torch.arange(500), length, torch.full((500,), 77))
    assert abs(float(many.double().pow(4).mean()) - 3) < 0.1


@pytest.mark.parametrize("entropy", [4.0, 8.0, 11.0])
def test_the_rate_is_the_relative_entropy_and_the_known_overhead(entropy: float) -> None:
    """Gaussian posterior: I + log2(I + 1) + 1 bits at most (Li and El Gamal's bound has + 4)."""
    count, length = 600, 1024
    candidates = Candidates("hadamard", 9, "cpu")
    generator = torch.Generator().manual_seed(3)
    wanted = torch.randn(count, length, generator=generator)
    wanted *= (2 * math.log(2) * entropy) ** 0.5 / wanted.norm(dim=1, keepdim=True)
    bits = round(entropy) + 3
    found = candidates.choose(0, chunk_numbers(torch.arange(count), 1), wanted, bits)
    encoder, model = RangeEncoder(), ZipfModel(bits, round(4 * entropy))
    for index in found.tolist():
        model.encode(encoder, index)
    rate = 8 * len(encoder.finish()) / count
    overhead = math.log2(entropy + 1) + 1
    assert entropy < rate < 1.15 * (entropy + overhead)
    assert rate < bits
    decoder = RangeDecoder(encoder.finish())
    assert [model.decode(decoder) for _ in range(count)] == found.tolist()


def test_gaussian_data_with_the_exact_denoiser_costs_its_rate() -> None:
    """A walk over white data of known variance: bits against the relative entropy, error against D(R)."""
    variance, shape = 4.0, (32, 16, 16)
    generator = torch.Generator().manual_seed(0)
    target = math.sqrt(variance) * torch.randn(1, *shape, generator=generator)

    def exact(x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        return x * (variance / (variance + sigma[:, None, None, None] ** 2))

    grid = grid_of(SIGMAS, 120)
    walk = Walk(
        exact,
        SIGMAS,
        shape,
        candidates=Candidates("hadamard", 0, "cpu"),
        most_bits=12,
        time=grid[0],
    )
    encoder, model = RangeEncoder(), LevelModel(walk.layout.grid, 12, walk.layout.length)
    nominal = overhead = 0.0
    while SIGMAS[walk.time] > 0.9 * math.sqrt(variance):
        x0hat = walk.denoise()
        time = grid[walk.steps + 1]
        shift = walk.shift(target - x0hat, time)
        symbols = walk.choose(shift, levels_of(shift))
        model.encode(encoder, symbols)
        nominal += sum(
            entropy
            for entropy, level in zip(entropies(shift), symbols.levels, strict=True)
            if level
        )
        for level in symbols.levels:
            if level:
                plan = plan_of(level, 12, walk.layout.length)
                share = plan.entropy / 4
                overhead += plan.chunks * (math.log2(share + 1) + 1)
        walk.take(x0hat, time, symbols)
    rate = 8 * len(encoder.finish())
    sigma = SIGMAS[walk.time]
    elements = target.numel()
    # what a Gaussian source costs when it is known to the error that this level leaves
    ideal = elements / 2 * math.log2(1 + variance / sigma**2)
    assert 0.9 * ideal < nominal < 1.3 * ideal
    assert 0.85 * nominal < rate < 1.15 * (nominal + overhead)
    error = float((walk.denoise() - target).square().mean())
    assert error < 1.35 * variance * sigma**2 / (variance + sigma**2)
    # the state is what the forward process would have: x0 and noise of the level
    noise = walk.z * math.hypot(1, sigma) - target
    assert abs(float(noise.square().mean()) / sigma**2 - 1) < 0.25


@pytest.mark.parametrize("bits", [1, 2, 3, 6, 12, 16])
@pytest.mark.parametrize("entropy", [1, 16, 60])
def test_indices_come_back(bits: int, entropy: int) -> None:
    chooser = random.Random(bits)
    indices = [0, (1 << bits) - 1, *(chooser.randrange(1 << bits) for _ in range(300))]
    encoder, model = RangeEncoder(), ZipfModel(bits, entropy)
    for index in indices:
        model.encode(encoder, index)
    decoder, again = RangeDecoder(encoder.finish()), ZipfModel(bits, entropy)
    assert [again.decode(decoder) for _ in indices] == indices


def test_levels_and_plans_are_what_files_say() -> None:
    assert [level_of(value) for value in (0, 3, 4, 8, 1e9)] == [0, 0, 1, 3, len(LEVELS)]
    assert all(level_of(value) == place for place, value in enumerate(LEVELS, 1))
    for length in (1, 4, 64, 2048):
        for most in (8, 12, 16):
            for level in range(1, len(LEVELS) + 1):
                plan = plan_of(level, most, length)
                assert length % plan.chunks == 0
                assert 1 <= plan.bits <= most
    assert plan_of(1, 12, 2048).chunks == 1
    assert plan_of(len(LEVELS), 12, 2048).chunks == 128


@pytest.mark.parametrize("grid", [(1, 1, 1), (4, 3, 5)])
def test_steps_come_back(grid: tuple[int, int, int]) -> None:
    blocks, length = math.prod(grid), 256
    generator = torch.Generator().manual_seed(0)
    candidates = Candidates("hadamard", 1, "cpu")
    encoder, model = RangeEncoder(), LevelModel(grid, 10, length)
    written = []
    for step in range(4):
        shift = torch.randn(blocks, length, generator=generator) * 0.3 * step
        written.append(choose_symbols(candidates, step, levels_of(shift), shift, 10))
        model.encode(encoder, written[-1])
    decoder, again = RangeDecoder(encoder.finish()), LevelModel(grid, 10, length)
    assert [again.decode(decoder) for _ in range(4)] == written
    first, second = (noise_of(candidates, 3, written[3], length, 10) for _ in range(2))
    assert torch.equal(first, second)
    assert 0.8 < float(first.square().mean()) < 1.2


def test_noise_is_keyed_by_step_and_block() -> None:
    candidates = Candidates("hadamard", 1, "cpu")
    made = [
        candidates.make(step, torch.tensor([chunk]), 64, torch.tensor([index]))
        for step, chunk, index in ((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 2), (0, 0, 128))
    ]
    for place, word in enumerate(made):
        assert all(not torch.equal(word, other) for other in made[place + 1 :])


def test_the_posterior_of_a_step_is_that_of_its_forward_process() -> None:
    """DDPM's mean and variance (Ho et al. 2020, equation 7), of which the shift is a difference."""
    sigma, following = 2.0, 1.2
    ab, ab_next = 1 / (1 + sigma**2), 1 / (1 + following**2)
    a = ab / ab_next
    weights = ancestral_weights(sigma, following)
    assert weights.denoised == pytest.approx(math.sqrt(ab_next) * (1 - a) / (1 - ab))
    assert weights.state == pytest.approx(math.sqrt(a) * (1 - ab_next) / (1 - ab))
    assert weights.noise**2 == pytest.approx((1 - a) * (1 - ab_next) / (1 - ab))
