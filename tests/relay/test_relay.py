"""The relay codec: rates, determinism, its decode options, tiles, batches and hostile payloads."""

from __future__ import annotations

import io
import itertools
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import RELAY_MODEL
from photograph import drawn
from PIL import Image

import diffc
from diffc.codec import Coded, DecodeOptions, Encoded, Picture, Rate
from diffc.codecs.relay import decoder, rate_search
from diffc.codecs.relay import model as restoring_model
from diffc.codecs.relay.bitstream import SCALES
from diffc.codecs.relay.codec import RelayCodec
from diffc.codecs.relay.rate_search import Trials, at_quality, base_size
from diffc.codecs.shared.base_pictures.coders import base_coder
from diffc.codecs.shared.pictures import grey_or_color
from diffc.pictures.pixels import from_pillow, to_tensor


@pytest.fixture
def options(model: str) -> dict[str, str]:
    return {"backend": "relay", "model": model}


def encoded(image: Image.Image, **options: object) -> Encoded:
    picture = from_pillow(image, keep_alpha=False, convert_color=False)
    codec = RelayCodec(model=str(RELAY_MODEL), **options)  # type: ignore[arg-type]
    return codec.encode(Picture(to_tensor(picture)), Rate(quality=40))


def difference(first: Image.Image, second: Image.Image) -> int:
    one, two = (np.asarray(each, dtype=np.int16) for each in (first, second))
    return int(np.abs(one - two).max())


@pytest.mark.parametrize("target", [150, 400, 1200])
def test_byte_targets_are_never_exceeded(
    photo: Image.Image, options: dict[str, str], target: int
) -> None:
    # one step of the base's quality is a few per cent, and few bytes are many per cent
    assert 0.75 * target <= len(diffc.encode(photo, target_size=target, **options)) <= target


def test_a_rate_below_the_least_names_it(photo: Image.Image, options: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"makes files of \d+ to \d+ bytes") as caught:
        diffc.encode(photo, target_size=40, **options)
    least = int(str(caught.value).split(" bytes")[0].split()[-3])
    assert len(diffc.encode(photo, target_size=least, **options)) <= least


def test_bytes_rise_along_the_qualities(photo: Image.Image, options: dict[str, str]) -> None:
    lengths = [len(diffc.encode(photo, quality=quality, **options)) for quality in range(0, 101, 5)]
    assert lengths == sorted(lengths)
    assert lengths[-1] > 4 * lengths[0]


def noise() -> Image.Image:
    return Image.effect_noise((96, 64), 90).convert("RGB")


@pytest.mark.parametrize("picture", ["photo", "noise", "thin"])
@pytest.mark.parametrize("scale", [None, 2.0])
@pytest.mark.parametrize("base", ["av1", "hevc"])
def test_bytes_never_fall_where_the_quality_rises(
    photo: Image.Image, picture: str, scale: float | None, base: str
) -> None:
    if base == "hevc":
        pytest.importorskip("pillow_heif")
    image = {"photo": photo, "noise": noise(), "thin": photo.resize((17, 9))}[picture]
    trials = Trials(base_coder(base), image, scale)
    found = [
        at_quality(trials, quality) for quality in (0, 9, 10, 10.5, 20, 32, 32.5, 50, 60, 61, 100)
    ]
    lengths = [trials.length(*each) for each in found]
    assert lengths == sorted(lengths)
    assert {each for each, _ in found} <= ({scale} if scale else set(SCALES))
    assert lengths[-1] >= trials.length(trials.scales[0], trials.last) or picture == "thin"


def test_the_named_least_size_is_reached(options: dict[str, str]) -> None:
    # noise, of which a smaller picture is not a smaller file
    for size in ((96, 64), (256, 256)):
        image = Image.effect_noise(size, 90).convert("RGB")
        with pytest.raises(ValueError, match=r"makes files of \d+ to \d+ bytes") as caught:
            diffc.encode(image, target_size=30, **options)
        least, most = (int(word) for word in str(caught.value).split(" bytes")[0].split()[-3::2])
        for target in (least, least + 3, most):
            assert len(diffc.encode(image, target_size=target, **options)) <= target


