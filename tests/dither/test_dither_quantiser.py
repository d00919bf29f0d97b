"""Universal quantisation against its theory, and the coding of its integers."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
import torch

from diffc.codecs.dither.bitstream import ALL_CHANNELS, NO_CHANNELS
from diffc.codecs.dither.coding import SymbolModel, decode_planes
from diffc.codecs.dither.prediction import UNIT
from diffc.codecs.dither.quantiser import Latent, dequantise, quantise, shared_dither
from diffc.entropy.range_coder import RangeEncoder


def correlated(shape: tuple[int, int, int], seed: int = 0) -> Latent:
    """Draw channels of falling strength, each smooth in space."""
    noise = np.random.default_rng(seed).standard_normal(shape)
    smooth = noise + np.roll(noise, 1, 1) + np.roll(noise, 1, 2)
    strengths = 6 / np.arange(1, shape[0] + 1)
    return (smooth * strengths[:, None, None]).astype(np.float32)


def payload_of(latent: Latent, dither: np.ndarray, price: float, components: bool) -> bytes:
    encoder, model = RangeEncoder(), SymbolModel()
    for plane in quantise(latent, dither, components=components, price=price).symbols:
        model.encode_plane(encoder, plane)
    return encoder.finish()


@pytest.mark.parametrize("strength", [0.0, 0.2, 3.0])
def test_the_dithered_error_is_uniform_and_independent_of_the_latent(strength: float) -> None:
    step = 0.7
    shape = (4, 150, 150)
    latent = strength * np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    dither = shared_dither(0, shape, ALL_CHANNELS)
    made = quantise(latent / np.float32(step), dither, components=False, price=0)
    error = (dequantise(made.integers, dither, step) - latent).ravel()
    count = error.size
    assert np.abs(error).max() <= step / 2 + 1e-4
    # Kolmogorov and Smirnov's distance to the uniform distribution, at a level of 1e-6
    ranks = np.sort(error) / step + 0.5
    distance = np.abs(ranks - (np.arange(count) + 0.5) / count).max()
    assert distance < 2.7 / math.sqrt(count)
    assert abs(float(error.var()) / (step**2 / 12) - 1) < 0.02
    if strength:
        for part in (latent.ravel(), np.abs(latent.ravel())):
            assert abs(np.corrcoef(error, part)[0, 1]) < 5 / math.sqrt(count)
            assert abs(np.corrcoef(error**2, part)[0, 1]) < 5 / math.sqrt(count)


def test_without_dither_the_error_depends_on_the_latent() -> None:
    """The test above can fail: plain rounding of weak channels fails it."""
    shape = (4, 150, 150)
    latent = 0.2 * np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    dither = shared_dither(0, shape, NO_CHANNELS)
    made = quantise(latent, dither, components=False, price=0)
    error = dequantise(made.integers, dither, 1.0) - latent
    assert abs(np.corrcoef(error.ravel(), latent.ravel())[0, 1]) > 0.5


@pytest.mark.parametrize("step", [0.5, 1.0])
def test_the_rate_is_that_of_the_channel_with_uniform_noise(step: float) -> None:
    """Entropy-coded dithered quantisation costs I(z; z + u) (Zamir and Feder 1992)."""
    shape = (12, 96, 96)
    # planes without structure in space, of one strength: what contexts can find is known
    latent = np.random.default_rng(2).laplace(size=shape).astype(np.float32)
    dither = shared_dither(3, shape, ALL_CHANNELS)
    dither[0] = dither[1]
    rate = 8 * len(payload_of(latent / np.float32(step), dither, 0, components=True)) / latent.size
    grid = np.linspace(-40, 40, 400_001)
    density = np.diff(np.where(grid < 0, np.exp(np.minimum(grid, 0)) / 2, 1 - np.exp(-grid) / 2))
    width = round(step / (grid[1] - grid[0]))
    output = np.convolve(density, np.full(width, 1 / step), mode="same")
    inside = output[output > 0]
    information = -float((inside * np.log2(inside)).sum() * (grid[1] - grid[0])) - math.log2(step)
    assert information < rate < 1.1 * information + 0.02


@pytest.mark.parametrize("shape", [(1, 1, 1), (5, 1, 7), (3, 9, 1), (24, 6, 10), (130, 3, 4)])
@pytest.mark.parametrize("components", [True, False])
@pytest.mark.parametrize("dithered", [NO_CHANNELS, 0b10011, ALL_CHANNELS])
def test_integers_come_back(shape: tuple[int, int, int], components: bool, dithered: int) -> None:
    latent = correlated(shape)
    dither = shared_dither(7, shape, dithered)
    made = quantise(latent, dither, components=components, price=0.05)
    payload = payload_of(latent, dither, 0.05, components)
    back = np.stack(list(decode_planes(payload, dither, components=components)))
    assert np.array_equal(back, made.integers)


def test_huge_coefficients_come_back() -> None:
    latent = correlated((8, 12, 12)) * np.float32(1000)
    dither = shared_dither(0, latent.shape, ALL_CHANNELS)
    payload = payload_of(latent, dither, 0, components=True)
    back = np.stack(list(decode_planes(payload, dither, components=True)))
    assert np.abs(dequantise(back, dither, 1.0) - latent).max() < 0.51


def test_a_price_saves_bytes_and_zero_rounds_to_the_nearest() -> None:
    latent = correlated((32, 24, 24))
    dither = shared_dither(0, latent.shape, NO_CHANNELS)
    nearest = quantise(latent, dither, components=True, price=0)
    assert np.array_equal(nearest.integers, np.rint(latent))
    lengths = [len(payload_of(latent, dither, price, True)) for price in (0, 0.03, 0.1, 0.3)]
    assert lengths == sorted(lengths, reverse=True)
    assert lengths[-1] < 0.8 * lengths[0]


def test_what_weighs_nothing_costs_nothing() -> None:
    latent = correlated((40, 24, 24)) * np.float32(20)
    dither = shared_dither(0, latent.shape, NO_CHANNELS)
    weights = np.ones(latent.shape[1:], dtype=np.float32)
    weights[:, 12:] = 0
    whole = quantise(latent, dither, components=True, price=0.1)
    made = quantise(latent, dither, components=True, price=0.1, weights=weights)
    # of channels without prediction nothing is left there
    assert whole.integers[21:, :, 12:].any()
    assert not made.integers[21:, :, 12:].any()
    assert made.integers[21:, :, :12].any()
    assert made.bits < 0.7 * whole.bits


def test_dither_is_within_half_a_step_and_depends_on_the_seed() -> None:
    first = shared_dither(0, (20, 8, 8), ALL_CHANNELS)
    assert -UNIT // 2 <= first.min() < first.max() < UNIT // 2
    assert not np.array_equal(first, shared_dither(1, (20, 8, 8), ALL_CHANNELS))
    # a channel's dither is its own, whichever others have any
    some = shared_dither(0, (20, 8, 8), 0b100)
    assert np.array_equal(some[2], first[2])
    assert not some[[0, 1, 3, 19]].any()


@pytest.mark.parametrize("seed", range(4))
def test_any_bytes_decode_or_end_soon(seed: int) -> None:
    payload = random.Random(seed).randbytes(60)
    dither = shared_dither(0, (128, 40, 40), ALL_CHANNELS)
    with pytest.raises(ValueError, match="ends before its planes"):
        list(decode_planes(payload, dither, components=True))


def test_a_prefix_gives_the_planes_that_it_decides() -> None:
    latent = correlated((16, 20, 20))
    dither = shared_dither(0, latent.shape, 0b1)
    made = quantise(latent, dither, components=True, price=0.05)
    payload = payload_of(latent, dither, 0.05, True)
    counts = []
    for length in range(0, len(payload), 37):
        planes = list(decode_planes(payload[:length], dither, components=True, truncated=True))
        counts.append(len(planes))
        assert all(np.array_equal(a, b) for a, b in zip(planes, made.integers, strict=False))
    assert counts == sorted(counts)
    assert counts[-1] >= 8
    assert torch.tensor(counts).unique().numel() > 5
