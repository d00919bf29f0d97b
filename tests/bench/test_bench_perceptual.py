"""The perceptual distance: a second implementation, tiles, the cache, and wrong files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import save_file

from diffc.bench.measures import perceptual
from diffc.bench.measures.available import Measurer
from diffc.bench.measures.perceptual import (
    LAYERS,
    SHAPES,
    PerceptualNetwork,
    read_weights,
    weights_sha256,
)
from diffc.bench.measures.published import psnr
from diffc.models.byte_weights import to_bytes

Array = NDArray[np.float64]


def random_weights() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    weights = {}
    for name, (inputs, outputs) in SHAPES.items():
        side = 1 if name == "conv0" else 3
        shape = (outputs, inputs, side, side)
        weights[f"{name}.weight"] = torch.randn(shape, generator=generator) / (inputs * side) ** 0.5
        weights[f"{name}.bias"] = torch.randn(outputs, generator=generator) * 0.1
    return weights


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of the real one's names and shapes."""
    path = tmp_path_factory.mktemp("weights") / "vgg.safetensors"
    save_file(random_weights(), path)
    return path


def noise(width: int, height: int, seed: int) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    return Image.fromarray(pixels)


def unit(features: Array) -> Array:
    """Return features of unit length over the channels."""
    return np.asarray(features / np.linalg.norm(features, axis=2, keepdims=True))


