"""The perco codec: byte targets, prefixes, captions, its decode options and damaged payloads."""

from __future__ import annotations

import io
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import PERCO_MODEL
from PIL import Image, ImageFile
from torch import Tensor

import diffc
from diffc.codec import Coded, DecodeOptions, Encoded, Picture, Rate
from diffc.codecs.perco import model as token_model
from diffc.codecs.perco.bitstream import PercoParameters
from diffc.codecs.perco.codec import PercoCodec
from diffc.codecs.perco.model import TokenModel
from diffc.codecs.perco.packing import packed_bits
from diffc.codecs.shared.latents import pixels
from diffc.codecs.shared.models import load_once
from diffc.pictures.pixels import from_pillow, to_tensor

OPTIONS = {"backend": "perco", "model": str(PERCO_MODEL)}


def picture() -> Image.Image:
    """Noise in soft shapes, 200x140: every token of it is another."""
    values = np.random.default_rng(1).integers(0, 256, (18, 26), dtype=np.uint8)
    noise = Image.fromarray(values).resize((200, 140), Image.Resampling.BICUBIC)
    ramp = Image.linear_gradient("L").resize(noise.size)
    return Image.merge("RGB", (noise, noise.rotate(180), ramp))


def encoded(image: Image.Image, quality: float = 60, **options: object) -> Encoded:
    codec = PercoCodec(model=str(PERCO_MODEL), **options)  # type: ignore[arg-type]
    pixels = to_tensor(from_pillow(image, keep_alpha=False, convert_color=False))
    return codec.encode(Picture(pixels), Rate(quality=quality))


def model() -> TokenModel:
    return load_once(TokenModel, PERCO_MODEL, "cpu")


def difference(first: Image.Image, second: Image.Image) -> float:
    one, two = (np.asarray(each, dtype=float) for each in (first, second))
    return float(np.abs(one - two).mean())


@pytest.mark.parametrize("target", [60, 90, 153, 250])
def test_byte_targets_are_met_and_never_exceeded(target: int) -> None:
    length = len(diffc.encode(picture(), target_size=target, **OPTIONS))
    # a token costs at most ten bits, and the number of tokens a byte more at some point
    assert target - 3 <= length <= target


def test_unreachable_rates_name_the_reachable_range() -> None:
    for target in (20, 10**6):
        with pytest.raises(ValueError, match=r"makes files of \d+ to \d+ bytes") as caught:
            diffc.encode(picture(), target_size=target, **OPTIONS)
        low, high = (int(word) for word in str(caught.value).split(" bytes")[0].split()[-3::2])
        for reachable in (low, high):
            assert len(diffc.encode(picture(), target_size=reachable, **OPTIONS)) <= reachable


def test_quality_is_monotone_in_bytes() -> None:
    lengths = [len(diffc.encode(picture(), quality=q, **OPTIONS)) for q in range(0, 101, 10)]
    assert lengths == sorted(lengths)
    assert lengths[-1] > 5 * lengths[0]


def test_overhead_is_that_of_the_contract() -> None:
    info = diffc.info(diffc.encode(picture(), **OPTIONS))
    assert info.file_bytes - info.payload_bytes <= 34


@pytest.mark.parametrize("size", [(1, 1), (1, 70), (65, 3), (97, 61), (128, 64)])
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_sizes_and_modes_come_back(size: tuple[int, int], mode: str) -> None:
    image = picture().resize(size).convert(mode)
    made = diffc.decode(diffc.encode(image, quality=30, **OPTIONS))
    assert (made.size, made.mode) == (size, mode)


def test_more_tokens_are_nearer_to_the_picture() -> None:
    image = picture()
    found = [
        difference(image, diffc.decode(diffc.encode(image, quality=q, **OPTIONS), realism=0))
        for q in (0, 100)
    ]
    assert found[0] != found[1]


