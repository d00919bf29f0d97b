"""The bench's measures: known values, second implementations, and what is left out."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.nn import functional as F

from diffc.bench import packages
from diffc.bench.measures.available import MEASURES, SET_MEASURES, Measurer
from diffc.bench.measures.published import (
    PSNR_LIMIT,
    Compare,
    full_precision,
    load_gmsd,
    load_haarpsi,
    load_lpips,
    load_ms_ssim,
    psnr,
)
from diffc.bench.measures.spectrum import AXES, BANDS, EXCESS

SMALL = {"psnr", "gmsd", "vgg", "texture_structure", "haarpsi"}


def needs(name: str) -> ModuleType:
    """Return a module, or skip: it may be missing, or not load beside this torch."""
    try:
        return packages.load_package(name)
    except ValueError as error:
        pytest.skip(str(error))


def photo_pair(width: int, height: int) -> tuple[Image.Image, Image.Image]:
    """A smooth coloured picture, and the same with noise and a little blur."""
    rng = np.random.default_rng(7)
    small = rng.integers(0, 256, (height // 8 + 1, width // 8 + 1, 3), np.uint8)
    original = Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)
    pixels = np.asarray(original, float)
    blurred = (pixels + np.roll(pixels, 1, 0) + np.roll(pixels, 1, 1)) / 3
    noisy = blurred + rng.normal(0, 8, pixels.shape)
    return original, Image.fromarray(noisy.round().clip(0, 255).astype(np.uint8))


def luma(picture: Image.Image) -> NDArray[np.float64]:
    return np.asarray(picture, float) @ (0.299, 0.587, 0.114)


def test_psnr_of_a_known_error() -> None:
    dark = Image.new("RGB", (8, 4), (10, 20, 30))
    # mean squared error (9 + 0 + 0) / 3
    assert psnr(dark, Image.new("RGB", (8, 4), (13, 20, 30))) == pytest.approx(
        20 * math.log10(255) - 10 * math.log10(3), abs=1e-9
    )
    assert psnr(Image.new("RGB", (4, 4)), Image.new("RGB", (4, 4), "white")) == 0


def test_psnr_of_equal_pictures_is_the_limit() -> None:
    picture = Image.new("RGB", (8, 4), (10, 20, 30))
    assert psnr(picture, picture) == PSNR_LIMIT == 100


@pytest.mark.parametrize("size", [(176, 192), (181, 200)])
def test_ms_ssim_is_that_of_torchmetrics(size: tuple[int, int]) -> None:
    needs("piq")
    functional = needs("torchmetrics.functional.image")
    # grey: torchmetrics takes the mean of the channels before the product over scales
    original, decoded = (each.convert("L").convert("RGB") for each in photo_pair(*size))
    tensors = [
        torch.from_numpy(np.array(each)).permute(2, 0, 1)[None].double() / 255
        for each in (decoded, original)
    ]
    expected = functional.multiscale_structural_similarity_index_measure(*tensors, data_range=1.0)
    # an odd side is padded at another end
    tolerance = 1e-4 if size[0] % 2 == 0 else 1e-3
    found = load_ms_ssim("cpu")(original, decoded)
    assert found == pytest.approx(float(expected), abs=tolerance)
    assert found < 0.99


def haarpsi_of_grey(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> float:
    """HaarPSI of grey pictures as its paper gives it, in sums of shifted arrays."""

    def halved(x: NDArray[np.float64]) -> NDArray[np.float64]:
        return (x[::2, ::2] + x[1::2, ::2] + x[::2, 1::2] + x[1::2, 1::2]) / 4

    def wavelet(x: NDArray[np.float64], scale: int, axis: int) -> NDArray[np.float64]:
        side = 2**scale
        padded = np.pad(x, (side // 2 - 1, side // 2))
        found = np.zeros_like(x)
        for row in range(side):
            for column in range(side):
                sign = 1 if (row, column)[axis] < side // 2 else -1
                part = padded[row : row + x.shape[0], column : column + x.shape[1]]
                found += sign * part / side
        return np.abs(found)

    ours, theirs = halved(ours), halved(theirs)
    above = below = 0.0
    for axis in range(2):
        similarity = np.zeros_like(ours)
        for scale in (1, 2):
            a, b = wavelet(ours, scale, axis), wavelet(theirs, scale, axis)
            similarity += (2 * a * b + 30) / (a**2 + b**2 + 30) / 2
        weight = np.maximum(wavelet(ours, 3, axis), wavelet(theirs, 3, axis))
        above += float((weight / (1 + np.exp(-4.2 * similarity))).sum())
        below += float(weight.sum())
    return (math.log(above / (below - above)) / 4.2) ** 2


def gmsd_of_grey(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> float:
    """GMSD of grey pictures of 8 bits as its paper gives it."""

    def gradient(x: NDArray[np.float64]) -> NDArray[np.float64]:
        x = (x[::2, ::2] + x[1::2, ::2] + x[::2, 1::2] + x[1::2, 1::2]) / 4
        x = np.pad(x, 1)
        rows = x[:-2] + x[1:-1] + x[2:]
        columns = x[:, :-2] + x[:, 1:-1] + x[:, 2:]
        across, down = rows[:, 2:] - rows[:, :-2], columns[2:] - columns[:-2]
        return np.hypot(across / 3, down / 3)

    a, b = gradient(ours), gradient(theirs)
    return float(np.std((2 * a * b + 170) / (a**2 + b**2 + 170)))


def test_haarpsi_is_that_of_the_paper() -> None:
    piq = needs("piq")
    original, decoded = (each.convert("L") for each in photo_pair(96, 80))
    found = load_haarpsi("cpu")(original.convert("RGB"), decoded.convert("RGB"))
    expected = haarpsi_of_grey(np.asarray(original, float), np.asarray(decoded, float))
    # of a grey picture in colour the third similarity, of chroma, is 1 and weighs the mean
    assert found > expected
    tensors = [
        torch.from_numpy(np.array(each))[None, None].double() / 255 for each in (original, decoded)
    ]
    assert float(piq.haarpsi(*tensors)) == pytest.approx(expected, abs=1e-6)


def test_gmsd_is_that_of_the_paper() -> None:
    needs("piq")
    original, decoded = photo_pair(96, 80)
    expected = gmsd_of_grey(luma(original), luma(decoded))
    assert expected > 0.01
    assert load_gmsd("cpu")(original, decoded) == pytest.approx(expected, abs=1e-3)


def test_equal_pictures_are_perfect() -> None:
    needs("piq")
    picture, _ = photo_pair(168, 176)
    found = Measurer().measure(picture, picture)
    assert found["psnr"] == 100
    assert found["gmsd"] == found["vgg"] == found["texture_structure"] == 0
    assert {found[name] for name in (EXCESS, AXES, *BANDS)} == {1}
    assert found["ms_ssim"] == found["haarpsi"] == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(
    ("size", "names"),
    [
        ((3, 200), {"psnr"}),
        ((8, 200), {"psnr", "gmsd", "vgg", "texture_structure"}),
        ((16, 200), {"psnr", "gmsd", "vgg", "texture_structure", "haarpsi"}),
        ((48, 48), {*SMALL, EXCESS, AXES, *BANDS}),
        ((200, 160), {*SMALL, EXCESS, AXES, *BANDS}),
        ((161, 200), {*SMALL, EXCESS, AXES, *BANDS, "ms_ssim"}),
    ],
)
def test_what_is_too_small_is_left_out(size: tuple[int, int], names: set[str]) -> None:
    needs("piq")
    found = Measurer().measure(*photo_pair(*size))
    assert found.keys() - {"lpips", "dists"} == names
    assert all(math.isfinite(value) for value in found.values())
    assert all(value == float(f"{value:.6g}") for value in found.values())


def test_pictures_that_cannot_be_compared() -> None:
    measurer = Measurer()
    picture = Image.new("RGB", (16, 16))
    for other in (Image.new("RGB", (16, 15)), Image.new("L", (16, 16))):
        with pytest.raises(ValueError, match="RGB and of one size, not RGB 16x16 and"):
            measurer.measure(picture, other)


def test_every_measure_is_available_or_missing() -> None:
    measurer = Measurer()
    assert sorted([*measurer.available, *measurer.missing]) == sorted(MEASURES)
    assert not SET_MEASURES.keys() & MEASURES.keys()
    for reason in measurer.missing.values():
        assert reason
        assert "\n" not in reason


@pytest.mark.parametrize(
    "error",
    [
        ModuleNotFoundError("No module named 'piq'", name="piq"),
        RuntimeError("operator torchvision::nms does not exist\nmore"),
        ImportError("undefined symbol"),
    ],
)
def test_packages_that_do_not_load(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    load = importlib.import_module

    def fail(name: str) -> ModuleType:
        if name.partition(".")[0] in ("piq", "torchmetrics", "torchvision"):
            raise error
        return load(name)

    monkeypatch.setattr(importlib, "import_module", fail)
    measurer = Measurer()
    assert measurer.available == ("psnr", "vgg", "texture_structure", EXCESS, AXES)
    for name in ("ms_ssim", "haarpsi", "gmsd", "lpips", "dists"):
        reason = measurer.missing[name]
        assert "\n" not in reason
        # what to do
        assert "install" in reason
        assert ("diffc[bench]" in reason) == isinstance(error, ModuleNotFoundError)


def test_learned_measures_need_weights_on_disk(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    needs("torchmetrics.functional.image.dists")
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", None)  # nothing is fetched
    measurer = Measurer()
    assert "alexnet-owt-7be5be79.pth" in measurer.missing["lpips"]
    assert "vgg16-397923af.pth" in measurer.missing["dists"]
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "alexnet-owt-7be5be79.pth").write_bytes(b"something else")
    assert "do not load: delete the file" in Measurer().missing["lpips"]


def test_lpips_with_weights_on_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    needs("torchmetrics")
    models = needs("torchvision.models")
    torch.manual_seed(1)
    with torch.device("meta"):
        shapes = models.alexnet().state_dict()
    # the classifier is large and has no say: one number each, stretched
    weights = {
        name: torch.zeros(1).expand(value.shape)
        if name.startswith("classifier")
        else torch.randn(value.shape) / max(value[0].numel(), 1) ** 0.5
        for name, value in shapes.items()
    }
    (tmp_path / "checkpoints").mkdir()
    torch.save(weights, tmp_path / "checkpoints" / "alexnet-owt-7be5be79.pth")
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", None)
    original, decoded = photo_pair(64, 72)
    compare = load_lpips("cpu")
    assert compare(original, original) == 0
    assert compare(original, decoded) == pytest.approx(
        lpips_of_alexnet(weights, original, decoded), rel=1e-4
    )


def lpips_of_alexnet(
    weights: dict[str, torch.Tensor], original: Image.Image, decoded: Image.Image
) -> float:
    """LPIPS as its paper gives it: weighted squared differences of unit-normalised features."""
    from torchmetrics.functional.image import lpips

    fitted = lpips._LPIPS(net="alex", pnet_rand=True)
    x = torch.stack(
        [torch.from_numpy(np.array(each)).permute(2, 0, 1) / 255 for each in (original, decoded)]
    )
    mean, deviation = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    x = (x - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(deviation).view(3, 1, 1)
    total = 0.0
    for layer, (index, stride, padding) in enumerate(
        [(0, 4, 2), (3, 1, 2), (6, 1, 1), (8, 1, 1), (10, 1, 1)]
    ):
        if layer in (1, 2):
            x = F.max_pool2d(x, 3, 2)
        weight, bias = (weights[f"features.{index}.{each}"] for each in ("weight", "bias"))
        x = F.conv2d(x, weight, bias, stride, padding).relu()
        unit = x / (x.square().sum(1, keepdim=True) + 1e-8).sqrt()
        linear = fitted.lins[layer].model[-1].weight
        total += float(F.conv2d((unit[:1] - unit[1:]).square(), linear).mean())
    return total


@pytest.mark.parametrize("load", [load_ms_ssim, load_haarpsi, load_gmsd])
def test_values_do_not_depend_on_the_number_of_threads(load: Callable[[str], Compare]) -> None:
    needs("piq")
    pair = photo_pair(331, 277)
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            found.append(load("cpu")(*pair))
    finally:
        torch.set_num_threads(before)
    # far below the six digits that rows keep
    assert found[0] == pytest.approx(found[1], rel=1e-12)


def test_products_are_in_full_where_a_device_would_round_them() -> None:
    allowed = torch.backends.cudnn.allow_tf32
    with full_precision():
        assert not torch.backends.cudnn.allow_tf32
    assert torch.backends.cudnn.allow_tf32 == allowed