def test_sides_beyond_the_standard_are_made_smaller_or_refused(options: dict[str, str]) -> None:
    long = Image.new("RGB", (1, 40000), "teal")
    assert diffc.decode(diffc.encode(long, quality=100, **options)).size == (1, 40000)
    with pytest.raises(ValueError, match="sides of at most 32768"):
        diffc.encode(Image.new("RGB", (1, 100000)), quality=50, **options)


@pytest.mark.parametrize(
    ("side", "scale", "expected"),
    [(1, 3.0, 1), (3, 2.0, 2), (5, 2.0, 3), (768, 1.5, 512), (767, 1.5, 511), (7, 3.0, 2)],
)
def test_the_size_of_a_base_is_exact(side: int, scale: float, expected: int) -> None:
    assert base_size((side, 1), scale) == (expected, 1)


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (17, 31), (33, 2), (96, 64)])
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_sizes_and_modes_come_back(
    photo: Image.Image, options: dict[str, str], size: tuple[int, int], mode: str
) -> None:
    image = photo.resize(size).convert(mode)
    decoded = diffc.decode(diffc.encode(image, quality=60, **options))
    assert (decoded.size, decoded.mode) == (size, mode)


def test_grey_is_coded_without_colour(photo: Image.Image) -> None:
    grey = photo.convert("L")
    first = encoded(grey)
    assert first.parameters[0] >> 5 & 1
    assert len(first.payload) < len(encoded(photo).payload)
    tensor = to_tensor(from_pillow(grey.convert("RGB"), keep_alpha=False, convert_color=False))
    assert grey_or_color(tensor).mode == "L"


def test_equal_input_gives_equal_bytes_and_the_seed_counts(
    photo: Image.Image, options: dict[str, str]
) -> None:
    first = diffc.encode(photo, quality=30, **options)
    assert diffc.encode(photo, quality=30, **options) == first
    seeded = diffc.encode(photo, quality=30, seed=7, **options)
    assert len(seeded) == len(first) + 4
    assert difference(diffc.decode(seeded), diffc.decode(first)) > 0


def test_realism_goes_continuously_from_the_mean(
    photo: Image.Image, options: dict[str, str]
) -> None:
    data = diffc.encode(photo, quality=30, scale=1.5, **options)
    # without noise nothing depends on the seed
    other = diffc.encode(photo, quality=30, scale=1.5, seed=5, **options)
    mean = diffc.decode(data, realism=0)
    assert mean.tobytes() == diffc.decode(other, realism=0).tobytes()
    assert diffc.decode(data, realism=1).tobytes() != diffc.decode(other, realism=1).tobytes()
    steps = [0, 0.02, 0.5, 0.52, 1]
    made = [np.asarray(diffc.decode(data, realism=r), dtype=float) for r in steps]
    moved = [float(np.abs(b - a).mean()) for a, b in itertools.pairwise(made)]
    assert moved[0] < 0.3 * moved[1]
    assert moved[2] < 0.3 * moved[3]
    with pytest.raises(ValueError, match="realism is 0 to 1"):
        diffc.decode(data, realism=1.5)


def test_there_is_one_step(photo: Image.Image, options: dict[str, str]) -> None:
    data = diffc.encode(photo, quality=50, **options)
    assert diffc.decode(data, steps=1).tobytes() == diffc.decode(data).tobytes()
    with pytest.raises(ValueError, match="one step, not in 2"):
        diffc.decode(data, steps=2)


def test_progress_ends_with_the_step(photo: Image.Image, options: dict[str, str]) -> None:
    data = diffc.encode(photo, quality=30, **options)
    seen: list[tuple[int, int]] = []
    diffc.decode(data, progress=lambda step, total: seen.append((step, total)))
    assert seen == [(0, 1), (1, 1)]


