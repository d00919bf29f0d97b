"""What the losses on local statistics count, on noise of known power."""

import pytest
import torch

from diffc.codecs.training.local_statistics import (
    DIRECTIONS,
    FREQUENCIES,
    band_distortion,
    band_kernels,
    band_power,
    feature_distortion,
)

LEVEL = 2 / 255


def noise(deviation: float, seed: int = 0) -> torch.Tensor:
    """Return grey noise (1, 3, 128, 128) of so many grey levels."""
    values = torch.randn(1, 1, 128, 128, generator=torch.Generator().manual_seed(seed))
    return (deviation * LEVEL * values).expand(-1, 3, -1, -1)


def distance(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    kernels = band_kernels("cpu")
    return float(band_distortion(band_power(ours, kernels), band_power(theirs, kernels)))


def test_white_noise_has_the_same_power_in_every_direction() -> None:
    power = band_power(noise(10), band_kernels("cpu"))[0].mean((0, 2, 3))
    by_frequency = power.reshape(len(FREQUENCIES), len(DIRECTIONS))
    # two filters of unit norm each
    assert by_frequency == pytest.approx(2 * (10 * LEVEL) ** 2, rel=0.1)


@pytest.mark.parametrize("deviation", [0.0, 2.0, 20.0])
def test_equal_pictures_have_no_distance(deviation: float) -> None:
    assert distance(noise(deviation), noise(deviation)) == 0


def test_other_noise_of_the_same_power_is_near() -> None:
    assert distance(noise(20, seed=1), noise(20)) < 0.2 * distance(noise(5, seed=1), noise(20))


def test_noise_that_nobody_sees_counts_little() -> None:
    assert distance(noise(0.2), noise(0)) < 0.1 * distance(noise(3), noise(0))


def test_grain_on_smooth_places_counts_more_than_its_lack() -> None:
    assert distance(noise(2), noise(0)) > 2.5 * distance(noise(0), noise(2))


def test_power_in_textures_counts_alike_both_ways() -> None:
    assert distance(noise(20), noise(40)) == pytest.approx(distance(noise(40), noise(20)), rel=0.3)


def test_features_are_compared_by_what_they_are_like() -> None:
    seeds = (torch.randn(1, 8, 32, 32, generator=torch.Generator().manual_seed(n)) for n in (0, 1))
    ours, theirs = seeds
    near = feature_distortion([ours], [theirs], [16])
    far = feature_distortion([0.2 * ours], [theirs], [16])
    assert float(near[0]) < 0.2 * float(far[0])
