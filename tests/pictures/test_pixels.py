"""Modes, transparency and colour, in and out."""

from __future__ import annotations

import io
import warnings
from typing import Any, Literal

import numpy as np
import pytest
import torch
from codecs_for_tests import PlanesCodec  # noqa: F401 - registers codecs
from PIL import Image, ImageCms

import diffc
from diffc.errors import DiffcWarning
from diffc.pictures.alpha import decode_alpha, encode_alpha


def saved(image: Image.Image, **options: Any) -> bytes:
    return diffc.encode(image, **{"backend": "planes", "quality": 100, **options})


def reopened(image: Image.Image, **options: Any) -> Image.Image:
    opened = Image.open(io.BytesIO(saved(image, **options)))
    opened.load()
    return opened


def close(one: Image.Image, other: Image.Image) -> bool:
    return bool(np.abs(np.asarray(one).astype(int) - np.asarray(other)).max() <= 2)


@pytest.mark.parametrize(
    ("mode", "becomes"),
    [
        ("1", "L"),
        ("L", "L"),
        ("LA", "LA"),
        ("La", "LA"),
        ("P", "RGB"),
        ("PA", "RGBA"),
        ("RGB", "RGB"),
        ("RGBX", "RGB"),
        ("RGBA", "RGBA"),
        ("RGBa", "RGBA"),
        ("CMYK", "RGB"),
        ("YCbCr", "RGB"),
        ("LAB", "RGB"),
        ("HSV", "RGB"),
    ],
)
def test_modes_become_what_eight_bits_hold(photo: Image.Image, mode: str, becomes: str) -> None:
    through = {"La": "LA", "RGBa": "RGBA", "PA": "P"}.get(mode)
    image = (photo.convert(through) if through else photo).convert(mode)
    again = reopened(image)
    assert again.mode == becomes
    assert again.size == image.size
    # Pillow gives a LAB picture a profile, so that it takes the way of the profiles
    expected = image.convert(becomes)
    assert close(again, expected) if mode == "LAB" else again.tobytes() == expected.tobytes()


@pytest.mark.parametrize("mode", ["I", "I;16", "I;16B", "F"])
def test_modes_of_more_bits_are_refused(mode: str) -> None:
    with pytest.raises(ValueError, match=r"holds 8 bits a channel.*scale the values"):
        saved(Image.new(mode, (3, 3)))


@pytest.mark.parametrize("size", [(0, 5), (5, 0), (0, 0)])
def test_an_image_without_pixels_is_refused(size: tuple[int, int]) -> None:
    for options in ({}, {"bpp": 1, "quality": None}):
        with pytest.raises(ValueError, match="at least 1x1 pixels"):
            saved(Image.new("RGB", size), **options)


@pytest.mark.parametrize("size", [(1, 1), (1, 31), (31, 1), (2, 2), (11, 16), (63, 64), (127, 61)])
@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_every_size_is_kept(photo: Image.Image, size: tuple[int, int], mode: str) -> None:
    image = photo.resize(size).convert(mode)
    assert reopened(image).tobytes() == image.tobytes()


@pytest.mark.parametrize("size", [(1, 1), (1, 31), (13, 17)])
def test_the_default_codec_keeps_odd_sizes(
    photo: Image.Image, size: tuple[int, int], model: str
) -> None:
    image = photo.resize(size).convert("LA")
    again = reopened(image, backend=None, model=model, quality=5)
    assert (again.size, again.mode) == (size, "LA")
    assert again.getchannel("A").tobytes() == image.getchannel("A").tobytes()


def alphas(size: tuple[int, int]) -> list[Image.Image]:
    rng = np.random.default_rng(1)
    shape = (size[1], size[0])
    return [
        Image.new("L", size, 0),
        Image.new("L", size, 255),
        Image.new("L", size, 7),
        Image.linear_gradient("L").resize(size),
        Image.fromarray(rng.integers(0, 256, shape, np.uint8)),
        Image.fromarray((rng.integers(0, 2, shape) * 255).astype(np.uint8)),
    ]


@pytest.mark.parametrize("size", [(1, 1), (9, 5), (64, 3), (61, 67)])
def test_alpha_is_lossless_at_any_quality(size: tuple[int, int]) -> None:
    for alpha in alphas(size):
        for mode in ("LA", "RGBA"):
            image = Image.new(mode, size)
            image.putalpha(alpha)
            again = reopened(image, quality=0)
            assert again.mode == mode
            assert again.getchannel("A").tobytes() == alpha.tobytes()


