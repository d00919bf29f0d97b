"""The adapter to torchvision."""

from __future__ import annotations

import io
import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from codecs_for_tests import PlanesCodec, seed_worker
from conftest import draw_photo
from PIL import Image
from torch.utils.data import DataLoader

import diffc

pytest.importorskip("torchvision")
from torchvision import tv_tensors
from torchvision.transforms import v2

from diffc.adapters.torchvision import IMG_EXTENSIONS, DiffcCompress, ImageFolder, decode_image

assert PlanesCodec.name == "planes"


@pytest.fixture
def data(photo: Image.Image) -> bytes:
    return diffc.encode(photo, backend="planes", quality=100)


@pytest.mark.parametrize("kind", ["bytes", "path", "text", "tensor"])
def test_a_file_becomes_a_tensor(
    tmp_path: Path, photo: Image.Image, data: bytes, kind: str
) -> None:
    path = tmp_path / "a.diffc"
    path.write_bytes(data)
    source = {
        "bytes": data,
        "path": path,
        "text": str(path),
        "tensor": torch.frombuffer(bytearray(data), dtype=torch.uint8),
    }[kind]
    made = decode_image(source)
    assert made.dtype == torch.uint8
    assert np.array_equal(made.permute(1, 2, 0).numpy(), np.array(photo))


@pytest.mark.parametrize(
    ("mode", "channels"),
    [("UNCHANGED", 3), ("gray", 1), ("GRAY_ALPHA", 2), ("RGB", 3), ("RGB_ALPHA", 4)],
)
def test_modes_are_those_of_torchvision(data: bytes, mode: str, channels: int) -> None:
    assert decode_image(data, mode).shape == (channels, 64, 96)


def test_modes_may_be_torchvisions_own_constants(data: bytes) -> None:
    with warnings.catch_warnings():
        # torchvision.io is on its way out there
        warnings.simplefilter("ignore")
        from torchvision.io import ImageReadMode

        assert decode_image(data, ImageReadMode.GRAY).shape == (1, 64, 96)


@pytest.mark.parametrize(
    ("mode", "channels"), [("1", 3), ("L", 1), ("LA", 2), ("P", 3), ("RGBA", 4), ("CMYK", 3)]
)
def test_files_of_other_formats_are_read_too(photo: Image.Image, mode: str, channels: int) -> None:
    buffer = io.BytesIO()
    photo.convert(mode).save(buffer, "TIFF")
    made = decode_image(buffer.getvalue())
    assert (made.shape, made.dtype) == ((channels, 64, 96), torch.uint8)


def test_what_cannot_be_a_tensor_is_said(data: bytes, photo: Image.Image) -> None:
    with pytest.raises(ValueError, match="mode is one of UNCHANGED"):
        decode_image(data, "BGR")
    buffer = io.BytesIO()
    photo.convert("I;16").save(buffer, "PNG")
    with pytest.raises(ValueError, match="uint8 does not hold mode 'I;16'"):
        decode_image(buffer.getvalue())
    with pytest.raises(OSError, match=r"truncated|ends"):
        decode_image(data[:-3])


@pytest.fixture
def folder(tmp_path: Path, model: str) -> Path:
    for name, color in (("blue", (20, 40, 200)), ("red", (200, 40, 20))):
        (tmp_path / name).mkdir()
        image = Image.blend(draw_photo(), Image.new("RGB", (96, 64), color), 0.8)
        image.save(tmp_path / name / "0.png")
        diffc.save(image, tmp_path / name / "1.DIFFC", model=model, quality=30)
    return tmp_path


def test_a_folder_of_files_is_a_data_set(folder: Path) -> None:
    made = ImageFolder(folder, v2.Compose([v2.PILToTensor()]))
    assert [Path(name).name for name, _ in made.samples] == ["0.png", "1.DIFFC"] * 2
    assert (made.classes, made.targets) == (["blue", "red"], [0, 0, 1, 1])
    for image, label in made:
        assert image.shape == (3, 64, 96)
        assert image.float().mean((1, 2)).argmax() == 2 - 2 * label
    assert set(IMG_EXTENSIONS) > {".png", ".diffc"}
    assert len(ImageFolder(folder, is_valid_file=lambda name: name.endswith("png"))) == 2


