"""The cod codec: tokens as bytes, rates of several models, sizes, and hostile files."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import COD_MODEL
from make_cod_model import write_tiny
from PIL import Image

import diffc
from diffc.codec import Coded, DecodeOptions, Encoded, Picture, Rate
from diffc.codecs.cod.codec import CodCodec
from diffc.codecs.shared.models import fingerprint
from diffc.codecs.shared.tokens.fixed_length import pack, payload_length, unpack
from diffc.models.adding import add
from diffc.pictures.pixels import from_pillow, to_tensor

# stride and bits, by rising rate
RATES = ((32, 4), (16, 4), (8, 4))


@pytest.fixture
def options() -> dict[str, str]:
    return {"backend": "cod", "model": str(COD_MODEL)}


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with models of several rates, and something else."""
    directory = tmp_path_factory.mktemp("models")
    for stride, bits in RATES:
        write_tiny(directory / f"ds{stride}", stride, bits)
    (directory / "other").mkdir()
    (directory / "other" / "config.json").write_text('{"kind": "patch"}')
    return directory


def encoded(image: Image.Image, rate: Rate | None = None) -> Encoded:
    picture = from_pillow(image, keep_alpha=False, convert_color=False)
    return CodCodec(model=str(COD_MODEL)).encode(Picture(to_tensor(picture)), rate or Rate())


def coded(image: Image.Image, **changes: object) -> Coded:
    made = encoded(image)
    file = Coded(made.payload, made.parameters, image.size, 1, made.fingerprint)
    return replace(file, **changes)  # type: ignore[arg-type]


# tokens


@pytest.mark.parametrize("bits", [1, 4, 5, 8, 10, 16])
def test_tokens_are_packed_highest_bit_first_row_by_row(bits: int) -> None:
    source = random.Random(bits)
    tokens = torch.tensor([[source.randrange(1 << bits) for _ in range(7)] for _ in range(3)])
    text = "".join(f"{token:0{bits}b}" for token in tokens.flatten().tolist())
    length = -(-len(text) // 8)
    packed = int(text.ljust(8 * length, "0"), 2).to_bytes(length, "big")
    assert pack(tokens, bits) == packed
    assert payload_length(21, bits) == length
    assert torch.equal(unpack(packed, (3, 7), bits), tokens)


def test_what_is_no_grid_of_tokens_is_damage() -> None:
    assert unpack(b"\x12\x30", (1, 3), 4).tolist() == [[1, 2, 3]]
    for payload in (b"\x12", b"\x12\x30\x00", b""):
        with pytest.raises(OSError, match="3 tokens of 4 bits take 2 bytes, not"):
            unpack(payload, (1, 3), 4)
    with pytest.raises(OSError, match="the bits behind the last of 3 tokens are 0"):
        unpack(b"\x12\x31", (1, 3), 4)


# files


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (17, 31), (33, 2), (96, 64)])
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_sizes_and_modes_come_back(
    photo: Image.Image, options: dict[str, str], size: tuple[int, int], mode: str
) -> None:
    image = photo.resize(size).convert(mode)
    decoded = diffc.decode(diffc.encode(image, **options))
    assert (decoded.size, decoded.mode) == (size, mode)


def test_a_file_is_its_tokens_and_one_byte(photo: Image.Image, options: dict[str, str]) -> None:
    made = encoded(photo)
    # 6 x 4 tokens of 4 bits
    assert len(made.payload) == 12
    assert made.parameters == b"\x43"
    assert made.fingerprint == fingerprint(COD_MODEL)
    data = diffc.encode(photo, **options)
    assert data.count(made.payload) == 1
    assert len(data) - 12 <= 34
    info = diffc.info(data)
    assert (info.codec, info.bitstream_version) == ("cod", 1)


def test_tokens_carry_the_picture(photo: Image.Image, options: dict[str, str]) -> None:
    first, second = (
        np.asarray(diffc.decode(diffc.encode(each, **options)), float)
        for each in (photo, photo.rotate(180))
    )
    assert np.abs(first - second).max() > 20
    assert first.std() > 5