def test_a_mask_costs_a_bit_a_pixel_at_most() -> None:
    *_, mask = alphas((64, 64))
    assert len(encode_alpha(mask)) <= 64 * (1 + 64 // 8) + 20
    assert len(encode_alpha(Image.new("L", (640, 640), 255))) < 640 * 640 // 8 // 200


def test_alpha_does_not_store_what_the_image_says_of_its_colours() -> None:
    alpha = Image.linear_gradient("L")
    plain = encode_alpha(alpha)
    alpha.info.update(transparency=(1, 2, 3), icc_profile="none", gamma=2.2)
    assert encode_alpha(alpha) == plain
    assert "transparency" in alpha.info


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: b"\x02" + data[1:],
        lambda data: data[:-1],
        lambda data: data + b"\0",
        lambda data: data[:1],
        lambda data: data[:5] + b"\xff" + data[6:],
        lambda data: b"\x01" + data[1:],
        lambda data: encode_alpha(alphas((9, 10))[4]),
        lambda data: encode_alpha(alphas((900, 900))[4]),
    ],
)
def test_damaged_alpha_is_an_os_error(damage: Any) -> None:
    data = damage(encode_alpha(alphas((9, 9))[4]))
    with pytest.raises(OSError, match=r"alpha"):
        decode_alpha(data, (9, 9))


def test_alpha_may_be_dropped(photo: Image.Image) -> None:
    for mode, becomes in (("RGBA", "RGB"), ("LA", "L"), ("PA", "RGB"), ("RGB", "RGB")):
        image = (photo.convert("P") if mode == "PA" else photo).convert(mode)
        assert reopened(image, alpha="drop").mode == becomes


def test_a_transparent_colour_becomes_alpha(photo: Image.Image) -> None:
    palette = photo.quantize(8)
    palette.info["transparency"] = 3
    levels = photo.quantize(4)
    levels.info["transparency"] = bytes([0, 100, 200, 255])
    grey = photo.convert("L")
    grey.info["transparency"] = 100
    color = photo.copy()
    color.info["transparency"] = photo.getpixel((5, 5))
    two = photo.convert("1")
    two.info["transparency"] = 255
    for image in (palette, levels, grey, color, two):
        mode = "LA" if image.mode in ("1", "L") else "RGBA"
        again = reopened(image)
        assert again.mode == mode
        assert again.tobytes() == image.convert(mode).tobytes()
        assert len(set(again.getchannel("A").tobytes())) > 1
        assert reopened(image, alpha="drop").mode == mode[:-1]


def profile_of(name: Literal["LAB", "sRGB"]) -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile(name)).tobytes()


@pytest.fixture(scope="module")
def swapped() -> bytes:
    """An RGB profile whose red and blue primaries are those of sRGB exchanged."""
    data = bytearray(profile_of("sRGB"))
    count = int.from_bytes(data[128:132], "big")
    table = {bytes(data[132 + 12 * i : 136 + 12 * i]): 132 + 12 * i for i in range(count)}
    red, blue = table[b"rXYZ"], table[b"bXYZ"]
    entry = data[red + 4 : red + 12]
    data[red + 4 : red + 12] = data[blue + 4 : blue + 12]
    data[blue + 4 : blue + 12] = entry
    return bytes(data)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "YCbCr"])
def test_pixels_with_a_profile_are_converted_to_srgb(
    photo: Image.Image, swapped: bytes, mode: str
) -> None:
    image = photo.convert(mode)
    plain = image.convert("RGBA" if mode == "RGBA" else "RGB")
    bands = list(plain.split())
    bands[0], bands[2] = bands[2], bands[0]
    image.info["icc_profile"] = swapped
    again = reopened(image)
    assert "icc_profile" not in again.info
    assert close(again, Image.merge(plain.mode, bands))
    assert not close(again, plain)


def test_a_transparent_colour_survives_the_conversion(photo: Image.Image, swapped: bytes) -> None:
    image = photo.copy()
    image.info["transparency"] = photo.getpixel((5, 5))
    expected = image.convert("RGBA").getchannel("A").tobytes()
    image.info["icc_profile"] = swapped
    assert reopened(image).getchannel("A").tobytes() == expected


def test_the_profile_of_srgb_itself_changes_nothing(photo: Image.Image) -> None:
    for mode in ("RGB", "RGBA", "L", "LA", "1"):
        image = photo.convert(mode)
        expected = reopened(image).tobytes()
        # a grey picture made from a coloured one carries a profile for RGB
        image.info["icc_profile"] = profile_of("sRGB")
        assert reopened(image).tobytes() == expected


def test_the_callers_image_stays_as_it_is(photo: Image.Image, swapped: bytes) -> None:
    image = photo.copy()
    image.info["icc_profile"] = swapped
    saved(image)
    assert image.tobytes() == photo.tobytes()
    assert image.info == {"icc_profile": swapped}


