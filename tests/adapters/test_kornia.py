"""The adapter to kornia."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from codecs_for_tests import PlanesCodec
from PIL import Image
from torch import Tensor

import diffc

pytest.importorskip("kornia")
from kornia import io
from kornia.augmentation import AugmentationSequential, RandomHorizontalFlip

from diffc.adapters.kornia import RandomDiffc, load_image, write_image

assert PlanesCodec.name == "planes"


@pytest.fixture
def pixels(photo: Image.Image) -> Tensor:
    return torch.from_numpy(np.array(photo)).permute(2, 0, 1).float() / 255


def coded(pixels: Tensor, bpp: float) -> Tensor:
    return diffc.decode(diffc.encode(pixels, backend="planes", bpp=bpp), to="torch")


def test_each_picture_is_really_coded_at_its_own_rate(pixels: Tensor) -> None:
    augmentation = RandomDiffc(bpp=(1, 20), p=1, backend="planes")
    batch = pixels.expand(3, -1, -1, -1)
    torch.manual_seed(1)
    made = augmentation(batch)
    rates = augmentation._params["rate"].tolist()
    assert len(set(rates)) == 3
    for each, rate in zip(made, rates, strict=True):
        assert torch.equal(each, coded(pixels, rate))
    torch.manual_seed(1)
    assert torch.equal(augmentation(batch), made)
    assert torch.equal(augmentation(batch, params=augmentation._params), made)
    shared = RandomDiffc(bpp=(1, 20), p=1, same_on_batch=True, backend="planes")(batch)
    assert torch.equal(shared[0], shared[2])


def test_pictures_that_are_not_chosen_are_not_coded(pixels: Tensor) -> None:
    augmentation = RandomDiffc(bpp=2, p=0.5, backend="planes")
    batch = pixels.expand(12, -1, -1, -1)
    PlanesCodec.encoded = 0
    made = augmentation(batch)
    chosen = augmentation._params["batch_prob"] > 0.5
    assert 0 < chosen.sum() < 12
    assert PlanesCodec.encoded == chosen.sum()
    for each, is_chosen in zip(made, chosen, strict=True):
        assert torch.equal(each, coded(pixels, 2) if is_chosen else pixels)
    assert torch.equal(RandomDiffc(bpp=2, p=0, backend="planes")(batch), batch)


def test_gradients_pass_on_request(pixels: Tensor) -> None:
    for straight_through in (True, False):
        augmentation = RandomDiffc(bpp=2, p=1, straight_through=straight_through, backend="planes")
        batch = pixels[None].clone().requires_grad_()
        made = augmentation(batch)
        assert torch.allclose(made[0], coded(pixels, 2), atol=1e-6)
        assert made.requires_grad is straight_through
        if straight_through:
            (3 * made).sum().backward()
            assert batch.grad is not None
            assert torch.equal(batch.grad, torch.full_like(batch, 3))


def test_it_composes_and_travels(pixels: Tensor) -> None:
    mask = torch.zeros(2, 1, 64, 96)
    mask[..., :10] = 1
    sequence = AugmentationSequential(
        RandomHorizontalFlip(p=1),
        RandomDiffc(bpp=3, p=1, backend="planes"),
        data_keys=["input", "mask"],
    )
    sequence = pickle.loads(pickle.dumps(sequence))
    image, moved = sequence(pixels.expand(2, -1, -1, -1), mask)
    assert torch.equal(image[1], coded(pixels.flip(2), 3))
    assert torch.equal(moved, mask.flip(3))


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
def test_types_shapes_and_grey_are_kept(pixels: Tensor, dtype: torch.dtype) -> None:
    augmentation = RandomDiffc(quality=100, p=1, keepdim=True, backend="planes")
    for given in (pixels, pixels[:1], pixels[None]):
        made = augmentation(given.to(dtype))
        assert (made.shape, made.dtype) == (given.shape, dtype)
        assert torch.allclose(made.float(), given, atol=1e-3)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [({"bpp": (2, 1)}, "lower end first"), ({"spped": 1}, "speed"), ({"backend": "no"}, "'no'")],
)
def test_options_are_checked_when_it_is_made(arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        RandomDiffc(**arguments)


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
@pytest.mark.parametrize("kind", list(io.ImageLoadType))
def test_files_are_loaded_as_kornia_does(
    tmp_path: Path, photo: Image.Image, mode: str, kind: Any
) -> None:
    picture = photo.convert(mode)
    if mode.endswith("A"):
        picture.putalpha(Image.linear_gradient("L").resize(picture.size))
    ours, theirs = tmp_path / "a.DIFFC", tmp_path / "a.png"
    diffc.save(picture, ours, backend="planes", quality=100)
    # kornia reads no PNG of grey with alpha
    (picture.convert("RGBA") if mode == "LA" and kind.name != "UNCHANGED" else picture).save(theirs)
    made = load_image(ours, kind)
    if mode == "LA" and kind.name == "UNCHANGED":
        assert made.shape == (2, 64, 96)
        return
    wanted = load_image(str(theirs), kind)
    assert (made.shape, made.dtype) == (wanted.shape, wanted.dtype)
    scale = 1 if made.dtype == torch.uint8 else 255
    # compositing and grey are rounded otherwise
    assert ((made.float() - wanted.float()) * scale).abs().max() <= 1.001


def test_writing_takes_our_options(tmp_path: Path, pixels: Tensor) -> None:
    write_image(tmp_path / "a.diffc", pixels, bpp=3, backend="planes")
    assert (tmp_path / "a.diffc").read_bytes() == diffc.encode(pixels, bpp=3, backend="planes")
    write_image(str(tmp_path / "b.diffc"), (pixels[0] * 255).byte(), 100, backend="planes")
    assert load_image(tmp_path / "b.diffc", io.ImageLoadType.UNCHANGED).shape == (1, 64, 96)
    write_image(tmp_path / "c.png", (pixels * 255).byte())
    write_image(tmp_path / "c.jpg", (pixels * 255).byte(), quality=5)
    assert load_image(tmp_path / "c.jpg").shape == (3, 64, 96)
    with pytest.raises(TypeError, match="bpp"):
        write_image(tmp_path / "d.png", (pixels * 255).byte(), bpp=3)
    with pytest.raises(TypeError, match="realism"):
        load_image(tmp_path / "c.png", realism=0)


def test_decoding_takes_its_options(tmp_path: Path, pixels: Tensor) -> None:
    write_image(tmp_path / "a.diffc", pixels, bpp=3, backend="planes")
    load_image(tmp_path / "a.diffc", realism=0.25)
    assert PlanesCodec.options is not None
    assert PlanesCodec.options.realism == 0.25