def test_a_padded_picture_repeats_its_border(photo: Image.Image) -> None:
    image = photo.crop((0, 0, 40, 30))
    array = np.pad(np.asarray(image), ((0, 2), (0, 8), (0, 0)), mode="edge")
    assert encoded(image).payload == encoded(Image.fromarray(array)).payload


def test_another_process_decodes_it(
    photo: Image.Image, options: dict[str, str], tmp_path: Path
) -> None:
    path, out = tmp_path / "a.diffc", tmp_path / "a.png"
    photo.save(path, **options)
    code = (
        "import sys; from PIL import Image; import diffc; Image.open(sys.argv[1]).save(sys.argv[2])"
    )
    subprocess.run([sys.executable, "-c", code, path, out], check=True)
    with Image.open(out) as decoded:
        here = np.asarray(diffc.decode(path), np.int16)
        assert np.abs(np.asarray(decoded, np.int16) - here).max() <= 1


def test_devices_are_asked_for(photo: Image.Image, options: dict[str, str]) -> None:
    data = diffc.encode(photo, device="cpu", **options)
    with pytest.raises(ValueError, match="device is one that torch has here, not 'nowhere'"):
        diffc.decode(data, device="nowhere")
    with pytest.raises(ValueError, match="device is one that torch has here, not 'nowhere'"):
        diffc.encode(photo, device="nowhere", **options)


# models and rates


@pytest.mark.usefixtures("own_store")
def test_without_a_model_the_caller_is_told_how_to_get_one(photo: Image.Image) -> None:
    assert diffc.codecs_available()["cod"].needs.startswith("a model: diffc models fetch cod-lite")
    with pytest.raises(ValueError, match=r"'cod' has no model of its own: .*'diffc models fetch'"):
        diffc.encode(photo, backend="cod")


def test_the_models_that_are_here_need_not_be_named(photo: Image.Image) -> None:
    assert diffc.codecs_available()["cod"].needs == ""
    named = diffc.encode(photo, backend="cod", model=str(COD_MODEL))
    assert diffc.encode(photo, backend="cod") == named


@pytest.mark.parametrize("model", ["", "no such model", "x" * 10**5])
def test_what_is_no_model_is_refused(photo: Image.Image, model: str) -> None:
    with pytest.raises(ValueError, match=r"model is .* or a directory with a config\.json"):
        diffc.encode(photo, backend="cod", model=model)


def test_a_model_of_another_kind_is_refused(photo: Image.Image, ddcm_model: str) -> None:
    with pytest.raises(ValueError, match="models are of kind 'cod'"):
        diffc.encode(photo, backend="cod", model=ddcm_model)


# the picture of the tests is 96 x 64: 3 x 2, 6 x 4 and 12 x 8 tokens
LENGTHS = (3, 12, 48)


@pytest.mark.parametrize(
    ("quality", "length"), [(0, 3), (30, 3), (34, 12), (50, 12), (66, 12), (67, 48), (100, 48)]
)
def test_the_quality_chooses_among_the_models(
    photo: Image.Image, collection: Path, quality: float, length: int
) -> None:
    data = diffc.encode(photo, backend="cod", model=str(collection), quality=quality)
    assert diffc.info(data).payload_bytes == length


@pytest.mark.parametrize("spare", [0, 1, 8])
@pytest.mark.parametrize("length", LENGTHS)
def test_a_target_takes_the_largest_that_fits(
    photo: Image.Image, collection: Path, length: int, spare: int
) -> None:
    least = len(diffc.encode(photo, backend="cod", model=str(collection), quality=0))
    target = least - LENGTHS[0] + length + spare
    data = diffc.encode(photo, backend="cod", model=str(collection), target_size=target)
    assert diffc.info(data).payload_bytes == length
    assert len(data) == target - spare


def test_a_rate_below_the_least_names_what_there_is(photo: Image.Image, collection: Path) -> None:
    least = len(diffc.encode(photo, backend="cod", model=str(collection), quality=0))
    says = rf"makes files of {least} to {least + 45} bytes \(.* bpp\) of this image"
    with pytest.raises(ValueError, match=says):
        diffc.encode(photo, backend="cod", model=str(collection), target_size=least - 1)


