"""HEVC base pictures: what is stored is a slice, and it decodes as the file that it was cut from."""

from __future__ import annotations

import base64
import io
import sys

import pytest
from photograph import drawn
from PIL import Image, ImageChops

from diffc.codecs.shared.base_pictures import hevc_file, hevc_picture
from diffc.codecs.shared.base_pictures.hevc_file import rebuilt_file, slice_of
from diffc.codecs.shared.base_pictures.hevc_parameters import (
    coded_size,
    nal_unit,
    sequence_parameters,
    unescaped,
    video_parameters,
)
from diffc.codecs.shared.base_pictures.hevc_picture import HevcCoder
from diffc.errors import CodecNotAvailableError, FileError, OptionError

SIZES = [(1, 1), (2, 3), (16, 16), (65, 33), (333, 517)]

# a drawn picture, coded with pillow-heif 1.8.1, and its pixels; never to be made anew
FROZEN_CODED = (
    "r1iUnFeWY495RTUTfizGGJfr0BvEIY6SWoRA8fwtop0wmvhT/g0rdDHmhNOsBxJQ3ltzoNrKWHWyIR604E3hSKLQ+ZhE"
    "6tOpUydsbIxVgA1ECCWfX4YMHr3pLuYXgA=="
)
FROZEN_PIXELS = (
    "ENQbDNAXKqpTKKhRLZN7LJJ6Hp6rJqazF7LRJsHgJNjvEtYdCMwTIKBJHZ1GIIZuG4FpC4uYGZmmEq3MH7rZG8/mYKwm"
    "UJwWn0pDm0Y/pTxLnDNCS06fW16vSXzLWo3cWKfsXqokS5cRl0I7kj02ojlImjFAR0qbVVipTH/OXZDfXKvwjZIUgocJ"
    "xSkqxior2ytC0yM6dTCKgj2Xem7Cin7Sh5fioaYokpcZyS0uwSUm0CA31iY9hD+Zk06oh3vPlorek6PuvakUwa0YzXNB"
    "pEoYrztGwk5ZtVyMw2qatYnGxJjVw7Hl2cUwzLgj5oxa24FP4m556HR/ynGh3IOzyZ3a2a3q2Mb68tsc6tMU+LBO8KhG"
    "9Jtz95527KSl8Kip47fQ88fg897v"
)


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("quality", [0, 40, 100])
def test_it_decodes_as_the_whole_file_does(size: tuple[int, int], mode: str, quality: int) -> None:
    heif = pytest.importorskip("pillow_heif")
    picture = drawn(size, mode)
    coded = HevcCoder().encode(picture, quality)
    padded = hevc_picture._padded(picture, coded_size(size))
    file = hevc_picture._heic_file(heif, padded, quality)
    expected = heif.open_heif(io.BytesIO(file)).to_pillow().crop((0, 0, *size))
    decoded = HevcCoder().decode(coded, size, grey=mode == "L")
    assert (decoded.mode, decoded.size, decoded.info) == (mode, size, {})
    assert decoded.tobytes() == expected.convert(mode).tobytes()
    # boxes and parameter sets are gone
    assert len(file) - len(coded) > 350
    assert file.endswith(coded)


def test_a_frozen_picture_decodes_for_ever() -> None:
    pytest.importorskip("pillow_heif")
    decoded = HevcCoder().decode(base64.b64decode(FROZEN_CODED), (11, 9), grey=False)
    expected = Image.frombytes("RGB", (11, 9), base64.b64decode(FROZEN_PIXELS))
    # the slice is exact by its standard, the conversion to RGB is not
    assert max(ImageChops.difference(decoded, expected).tobytes()) <= 2


@pytest.mark.parametrize("grey", [False, True])
def test_a_rebuilt_file_comes_apart(grey: bool) -> None:
    file = rebuilt_file(b"slice", (65, 33), grey=grey)
    assert slice_of(file, (72, 64), grey=grey) == b"slice"
    with pytest.raises(FileError, match="fixed parameter sets"):
        slice_of(file, (72, 72), grey=grey)
    with pytest.raises(FileError, match="fixed parameter sets"):
        slice_of(file, (72, 64), grey=not grey)


@pytest.mark.parametrize(
    ("whole", "changed", "words"),
    [
        (b"hvc1", b"hev1", "fixed parameter sets"),
        (b"\xa1\x00\x01", b"\xa1\x00\x02", "one parameter set"),
        (b"\x28\x01slice", b"\x26\x01slice", "one slice, not 1"),
        (b"\x00\x00\x00\x07\x28\x01slice", b"\x00\x00\x00\x08\x28\x01slice", "cut off"),
        # a message alone is no picture
        (b"\x28\x01slice", b"\x4e\x01slice", "one slice, not 0"),
    ],
)
def test_other_files_are_refused(whole: bytes, changed: bytes, words: str) -> None:
    file = rebuilt_file(b"slice", (65, 33), grey=False)
    assert file.count(whole) == 1
    with pytest.raises(FileError, match=words):
        slice_of(file.replace(whole, changed), (72, 64), grey=False)


def test_padding_repeats_the_edges() -> None:
    picture = Image.new("L", (2, 2))
    picture.putpixel((1, 0), 50)
    picture.putpixel((0, 1), 100)
    padded = hevc_picture._padded(picture, (4, 3))
    assert padded.tobytes() == bytes((0, 50, 50, 50, 100, 0, 0, 0, 100, 0, 0, 0))


@pytest.mark.parametrize(
    ("size", "padded"), [((1, 1), (64, 64)), ((64, 65), (64, 72)), ((768, 512), (768, 512))]
)
def test_sides_are_padded_to_whole_blocks(size: tuple[int, int], padded: tuple[int, int]) -> None:
    assert coded_size(size) == padded


def test_parameter_sets_are_those_of_the_specification() -> None:
    # a real encoder's but for the level, and for colour in the sequence's
    assert video_parameters(grey=False) == bytes.fromhex(
        "40010c01ffff0370000003009000000300000300baba0240"
    )
    assert sequence_parameters((384, 256), grey=False) == bytes.fromhex(
        "420101037000000300900000030000030" + "0baa00c08040596ea4929ac80"
    )


def test_zeros_are_escaped_and_come_back() -> None:
    contents = b"\x00\x00\x00\x00\x01\x00\x00\x04\x00\x00\x03"
    unit = nal_unit(33, contents)
    assert unit == b"\x42\x01\x00\x00\x03\x00\x00\x03\x01\x00\x00\x04\x00\x00\x03\x03"
    assert unescaped(unit) == contents


def test_without_pillow_heif_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(OptionError, match=r'pip install "diffc\[heif\]"'):
        HevcCoder().encode(Image.new("RGB", (8, 8)), 30)
    with pytest.raises(CodecNotAvailableError, match=r'pip install "diffc\[heif\]"'):
        HevcCoder().decode(b"\xff", (8, 8), grey=False)


def test_an_encoder_with_other_parameters_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pillow_heif")
    monkeypatch.setattr(hevc_file, "PICTURE_PARAMETERS", b"others")
    with pytest.raises(OptionError, match="fixed parameter sets"):
        HevcCoder().encode(Image.new("RGB", (8, 8)), 30)


def test_a_picture_too_large_is_refused() -> None:
    with pytest.raises(OptionError, match="use base 'av1'"):
        HevcCoder().encode(Image.new("L", (9000, 1)), 30)