def test_a_passed_profile_is_stored_and_pixels_stay(photo: Image.Image, swapped: bytes) -> None:
    image = photo.copy()
    image.info["icc_profile"] = swapped
    again = reopened(image, icc_profile=swapped)
    assert again.info["icc_profile"] == swapped
    assert again.tobytes() == photo.tobytes()
    # an empty one is Pillow's way to say: none
    again = reopened(image, icc_profile=b"")
    assert "icc_profile" not in again.info
    assert again.tobytes() == photo.tobytes()


@pytest.mark.parametrize(
    ("mode", "profile"), [("RGB", b"no profile"), ("CMYK", profile_of("sRGB")), ("RGB", "text")]
)
def test_a_profile_that_does_not_fit_is_a_warning(
    photo: Image.Image, mode: str, profile: Any
) -> None:
    image = photo.convert(mode)
    expected = reopened(image).tobytes()
    image.info["icc_profile"] = profile
    with pytest.warns(DiffcWarning, match="ICC profile cannot be applied") as caught:
        again = reopened(image)
    assert again.tobytes() == expected
    assert caught[0].filename == __file__


def test_a_lab_picture_takes_its_profile(photo: Image.Image) -> None:
    image = photo.convert("LAB")
    image.info["icc_profile"] = profile_of("LAB")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert close(reopened(image), image.convert("RGB"))


def test_arrays_and_tensors_become_pictures() -> None:
    rng = np.random.default_rng(2)
    for shape, mode in (((5, 7), "L"), ((5, 7, 2), "LA"), ((5, 7, 3), "RGB"), ((5, 7, 4), "RGBA")):
        array = rng.integers(0, 256, shape, np.uint8)
        data = diffc.encode(array, backend="planes", quality=100)
        assert diffc.info(data).mode == mode
        assert np.array_equal(diffc.decode(data, to="numpy"), array)
        back = diffc.decode(data, to="torch")
        assert back.dtype == torch.float32
        assert np.array_equal(
            back.permute(1, 2, 0).mul(255).round().numpy(), array.reshape(5, 7, -1)
        )
    array = rng.integers(0, 256, (5, 7, 1), np.uint8)
    assert diffc.encode(array, backend="planes") == diffc.encode(array[:, :, 0], backend="planes")
    wide = rng.integers(0, 256, (10, 14, 3), np.uint8)
    expected = diffc.encode(np.ascontiguousarray(wide[::2, ::-2]), backend="planes")
    assert diffc.encode(wide[::2, ::-2], backend="planes") == expected

    for channels, mode in ((1, "L"), (3, "RGB")):
        tensor = torch.from_numpy(rng.random((channels, 6, 4), np.float32))
        expected = diffc.encode(tensor, backend="planes", quality=100)
        assert diffc.info(expected).mode == mode
        assert diffc.info(expected).size == (4, 6)
        for same in (
            tensor[None],
            tensor.double(),
            tensor.permute(1, 2, 0).contiguous().permute(2, 0, 1),
            tensor.clone().requires_grad_(),
        ):
            assert diffc.encode(same, backend="planes", quality=100) == expected
        again = diffc.decode(expected, to="torch")
        assert torch.allclose(again, tensor, atol=0.51 / 255)
    half = torch.full((3, 2, 2), 0.5, dtype=torch.bfloat16)
    assert diffc.decode(diffc.encode(half, backend="planes", quality=100)).getpixel((0, 0)) == (
        128,
        128,
        128,
    )


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((4, 4, 3), np.float32), "an array is of uint8"),
        (np.zeros((4, 4, 3), np.uint16), "an array is of uint8"),
        (np.zeros((4, 4, 5), np.uint8), "an array has the shape"),
        (np.zeros((3, 0), np.uint8), "an array has the shape"),
        (np.zeros((2, 4, 4, 3), np.uint8), "an array has the shape"),
        (np.uint8(3), "an array has the shape"),
        (torch.zeros(3, 4, 4, dtype=torch.int64), "a tensor is of floats"),
        (torch.zeros(5, 4, 4), "a tensor has the shape"),
        (torch.zeros(3, 4, 4, device="meta"), "a tensor has values in memory"),
        (torch.zeros(3, 4, 4).to_sparse(), "a tensor has values in memory"),
        ("photo.jpg", r"not str: open it with PIL\.Image\.open"),
        (torch.zeros(2, 3, 4, 4), "a tensor has the shape"),
        (torch.zeros(3, 0, 4), "a tensor has the shape"),
        (torch.zeros(4, 4), "a tensor has the shape"),
        (torch.full((3, 2, 2), 1.5), "a tensor's values are in"),
        (torch.full((3, 2, 2), -0.1), "a tensor's values are in"),
        (torch.full((3, 2, 2), float("nan")), "a tensor's values are in"),
        ([[1, 2], [3, 4]], "an image is a Pillow image, an array or a tensor, not list"),
        (None, "an image is a Pillow image, an array or a tensor, not NoneType"),
    ],
)
def test_what_is_no_picture_is_refused(image: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        diffc.encode(image, backend="planes")