def test_small_pictures_take_no_fewer_bytes_at_a_higher_quality(
    photo: Image.Image, collection: Path
) -> None:
    for size in ((1, 1), (17, 40), (1, 130)):
        lengths = [
            len(diffc.encode(photo.resize(size), backend="cod", model=str(collection), quality=q))
            for q in (0, 50, 100)
        ]
        assert lengths == sorted(lengths)


@pytest.mark.parametrize("named", ["option", "environment"])
def test_a_file_decodes_with_a_directory_of_models(
    photo: Image.Image, collection: Path, monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    for quality in (0, 100):
        data = diffc.encode(photo, backend="cod", model=str(collection), quality=quality)
        with monkeypatch.context() as patch:
            patch.delenv("DIFFC_MODELS")
            if named == "environment":
                patch.setenv("DIFFC_MODELS", os.fspath(collection))
            with diffc.decoding(model=collection if named == "option" else None):
                assert diffc.decode(data).size == photo.size


def test_a_missing_model_is_named(
    photo: Image.Image, collection: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_tiny(tmp_path / "model", bits=5)
    data = diffc.encode(photo, backend="cod", model=str(folder))
    monkeypatch.delenv("DIFFC_MODELS")
    for model in (None, collection, COD_MODEL):
        with pytest.raises(OSError, match=f"model of fingerprint {fingerprint(folder).hex()}"):
            diffc.decode(data, model=model)
    assert diffc.decode(data, model=folder).size == photo.size


def test_models_of_the_store_go_by_the_beginning_of_their_names(
    photo: Image.Image, tmp_path: Path, own_store: Path
) -> None:
    for stride, bits in RATES:
        add(write_tiny(tmp_path / f"ds{stride}", stride, bits), f"some-{stride}.{bits}")
    assert own_store.is_dir()
    for quality, length in zip((0, 50, 100), LENGTHS, strict=True):
        data = diffc.encode(photo, backend="cod", model="some", quality=quality)
        assert diffc.info(data).payload_bytes == length
        assert diffc.decode(data).size == photo.size
        assert diffc.decode(data, model="some").size == photo.size
    alone = diffc.encode(photo, backend="cod", model="some-16.4", quality=100)
    assert diffc.info(alone).payload_bytes == 12
    with pytest.raises(ValueError, match=r"model is .* not 'som'"):
        diffc.encode(photo, backend="cod", model="som")


# hostile files


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"parameters": b""}, "has the parameters 43, not"),
        ({"parameters": b"\x44"}, "has the parameters 43, not 44"),
        ({"parameters": b"\x43" * 4000}, "has the parameters 43, not 4343434343434343:"),
        ({"payload": b""}, "24 tokens of 4 bits take 12 bytes, not 0"),
        ({"size": (96, 65)}, "30 tokens of 4 bits take 15 bytes, not 12"),
        ({"size": (2**31, 2**31)}, "exceeds twice PIL.Image.MAX_IMAGE_PIXELS"),
        ({"size": (1, 10**8)}, "exceeds twice PIL.Image.MAX_IMAGE_PIXELS"),
        ({"fingerprint": None}, "names no model"),
    ],
)
def test_what_the_encoder_did_not_write_is_damage(
    photo: Image.Image, changes: dict[str, object], says: str
) -> None:
    with pytest.raises(OSError, match=says):
        CodCodec.decode(coded(photo, **changes), DecodeOptions())


def test_any_payload_of_the_length_is_a_picture(photo: Image.Image) -> None:
    source = random.Random(6)
    for _ in range(20):
        made = CodCodec.decode(coded(photo, payload=source.randbytes(12)), DecodeOptions())
        assert made.shape == (3, 64, 96)
        assert 0 <= float(made.min()) <= float(made.max()) <= 1


def test_thin_pictures_too_large_when_padded_are_refused(
    options: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(ValueError, match=r"exceeds twice PIL\.Image\.MAX_IMAGE_PIXELS"):
        diffc.encode(Image.new("L", (1, 500)), **options)