def test_workers_that_start_afresh_read_and_recode(folder: Path) -> None:
    transform = v2.Compose([v2.PILToTensor(), DiffcCompress(quality=(0, 40))])
    files = ImageFolder(folder, transform)

    loader = DataLoader(
        files,
        batch_size=2,
        num_workers=1,
        multiprocessing_context="spawn",
        worker_init_fn=seed_worker,
    )
    spawned = torch.cat([images for images, _ in loader])
    seed_worker(0)
    assert torch.equal(spawned, torch.stack([image for image, _ in files]))


def test_coding_is_real_and_keeps_types(photo: Image.Image) -> None:
    transform = DiffcCompress(bpp=24, backend="planes")
    picture = transform(photo)
    assert isinstance(picture, Image.Image)
    coded = diffc.decode(diffc.encode(photo, backend="planes", bpp=24))
    assert picture.tobytes() == coded.tobytes()
    pixels = torch.from_numpy(np.array(photo)).permute(2, 0, 1)
    for given in (pixels, pixels / 255, (pixels / 255).double(), tv_tensors.Image(pixels)):
        made = transform(given)
        assert type(made) is type(given)
        assert (made.dtype, made.shape) == (given.dtype, given.shape)
        scale = 255 if made.is_floating_point() else 1
        shown = (made.as_subclass(torch.Tensor) * scale).round().to(torch.uint8)
        assert np.array_equal(shown.permute(1, 2, 0).numpy(), np.array(coded))
    assert transform(torch.stack([pixels, pixels.flip(2)])).shape == (2, 3, 64, 96)
    assert transform(pixels[:1]).shape == (1, 64, 96)


def test_the_rate_follows_the_seed_and_the_range(photo: Image.Image) -> None:
    transform = pickle.loads(pickle.dumps(DiffcCompress(bpp=(2, 20), backend="planes")))

    def drawn(seed: int) -> list[bytes]:
        torch.manual_seed(seed)
        return [transform(photo).tobytes() for _ in range(4)]

    assert drawn(1) == drawn(1) != drawn(2)
    assert len(set(drawn(1))) == 4
    rates = [transform.make_params([])["rate"] for _ in range(200)]
    assert 2 <= min(rates) < 4
    assert 18 < max(rates) <= 20


def test_only_pictures_of_a_sample_are_coded(photo: Image.Image) -> None:
    boxes = tv_tensors.BoundingBoxes([[1, 2, 30, 40]], format="XYXY", canvas_size=(64, 96))
    mask = tv_tensors.Mask(torch.ones(64, 96))
    sample = {"image": photo, "boxes": boxes, "mask": mask, "label": torch.tensor(3)}
    made = DiffcCompress(bpp=2, backend="planes")(sample)
    assert made["image"].tobytes() != photo.tobytes()
    assert all(made[name] is sample[name] for name in ("boxes", "mask", "label"))


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"bpp": (0.2, 0.02)}, "lower end first"),
        ({"bpp": 0}, "above 0"),
        ({"bpp": (1, 2, 3)}, "a number or a pair"),
        ({"bpp": "much"}, "a number or a pair"),
        ({"quality": (0, 101)}, "0 to 100"),
        ({"bpp": 1, "quality": 1}, "either bpp or quality"),
        ({"target_size": 100}, "drop target_size"),
        ({"backend": "nobody"}, "nobody"),
        ({"spped": 3}, "did you mean 'speed'"),
        ({"decoding": {"realism": 2}}, "realism is 0 to 1"),
    ],
)
def test_options_are_checked_when_it_is_made(arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        DiffcCompress(**arguments)


def test_it_says_what_it_is() -> None:
    assert repr(DiffcCompress()) == "DiffcCompress(bpp=(0.02, 0.2))"
    assert repr(DiffcCompress(quality=5, backend="perco")) == (
        "DiffcCompress(quality=(5.0, 5.0), backend=perco)"
    )