def test_the_shorter_coding_is_taken() -> None:
    smooth = Image.linear_gradient("L").resize((256, 192)).convert("RGB")
    forms = []
    values = np.random.default_rng(1).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    squares = Image.fromarray(values).resize((128, 96), Image.Resampling.NEAREST)
    for image in (squares, smooth):
        made = encoded(image, 100)
        found = PercoParameters.unpack(made.parameters)
        layout = model().layout(*image.size)
        packed = -(-packed_bits(layout, found.count) // 8)
        assert len(made.payload) <= packed
        assert found.modelled == (len(made.payload) < packed)
        forms.append(found.modelled)
    # smooth pictures are what the test model's index model knows
    assert forms == [False, True]


def test_a_seed_changes_the_noise_alone() -> None:
    first, second = (diffc.encode(picture(), seed=seed, **OPTIONS) for seed in (0, 5))
    assert len(second) == len(first) + 4
    assert difference(*(diffc.decode(each, realism=0) for each in (first, second))) == 0
    assert difference(*(diffc.decode(each) for each in (first, second))) > 0
    with pytest.raises(ValueError, match=r"seed is a whole number from 0 to 4294967295"):
        diffc.encode(picture(), seed=-1, **OPTIONS)


def test_decode_options_change_what_is_drawn() -> None:
    data = diffc.encode(picture(), **OPTIONS)
    drawn = diffc.decode(data)
    assert difference(drawn, diffc.decode(data)) == 0
    mean = diffc.decode(data, realism=0)
    for options in ({"steps": 1}, {"steps": 7}, {"guidance": 3.0}):
        assert difference(drawn, diffc.decode(data, **options)) > 0
    half = diffc.decode(data, realism=0.5)
    assert 0 < difference(half, mean) < difference(drawn, mean)


def test_captions_come_back_and_count() -> None:
    caption = "two boats with red sails on a calm lake below white mountains"
    data = diffc.encode(picture(), target_size=153, caption=caption, **OPTIONS)
    assert len(data) <= 153
    assert diffc.info(data).caption == caption
    with Image.open(io.BytesIO(data)) as image:
        assert image.info["caption"] == caption
    without = diffc.encode(picture(), **OPTIONS)
    with_one = diffc.encode(picture(), caption=caption, **OPTIONS)
    assert len(with_one) - len(without) <= 45
    assert difference(diffc.decode(with_one), diffc.decode(without)) == 0
    with pytest.raises(ValueError, match="at most 200 characters"):
        diffc.encode(picture(), caption="x" * 201, **OPTIONS)


def test_a_prefix_of_a_file_is_a_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    data = diffc.encode(picture(), quality=90, **OPTIONS)
    whole = diffc.decode(data, realism=0)
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    distances = []
    for part in (0.35, 0.7, 0.99):
        with (
            diffc.decoding(realism=0),
            Image.open(io.BytesIO(data[: int(part * len(data))])) as cut,
        ):
            distances.append(difference(cut, whole))
    assert distances == sorted(distances, reverse=True)
    assert distances[0] > 0


def test_another_process_makes_the_same_bytes_and_picture(tmp_path: Path) -> None:
    source, target = tmp_path / "a.png", tmp_path / "b.diffc"
    picture().save(source)
    script = (
        "import sys, diffc; from PIL import Image; import torch; torch.set_num_threads(1); "
        "diffc.save(Image.open(sys.argv[1]), sys.argv[2], backend='perco', model=sys.argv[3]); "
        "diffc.decode(sys.argv[2]).save(sys.argv[2] + '.png')"
    )
    command = [sys.executable, "-c", script, str(source), str(target), str(PERCO_MODEL)]
    subprocess.run(command, check=True)
    data = diffc.encode(picture(), **OPTIONS)
    assert target.read_bytes() == data
    with Image.open(f"{target}.png") as made:
        assert difference(made, diffc.decode(data)) <= 0.01


@pytest.mark.parametrize("steps", [1, 4])
def test_tiles_leave_no_trace(steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    data = diffc.encode(picture().resize((900, 640)), quality=40, **OPTIONS)
    whole = np.asarray(diffc.decode(data, steps=steps), dtype=float)
    monkeypatch.setattr(token_model, "DENOISER_TILE", 16)
    monkeypatch.setattr(pixels, "TILE", 16)
    tiles = []
    in_tiles = token_model.in_tiles

    def counted(network: Callable[..., Tensor], *latents: Tensor, **sizes: int) -> Tensor:
        def one(*parts: Tensor) -> Tensor:
            tiles.append(parts[0].shape)
            return network(*parts)

        return in_tiles(one, *latents, **sizes)

    monkeypatch.setattr(token_model, "in_tiles", counted)
    tiled = np.asarray(diffc.decode(data, steps=steps), dtype=float)
    # 60 x 40 positions
    assert len(tiles) == 12 * steps
    assert np.abs(whole - tiled).max() <= 2
    assert np.abs(whole - tiled).mean() <= 0.05


@pytest.mark.parametrize(
    "parameters", [b"", b"\x80", b"\x01", b"\x00\x00", b"\xff\xff\xff\xff\x7f", b"\xff" * 9]
)
def test_parameters_of_no_encoder_are_refused(parameters: bytes) -> None:
    good = encoded(picture())
    coded = Coded(good.payload, parameters, (200, 140), 1, good.fingerprint)
    with pytest.raises(OSError, match=r"[:]"):
        PercoCodec.decode(coded, DecodeOptions(model=str(PERCO_MODEL)))


def test_damaged_payloads_give_a_picture_or_an_oserror() -> None:
    generator = random.Random(4)
    good = encoded(picture())
    options = DecodeOptions(model=str(PERCO_MODEL), steps=1, realism=0.0)
    pictures = 0
    for _ in range(60):
        payload = bytearray(good.payload)
        parameters = bytearray(good.parameters)
        place = generator.choice((payload, payload, parameters))
        place[generator.randrange(len(place))] ^= 1 << generator.randrange(8)
        if generator.random() < 0.3:
            del payload[generator.randrange(len(payload)) :]
        coded = Coded(bytes(payload), bytes(parameters), (200, 140), 1, good.fingerprint)
        try:
            made = PercoCodec.decode(coded, options)
        except OSError:
            continue
        assert made.shape == (3, 140, 200)
        pictures += 1
    assert pictures > 5
