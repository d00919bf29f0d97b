"""What a ddcm file says besides its payload, and the prompt in it."""

from __future__ import annotations

import random
from typing import Any

import pytest
from PIL import Image

import diffc
from diffc.codec import Coded, DecodeOptions, Picture, Rate
from diffc.codecs.ddcm.bitstream import DdcmParameters
from diffc.codecs.ddcm.codec import DdcmCodec
from diffc.pictures.pixels import from_pillow, to_tensor


@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1])
@pytest.mark.parametrize("prompt", ["", "x", "a red door", "дверь", "🚪" * 200, "باب\0\n"])
def test_parameters_come_back(seed: int, prompt: str) -> None:
    parameters = DdcmParameters(30, 7, 600, seed, prompt)
    packed = parameters.pack()
    assert DdcmParameters.unpack(packed) == parameters
    assert len(packed) <= 4096


def test_without_prompt_the_bytes_are_those_of_the_first_version() -> None:
    assert DdcmParameters(30, 7, 600, 0, "").pack() == b"\x1e\x07\x02\x58"
    assert DdcmParameters(30, 7, 600, 5, "").pack() == b"\x1e\x07\x02\x58\0\0\0\x05"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x1e\x07\x02",
        b"\x1e\x07\x02\x58\0",
        b"\0\0\0\0",
        b"\x05\x06\0\0",
        b"\x1e\x07\x02\x58\0\0\0\0\xff",
        b"\x1e\x07\x02\x58\0\0\0\0" + b"x" * 201,
        b"\x1e\x07\x02\x58\0\0\0\0" + b"\xed\xa0\x80",
    ],
)
def test_wrong_parameters_are_damage(data: bytes) -> None:
    with pytest.raises(OSError, match="damaged"):
        DdcmParameters.unpack(data)


def test_any_bytes_are_parameters_or_damage() -> None:
    chooser = random.Random(3)
    read = 0
    for _ in range(2000):
        try:
            DdcmParameters.unpack(chooser.randbytes(chooser.randint(0, 20)))
            read += 1
        except OSError:
            pass
    assert 0 < read < 2000


@pytest.mark.parametrize("prompt", [3, "x" * 201, "\ud800", b"door"])
def test_wrong_prompts_are_refused(photo: Image.Image, prompt: Any) -> None:
    with pytest.raises(ValueError, match=r"prompt (is a text|has at most 200 characters)"):
        diffc.encode(photo, backend="ddcm", prompt=prompt)


def test_an_embedded_model_takes_no_prompt(photo: Image.Image, ddcm_model: str) -> None:
    for model in (None, ddcm_model):
        with pytest.raises(ValueError, match="takes no prompt: leave prompt out"):
            diffc.encode(photo, backend="ddcm", model=model, prompt="a red door")
    assert diffc.encode(photo, backend="ddcm", model=ddcm_model, prompt="", quality=5)


def test_a_prompt_in_a_file_of_an_embedded_model_is_damage(
    photo: Image.Image, ddcm_model: str
) -> None:
    pixels = to_tensor(from_pillow(photo, keep_alpha=False, convert_color=False))
    made = DdcmCodec(model=ddcm_model).encode(Picture(pixels), Rate(quality=5))
    parameters = made.parameters + bytes(4) + b"a red door"
    coded = Coded(made.payload, parameters, photo.size, 1, made.fingerprint)
    with pytest.raises(OSError, match="takes no prompt"):
        DdcmCodec.decode(coded, DecodeOptions())