def features_of(picture: Image.Image) -> list[Array]:
    """Return features (rows, columns, channels) of the three layers by sums of shifted arrays."""
    weights = {name: value.numpy().astype(float) for name, value in random_weights().items()}
    x = np.asarray(picture, float) / 255
    x = x @ weights["conv0.weight"][:, :, 0, 0].T + weights["conv0.bias"]
    found = []
    for layer in LAYERS:
        if layer == "pool":
            x = x[: x.shape[0] // 2 * 2, : x.shape[1] // 2 * 2]
            x = x.reshape(x.shape[0] // 2, 2, x.shape[1] // 2, 2, -1).max((1, 3))
            continue
        kernel = weights[f"{layer}.weight"]
        padded = np.pad(x, ((1, 1), (1, 1), (0, 0)), mode="reflect")
        made = np.tile(weights[f"{layer}.bias"], (*x.shape[:2], 1))
        for row in range(3):
            for column in range(3):
                part = padded[row : row + x.shape[0], column : column + x.shape[1]]
                made += part @ kernel[:, :, row, column].T
        x = np.maximum(made, 0)
        if layer in {"conv1_2", "conv2_2", "conv3_1"}:
            found.append(x)
    return found


@pytest.mark.parametrize("size", [(24, 20), (21, 15), (8, 9)])
def test_a_second_implementation_agrees(path: Path, size: tuple[int, int]) -> None:
    first, second = noise(*size, 1), noise(*size, 2)
    pairs = list(zip(features_of(first), features_of(second), strict=True))
    expected = np.mean([np.mean((unit(ours) - unit(theirs)) ** 2) for ours, theirs in pairs])
    assert expected > 1e-4
    distance = PerceptualNetwork(path)
    assert distance.distance(first, second) == pytest.approx(expected, rel=1e-5)
    assert distance.distance(first, first) == 0
    last = distance.last_features(second)
    assert last.shape == (256, size[1] // 4, size[0] // 4)
    np.testing.assert_allclose(last.permute(1, 2, 0).numpy(), unit(pairs[-1][1]), atol=1e-5)


@pytest.mark.parametrize("size", [(24, 20), (8, 9)])
def test_texture_and_structure_are_compared_channel_by_channel(
    path: Path, size: tuple[int, int]
) -> None:
    first = noise(*size, 1)
    second = Image.blend(first, noise(*size, 2), 0.4)
    similar = []
    for ours, theirs in zip(features_of(first), features_of(second), strict=True):
        terms = []
        for x, y in zip(
            ours.reshape(-1, ours.shape[2]).T, theirs.reshape(-1, ours.shape[2]).T, strict=False
        ):
            texture = (2 * x.mean() * y.mean() + 1e-6) / (x.mean() ** 2 + y.mean() ** 2 + 1e-6)
            covariance = np.mean((x - x.mean()) * (y - y.mean()))
            structure = (2 * covariance + 1e-6) / (x.var() + y.var() + 1e-6)
            terms.append((texture + structure) / 2)
        similar.append(np.mean(terms))
    network = PerceptualNetwork(path)
    assert 1 - np.mean(similar) > 0.05
    assert network.texture_structure(first, second) == pytest.approx(1 - np.mean(similar), rel=1e-4)
    assert network.texture_structure(first, first) == 0


def test_texture_elsewhere_costs_less_than_texture_that_is_missing(path: Path) -> None:
    first = noise(64, 64, 1)
    moved = Image.fromarray(np.roll(np.asarray(first), 5, (0, 1)))
    flat = Image.new("RGB", (64, 64), (127, 127, 127))
    network = PerceptualNetwork(path)
    # structure is lost in both, and the means of features in one
    assert 0.3 < network.texture_structure(first, moved) < 0.6
    assert network.texture_structure(first, flat) > network.texture_structure(first, moved)
    # flat pictures that differ by a level are no noise
    assert network.texture_structure(flat, flat.point(lambda level: level + 1)) < 0.6


@pytest.mark.parametrize("size", [(100, 90), (65, 33), (67, 97), (64, 32), (35, 101)])
def test_tiles_do_not_show(
    monkeypatch: pytest.MonkeyPatch, path: Path, size: tuple[int, int]
) -> None:
    first, second = noise(*size, 1), noise(*size, 2)
    whole = PerceptualNetwork(path)
    values = [whole.distance(first, second), whole.texture_structure(first, second)]
    features = whole.last_features(first)
    monkeypatch.setattr(perceptual, "_TILE_ROWS", 32)
    monkeypatch.setattr(perceptual, "_TILE_COLUMNS", 64)
    # neither does keeping features
    for kept in (0, 2**20):
        monkeypatch.setattr(perceptual, "_KEPT_PIXELS", kept)
        tiled = PerceptualNetwork(path)
        found = [tiled.distance(first, second), tiled.texture_structure(first, second)]
        assert found == pytest.approx(values, rel=1e-6)
        torch.testing.assert_close(tiled.last_features(first), features, atol=1e-6, rtol=0)


def test_the_margin_is_needed(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    """Eight pixels around a tile are fewer than the network looks."""
    first = noise(100, 90, 1)
    features = PerceptualNetwork(path).last_features(first)
    monkeypatch.setattr(perceptual, "_TILE_ROWS", 32)
    monkeypatch.setattr(perceptual, "_MARGIN", 8)
    difference = (PerceptualNetwork(path).last_features(first) - features).abs().max()
    assert difference > 1e-5


def test_an_original_is_looked_at_once(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    distance = PerceptualNetwork(path)
    looks = []
    network = distance._network
    monkeypatch.setattr(
        distance, "_network", lambda part: (looks.append(part.shape), network(part))[1]
    )
    original, first, second = (noise(32, 32, seed) for seed in range(3))
    values = [distance.distance(original, first), distance.distance(original, second)]
    assert len(looks) == 3
    # a copy is the same picture, and the last decoded one is kept as well
    assert distance.distance(original.copy(), second) == values[1]
    distance.last_features(second)
    distance.texture_structure(original, second)
    assert len(looks) == 3
    assert len(distance._kept) == 2
    assert distance.distance(original, first) == values[0]
    assert len(looks) == 4


def test_the_measurer_takes_it(path: Path) -> None:
    measurer = Measurer(path)
    original, decoded = noise(80, 64, 1), noise(80, 64, 2)
    value = measurer.distance(original, decoded)
    assert value == PerceptualNetwork(path).distance(original, decoded)
    assert measurer.measure(original, decoded)["vgg"] == float(f"{value:.6g}")
    small = [each.crop((0, 0, 7, 64)) for each in (original, decoded)]
    assert "vgg" not in measurer.measure(*small)
    assert measurer.distance(*small) == -psnr(*small)
    shapes = {name: each.shape for name, each in measurer.patch_features(decoded).items()}
    # 80x64, and 40x32
    assert shapes == {"patch_distance": (2, 512), "patch_distance_half": (1, 512)}
    assert measurer.patch_features(decoded.crop((0, 0, 15, 64))).keys() == {"patch_distance"}
    assert measurer.patch_features(small[0]) == {}


def test_the_network_of_the_package() -> None:
    weights = read_weights(None)
    assert sum(each.numel() for each in weights.values()) > 550_000
    assert len(weights_sha256()) == 64
    network = PerceptualNetwork()
    flat = Image.new("RGB", (64, 64), (90, 120, 60))
    soft, hard = (Image.blend(flat, noise(64, 64, 3), share) for share in (0.1, 0.5))
    assert 0 < network.distance(flat, soft) < network.distance(flat, hard)
    assert 0 < network.texture_structure(flat, soft) < network.texture_structure(flat, hard)


def test_weights_of_one_byte_are_read_as_they_are_written(path: Path, tmp_path: Path) -> None:
    save_file(to_bytes(random_weights()), tmp_path / "bytes.safetensors")
    first, second = noise(40, 40, 1), noise(40, 40, 2)
    found = PerceptualNetwork(tmp_path / "bytes.safetensors").distance(first, second)
    assert found == pytest.approx(PerceptualNetwork(path).distance(first, second), rel=0.02)


def test_pictures_that_cannot_be_compared(path: Path) -> None:
    distance = PerceptualNetwork(path)
    with pytest.raises(ValueError, match="one size"):
        distance.distance(noise(16, 16, 1), noise(16, 20, 1))
    with pytest.raises(ValueError, match="not L 16x16"):
        distance.distance(noise(16, 16, 1), noise(16, 16, 1).convert("L"))
    with pytest.raises(ValueError, match="at least 8 pixels a side, not RGB 7x16"):
        distance.last_features(noise(7, 16, 1))


def test_files_that_hold_something_else(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    with pytest.raises(OSError, match=r"other\.safetensors"):
        PerceptualNetwork(path)
    path.write_bytes(b"something else")
    with pytest.raises(OSError, match=r"a safetensors file, which other\.safetensors is not"):
        PerceptualNetwork(path)
    weights = random_weights()
    for name, value in (("conv2_1.bias", None), ("conv9.bias", torch.zeros(1))):
        changed = {**weights, name: value} if value is not None else weights.copy()
        if value is None:
            del changed[name]
        save_file(changed, path)
        with pytest.raises(OSError, match=f"have {name} of shape"):
            PerceptualNetwork(path)
    save_file({**weights, "conv1_2.weight": torch.zeros(64, 64, 1, 1)}, path)
    with pytest.raises(
        OSError, match=r"conv1_2\.weight of shape \(64, 64, 3, 3\), not \(64, 64, 1"
    ):
        Measurer(path)
