"""The patch distance: known cases, the reference's numbers, pairs, and its error."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from diffc.bench.measures import patch_distance as module
from diffc.bench.measures.patch_distance import (
    paired_patch_distance,
    patch_distance,
    patch_features,
)
from diffc.bench.packages import load_package


def draw(seed: int, patches: int, dimensions: int = 12) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=(patches, dimensions)).astype(np.float32)


def test_a_case_by_hand() -> None:
    """Two patches of two dimensions each: kernels 1, 8, 27/8 and such."""
    first = np.array([[1.0, 0.0], [0.0, 1.0]])
    second = np.array([[1.0, 1.0], [1.0, -1.0]])
    # within: (0/2 + 1)^3 and (0/2 + 1)^3; across: 1.5^3, 1.5^3, 1.5^3, 0.5^3
    expected = 1 + 1 - 2 * (3 * 3.375 + 0.125) / 4
    assert patch_distance(first, second) == pytest.approx(expected, abs=1e-12)


def test_the_reference_package_agrees() -> None:
    try:
        kid = load_package("torchmetrics.image.kid")
    except ValueError as error:
        pytest.skip(str(error))
    first, second = draw(1, 700), draw(2, 700) * 1.1 + 0.2
    expected = kid.poly_mmd(*(torch.from_numpy(each).double() for each in (first, second)))
    assert patch_distance(first, second) == pytest.approx(float(expected), abs=1e-9)
    assert patch_distance(first, second) > 0.1


def test_sets_of_unlike_size() -> None:
    first, second = draw(1, 5).astype(float), draw(2, 9).astype(float)

    def mean(a: NDArray[np.float64], b: NDArray[np.float64], *, same: bool) -> float:
        values = [
            (a[i] @ b[j] / a.shape[1] + 1) ** 3
            for i in range(len(a))
            for j in range(len(b))
            if not (same and i == j)
        ]
        return float(np.mean(values))

    expected = mean(first, first, same=True) + mean(second, second, same=True)
    expected -= 2 * mean(first, second, same=False)
    assert patch_distance(first, second) == pytest.approx(expected, abs=1e-12)


def test_blocks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = draw(1, 50), draw(2, 40)
    whole = patch_distance(first, second)
    monkeypatch.setattr(module, "_ROWS", 7)
    assert patch_distance(first, second) == pytest.approx(whole, abs=1e-12)


def test_without_bias() -> None:
    """The mean over many pairs of sets from one distribution is 0, some below."""
    values = [patch_distance(draw(seed, 20), draw(seed + 1000, 20)) for seed in range(200)]
    assert min(values) < 0
    assert abs(np.mean(values)) < 3 * np.std(values) / len(values) ** 0.5


def test_pairs_are_left_out() -> None:
    originals = [draw(1, 6), draw(2, 4), draw(3, 8)]
    same = paired_patch_distance(originals, originals)
    assert same.value == same.standard_error == 0
    decoded = [draw(4, 6), draw(5, 4), draw(6, 8)]
    x, y = (np.concatenate(each).astype(float) for each in (originals, decoded))

    def kernel(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray((a @ b.T / 12 + 1) ** 3)

    values = kernel(x, x) + kernel(y, y) - kernel(x, y) - kernel(y, x)
    np.fill_diagonal(values, 0)
    found = paired_patch_distance(originals, decoded)
    assert found.value == pytest.approx(values.sum() / (18 * 17), abs=1e-12)
    assert found.value != pytest.approx(patch_distance(x, y), rel=0.01)


def test_the_error_is_by_leaving_pictures_out() -> None:
    originals = [draw(seed, 4 + seed) for seed in range(5)]
    decoded = [draw(seed + 10, 4 + seed) + 0.1 for seed in range(5)]
    without = [
        paired_patch_distance(
            originals[:index] + originals[index + 1 :], decoded[:index] + decoded[index + 1 :]
        ).value
        for index in range(5)
    ]
    expected = np.sqrt(4 / 5 * np.sum((np.array(without) - np.mean(without)) ** 2))
    found = paired_patch_distance(originals, decoded)
    assert found.standard_error == pytest.approx(expected, rel=1e-9)
    assert paired_patch_distance(originals[:2], decoded[:2]).standard_error is None


def test_sets_that_cannot_be_compared() -> None:
    with pytest.raises(ValueError, match=r"not \(1, 12\) and \(5, 12\)"):
        patch_distance(draw(1, 1), draw(2, 5))
    with pytest.raises(ValueError, match=r"not \(5, 12\) and \(5, 3\)"):
        patch_distance(draw(1, 5), draw(2, 5, 3))
    for decoded in ([], [draw(1, 5)], [draw(1, 5), draw(2, 4)]):
        with pytest.raises(ValueError, match="pair up"):
            paired_patch_distance([draw(1, 5), draw(2, 5)], decoded)


def unit(channels: int, rows: int, columns: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    drawn = torch.rand(channels, rows, columns, generator=generator)
    return drawn / drawn.square().sum(0).sqrt()


@pytest.mark.parametrize(
    ("rows", "columns", "corners"),
    [
        (16, 16, [(0, 0)]),
        (33, 32, [(0, 0), (0, 16), (16, 0), (16, 16), (17, 0), (17, 16)]),
        (9, 20, [(0, 0), (0, 4)]),
    ],
)
def test_patches_of_a_picture(rows: int, columns: int, corners: list[tuple[int, int]]) -> None:
    features = unit(5, rows, columns)
    found = patch_features(features)
    assert found.dtype == np.float32
    assert found.shape == (len(corners), 10)
    for (top, left), patch in zip(corners, found, strict=True):
        part = features.numpy()[:, top : top + 16, left : left + 16].reshape(5, -1)
        expected = np.concatenate([part.mean(1), part.std(1)]) * np.sqrt(10)
        np.testing.assert_allclose(patch, expected, rtol=1e-5)
        # on a sphere: the kernel of a patch with itself is 8
        assert patch @ patch / 10 == pytest.approx(1, abs=1e-5)
