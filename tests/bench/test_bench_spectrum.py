"""The spectrum of detail: a second implementation, and pictures whose spectra are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from diffc.bench.measures.spectrum import AXES, BANDS, EXCESS, band_name, spectrum

Array = NDArray[np.float64]


def picture(values: Array) -> Image.Image:
    """Return a grey picture of levels."""
    return Image.fromarray(values.round().clip(0, 255).astype(np.uint8)).convert("RGB")


def noise(seed: int, deviation: float = 30, size: tuple[int, int] = (150, 200)) -> Array:
    return np.random.default_rng(seed).normal(128, deviation, size)


def power(image: Image.Image, u: int, v: int) -> float:
    """Return the power at u cycles a window along columns and v along rows, by sums of waves."""
    y = np.asarray(image, float) @ np.array([0.299, 0.587, 0.114])
    place = np.arange(48)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * place / 48)
    window = np.outer(hann, hann)
    wave = np.exp(-2j * np.pi * (u * place[:, None] + v * place[None]) / 48) * window
    found = [
        abs((y[top : top + 48, left : left + 48] * wave).sum()) ** 2
        for top in range(0, y.shape[0] - 47, 24)
        for left in range(0, y.shape[1] - 47, 24)
    ]
    return float(np.mean(found)) + (window**2).sum() / 12


def places(octave: tuple[float, float], angle: float, width: float) -> list[tuple[int, int]]:
    """Return the frequencies whose radius in cycles a pixel and direction are in a range."""
    found = []
    for u in range(-24, 24):
        for v in range(-24, 24):
            away = (math.degrees(math.atan2(u, v)) - angle + 90) % 180 - 90
            if octave[0] <= math.hypot(u, v) / 48 < octave[1] and abs(away) < width:
                found.append((u, v))
    return found


def ratio(first: Image.Image, second: Image.Image, where: list[tuple[int, int]]) -> float:
    assert where
    return sum(power(second, *each) for each in where) / sum(power(first, *each) for each in where)


def test_a_second_implementation_agrees() -> None:
    rng = np.random.default_rng(5)
    first = Image.fromarray(rng.integers(0, 256, (75, 99, 3), np.uint8))
    second = Image.fromarray((np.asarray(first) * np.array([0.9, 0.5, 0.7])).astype(np.uint8))
    second.paste(second.reduce(2).resize((50, 60)), (3, 7))
    found = spectrum(first, second)
    bands = np.zeros((4, 4))
    for row, octave in enumerate((1 / 32, 1 / 16, 1 / 8, 1 / 4)):
        for column, angle in enumerate((0, 45, 90, 135)):
            bands[row, column] = ratio(first, second, places((octave, 2 * octave), angle, 22.5))
    np.testing.assert_allclose([found[name] for name in BANDS], bands.ravel(), rtol=1e-9)
    neighbours = [
        max(a / b, b / a)
        for row in range(4)
        for column in range(4)
        for a, b in [
            (bands[row, column], bands[min(row + 1, 3), column]),
            (bands[row, column], bands[row, (column + 1) % 4]),
        ]
    ]
    assert found[EXCESS] == pytest.approx(max(neighbours), rel=1e-9)
    rings = []
    for ring in range(8, 20):
        radii = ((ring - 0.5) / 48, (ring + 0.5) / 48)
        axes, diagonals = (
            [place for angle in angles for place in places(radii, angle, 12)]
            for angles in ((0, 90), (45, 135))
        )
        rings.append(ratio(first, second, axes) / ratio(first, second, diagonals))
    assert found[AXES] == pytest.approx(max(rings), rel=1e-9)


def test_equal_pictures_have_equal_power() -> None:
    for image in (picture(noise(1)), Image.new("RGB", (48, 48), (9, 9, 9))):
        assert set(spectrum(image, image).values()) == {1.0}


def test_detail_of_half_the_height_has_a_quarter_of_the_power() -> None:
    values = noise(2)
    found = spectrum(picture(values), picture(128 + (values - 128) / 2))
    assert [found[name] for name in BANDS] == pytest.approx([0.25] * 16, rel=0.02)
    assert found[EXCESS] == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize(
    ("along", "direction"),
    [((0, 1), "rows"), ((1, 0), "columns"), ((1, 1), "diagonal"), ((1, -1), "other diagonal")],
)
def test_a_mesh_shows_in_its_octave_and_direction(along: tuple[int, int], direction: str) -> None:
    values = noise(3)
    rows, columns = np.indices(values.shape)
    frequency = 0.3 / math.hypot(*along)
    wave = np.cos(2 * np.pi * frequency * (along[0] * rows + along[1] * columns))
    found = spectrum(picture(values), picture(values + 20 * wave))
    assert max(BANDS, key=found.__getitem__) == band_name("1/4", direction)
    others = [name for name in BANDS if name != band_name("1/4", direction)]
    assert all(found[name] < 1.1 for name in others)
    assert found[EXCESS] > 1.5
    if direction in ("rows", "columns"):
        assert found[AXES] > 3
    else:
        assert found[AXES] < 1.5


def test_missing_texture_shows() -> None:
    values = noise(4)
    blurred = sum(np.roll(values, (i, j), (0, 1)) for i in (0, 1) for j in (0, 1)) / 4
    found = spectrum(picture(values), picture(blurred))
    assert found[band_name("1/32", "rows")] > 0.9
    assert found[band_name("1/4", "diagonal")] < 0.4
    assert found[EXCESS] > 1.5


def test_a_flat_original_bounds_what_is_added() -> None:
    flat = Image.new("RGB", (96, 96), (128, 128, 128))
    found = spectrum(flat, picture(noise(6, 2, (96, 96))))
    # variance 4 beside that of rounding, 1/12
    assert found[band_name("1/4", "rows")] == pytest.approx(1 + 12 * (4 + 1 / 12), rel=0.2)