def test_tiles_leave_no_trace(
    photo: Image.Image, options: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    large = photo.resize((620, 430), Image.Resampling.BICUBIC)
    data = diffc.encode(large, quality=40, **options)
    whole = diffc.decode(data)
    monkeypatch.setattr(restoring_model.RestoringModel, "largest", 160)
    monkeypatch.setattr(restoring_model.RestoringModel, "whole", 160)
    assert difference(diffc.decode(data), whole) <= 1


def test_noise_does_not_depend_on_the_pieces_it_is_made_in(
    photo: Image.Image, options: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = diffc.encode(photo, quality=40, seed=3, **options)
    whole = diffc.decode(data)
    monkeypatch.setattr(decoder, "_PIECE", 700)
    assert difference(diffc.decode(data), whole) == 0


def test_batches_have_the_same_bytes_and_pixels(
    photo: Image.Image, options: dict[str, str]
) -> None:
    images = [photo, photo.rotate(180), photo.convert("L"), photo.resize((50, 30))]
    files = diffc.encode_batch(images, quality=40, **options)
    assert files == [diffc.encode(image, quality=40, **options) for image in images]
    for data, together in zip(files, diffc.decode_batch(files), strict=True):
        alone = diffc.decode(data)
        assert (together.size, together.mode) == (alone.size, alone.mode)
        assert difference(together, alone) <= 1
        assert together.info["diffc"]["codec"] == "relay"
    arrays = diffc.decode_batch([files[0], files[3]], to="numpy")
    assert [array.shape for array in arrays] == [(64, 96, 3), (30, 50, 3)]


def test_files_of_several_codecs_decode_in_one_batch(
    photo: Image.Image, options: dict[str, str], ddcm_model: str
) -> None:
    files = [
        diffc.encode(photo, quality=30, **options),
        diffc.encode(photo, backend="ddcm", model=ddcm_model, quality=30),
        diffc.encode(photo, quality=20, **options),
    ]
    codecs = [image.info["diffc"]["codec"] for image in diffc.decode_batch(files)]
    assert codecs == ["relay", "ddcm", "relay"]


@pytest.mark.parametrize("order", [["large"], ["large"] * 2, ["small", "ddcm", "ddcm", "large"]])
def test_progress_of_a_batch_is_one_count(
    photo: Image.Image, options: dict[str, str], ddcm_model: str, order: list[str]
) -> None:
    files = {
        "ddcm": diffc.encode(photo, backend="ddcm", model=ddcm_model, quality=10),
        "small": diffc.encode(photo.resize((50, 30)), quality=30, **options),
        "large": diffc.encode(photo, quality=30, **options),
    }
    told: list[tuple[int, int]] = []
    batch = [files[name] for name in order]
    diffc.decode_batch(batch, progress=lambda step, total: told.append((step, total)))
    steps = [step for step, _ in told]
    assert steps == sorted(steps)
    assert len({total for _, total in told}) == 1
    assert (steps[0], steps[-1]) == (0, told[-1][1])


def test_a_missing_model_is_named(
    photo: Image.Image, options: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = diffc.encode(photo, quality=30, **options)
    monkeypatch.delenv("DIFFC_MODELS")
    with pytest.raises(OSError, match=r"model of fingerprint [0-9a-f]{8}"):
        diffc.decode(data)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("base", "jpeg2000", "base is av1, hevc, jpeg, webp, jxl, or another codec"),
        ("scale", 2.5, "scale is 1, 1.5, 2 or 3"),
        ("scale", True, "scale is"),
        ("seed", -1, "seed is a whole number"),
        ("speed", 11, "speed is a whole number from 0 to 10"),
        ("speed", True, "speed is a whole number"),
    ],
)
def test_wrong_options_are_refused(
    photo: Image.Image, options: dict[str, str], name: str, value: object, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        diffc.encode(photo, **options, **{name: value})


def test_speed_is_that_of_av1(photo: Image.Image, options: dict[str, str]) -> None:
    usual = diffc.encode(photo, quality=40, **options)
    assert diffc.encode(photo, quality=40, speed=4, **options) == usual
    slow = diffc.encode(photo, quality=40, speed=3, **options)
    assert slow != usual
    assert diffc.decode(slow).size == photo.size
    with pytest.raises(ValueError, match="speed is that of base 'av1'"):
        diffc.encode(photo, base="hevc", speed=6, **options)


@pytest.mark.parametrize(
    "parameters", [b"", b"\0", b"\0\0\0", b"\x80\0", b"\x40\0", b"\x40\0abc", b"\x07\0"]
)
def test_wrong_parameters_are_damage(photo: Image.Image, parameters: bytes) -> None:
    made = encoded(photo)
    coded = Coded(made.payload, parameters, photo.size, 1, made.fingerprint)
    with pytest.raises(OSError, match=r"\w"):
        RelayCodec.decode(coded, DecodeOptions())


def test_damaged_payloads_are_refused_or_decode_to_the_size(photo: Image.Image) -> None:
    made = encoded(photo)
    chooser = random.Random(4)
    refused = 0
    for _ in range(150):
        payload = bytearray(made.payload)
        for _ in range(chooser.randint(1, 4)):
            payload[chooser.randrange(len(payload))] = chooser.randrange(256)
        if chooser.random() < 0.2:
            del payload[chooser.randrange(len(payload)) :]
        coded = Coded(bytes(payload), made.parameters, photo.size, 1, made.fingerprint)
        try:
            pixels = RelayCodec.decode(coded, DecodeOptions())
        except OSError:
            refused += 1
        else:
            assert tuple(pixels.shape) == (3, photo.height, photo.width)
            assert bool(torch.isfinite(pixels).all())
    assert refused > 0


def test_another_process_decodes_it(
    photo: Image.Image, options: dict[str, str], tmp_path: Path
) -> None:
    path = tmp_path / "a.diffc"
    diffc.save(photo, path, quality=40, **options)
    code = (
        "import sys, diffc; from PIL import Image; im = Image.open(sys.argv[1]);"
        "im.load(); im.save(sys.argv[2])"
    )
    out = tmp_path / "a.png"
    subprocess.run([sys.executable, "-c", code, str(path), str(out)], check=True)
    with Image.open(out) as decoded:
        assert difference(decoded, diffc.decode(path)) <= 1


def test_hevc_is_used_only_when_it_is_asked_for(
    photo: Image.Image, options: dict[str, str]
) -> None:
    pytest.importorskip("pillow_heif")
    data = diffc.encode(photo, quality=40, base="hevc", **options)
    assert diffc.decode(data).size == photo.size
    assert encoded(photo).parameters[0] & 7 == base_coder("av1").identifier
    assert encoded(photo, base="hevc").parameters[0] & 7 == base_coder("hevc").identifier


@pytest.mark.parametrize("room", [250, 400, 1000, 3000, 9000])
def test_rate_control_needs_few_encodes(room: int) -> None:
    trials = Trials(base_coder("av1"), drawn((384, 256), "RGB"))
    found = rate_search.fit(trials, room)
    assert found is not None
    scale, index = found
    assert trials.length(scale, index) <= room
    assert len(trials.made) <= 5
    # nothing that fits lies between, or it is not worth an encode
    following = trials.length(scale, index + 1)
    assert following > room or trials.length(scale, index) >= 0.95 * room


def test_a_stream_of_nothing_is_damage(photo: Image.Image) -> None:
    made = encoded(photo)
    for payload in (b"", b"\0"):
        coded = Coded(payload, made.parameters, photo.size, 1, made.fingerprint)
        with pytest.raises(OSError, match=r"\w"):
            RelayCodec.decode(coded, DecodeOptions())


def test_a_file_object_is_written_and_read(photo: Image.Image, options: dict[str, str]) -> None:
    file = io.BytesIO()
    photo.save(file, "DIFFC", quality=40, **options)
    with Image.open(io.BytesIO(file.getvalue())) as image:
        assert image.info["diffc"] == {"codec": "relay", "generative": True}


def test_a_bad_file_of_a_batch_is_named(
    photo: Image.Image, options: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    good = diffc.encode(photo, quality=30, **options)
    alone = Path(RELAY_MODEL)
    other = diffc.encode(photo, backend="ddcm", model=str(alone.parent / "model"), quality=30)
    monkeypatch.setenv("DIFFC_MODELS", str(alone))
    with pytest.raises(
        OSError, match="file 1 of the batch, from 0: the file was made with a model"
    ):
        diffc.decode_batch([good, other])


def test_a_model_of_another_kind_is_refused(photo: Image.Image, ddcm_model: str) -> None:
    with pytest.raises(ValueError, match="models are of kind 'restoring'"):
        diffc.encode(photo, backend="relay", model=ddcm_model)


def test_grey_stays_grey(photo: Image.Image, options: dict[str, str]) -> None:
    made = np.asarray(diffc.decode(diffc.encode(photo.convert("L").convert("RGB"), **options)))
    assert np.array_equal(made[..., 0], made[..., 1])
    assert np.array_equal(made[..., 1], made[..., 2])
