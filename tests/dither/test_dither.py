"""The dither codec: rates, options, what decoding shows, and other numbers than the encoder's."""

from __future__ import annotations

import io
import itertools
import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageFile

import diffc
from diffc.codec import Coded, DecodeOptions, Encoded, Picture, Rate
from diffc.codecs.dither.bitstream import STEP_COUNT, DitherParameters
from diffc.codecs.dither.codec import DitherCodec
from diffc.codecs.shared.latents import models as latent_models
from diffc.codecs.shared.models import fingerprint
from diffc.pictures.pixels import from_pillow, to_tensor


def psnr(first: Image.Image, second: Image.Image) -> float:
    difference = np.asarray(first, dtype=float) - np.asarray(second, dtype=float)
    return 10 * math.log10(255**2 / float(np.mean(difference**2)))


def encoded(photo: Image.Image, model: str, quality: float, **options: Any) -> Encoded:
    pixels = to_tensor(from_pillow(photo, keep_alpha=False, convert_color=False))
    return DitherCodec(model=model, **options).encode(Picture(pixels), Rate(quality=quality))


@pytest.mark.parametrize("target", [150, 300, 900, 2000])
def test_byte_targets_are_met_and_never_exceeded(
    photo: Image.Image, ddcm_model: str, target: int
) -> None:
    image = photo.resize((384, 256), Image.Resampling.BICUBIC)
    length = len(diffc.encode(image, backend="dither", target_size=target, model=ddcm_model))
    assert 0.98 * target - 1 <= length <= target


@pytest.mark.parametrize("rate", [{"bpp": 1e-6}, {"target_size": 30}, {"target_size": 10**7}])
def test_unreachable_rates_name_the_reachable_range(
    photo: Image.Image, ddcm_model: str, rate: dict[str, float]
) -> None:
    with pytest.raises(ValueError, match=r"makes files of \d+ to \d+ bytes") as caught:
        diffc.encode(photo, backend="dither", model=ddcm_model, **rate)
    low, high = (int(word) for word in str(caught.value).split(" bytes")[0].split()[-3::2])
    assert len(diffc.encode(photo, backend="dither", target_size=low, model=ddcm_model)) <= low
    assert len(diffc.encode(photo, backend="dither", target_size=high, model=ddcm_model)) <= high


def test_quality_is_monotone_in_bytes_and_in_psnr(photo: Image.Image, ddcm_model: str) -> None:
    image = photo.resize((384, 256), Image.Resampling.BICUBIC)
    files = [
        diffc.encode(image, backend="dither", quality=quality, model=ddcm_model)
        for quality in range(0, 101, 20)
    ]
    lengths = [len(file) for file in files]
    assert lengths == sorted(lengths)
    assert lengths[0] < lengths[-1] / 5
    distances = [psnr(image, diffc.decode(file)) for file in files]
    assert distances == sorted(distances)


def test_no_step_shows_the_dequantised_latent_and_steps_denoise(
    photo: Image.Image, ddcm_model: str
) -> None:
    image = photo.resize((384, 256), Image.Resampling.BICUBIC)
    data = diffc.encode(image, backend="dither", dither="all", quality=40, model=ddcm_model)
    shown = {steps: psnr(image, diffc.decode(data, steps=steps)) for steps in (0, 1, 3)}
    assert shown[1] > shown[0] + 0.3
    assert shown[3] > shown[0]
    assert np.array_equal(diffc.decode(data), diffc.decode(data, steps=1))
    for codec in ("ddcm", "perco"):
        other = diffc.encode(photo, backend=codec, quality=0)
        with pytest.raises(ValueError, match="at least 1 step, not 0"):
            diffc.decode(other, steps=0)


def test_realism_goes_from_the_latent_to_the_learned_synthesis(photo: Image.Image) -> None:
    data = diffc.encode(photo, backend="dither", quality=60)
    plain, half, learned = (
        np.asarray(diffc.decode(data, realism=realism), float) for realism in (0, 0.5, 1)
    )
    assert np.abs(plain - learned).max() > 2
    assert np.abs((plain + learned) / 2 - half).max() <= 2
    assert np.array_equal(plain, np.asarray(diffc.decode(data), float))


@pytest.mark.parametrize("dither", ["smooth", "all", "none"])
def test_other_numbers_of_the_network_move_the_picture_little(
    photo: Image.Image, ddcm_model: str, dither: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As another device would: noise of 1e-3 in the estimates; what was read is the same."""
    image = photo.resize((192, 128), Image.Resampling.BICUBIC)
    data = diffc.encode(image, backend="dither", dither=dither, quality=60, model=ddcm_model)
    before = psnr(image, diffc.decode(data, steps=3))
    model = latent_models.load(Path(ddcm_model), "cpu", "")
    original, calls = model.denoiser, []
    generator = torch.Generator().manual_seed(0)

    def noisy(x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        estimate = original(x, sigma)
        calls.append(1)
        noise = torch.randn(estimate.shape, generator=generator)
        return estimate + 1e-3 * estimate.square().mean().sqrt() * noise

    monkeypatch.setattr(model, "denoiser", noisy)
    after = psnr(image, diffc.decode(data, steps=3))
    assert len(calls) == 3
    assert after != before
    assert abs(after - before) < 0.5


def test_a_region_of_interest_gets_the_bytes(photo: Image.Image, ddcm_model: str) -> None:
    image = photo.resize((384, 256), Image.Resampling.BICUBIC)
    mask = Image.new("L", image.size, 20)
    mask.paste(255, (0, 0, 192, 256))
    inside = (0, 0, 192, 256)
    options = {"backend": "dither", "target_size": 500, "model": ddcm_model}
    plain = diffc.decode(diffc.encode(image, **options)).crop(inside)
    favoured = diffc.decode(diffc.encode(image, roi=mask, **options)).crop(inside)
    part = image.crop(inside)
    assert psnr(part, favoured) > psnr(part, plain) + 0.3


def test_every_prefix_decodes_and_longer_ones_are_no_worse(
    photo: Image.Image, ddcm_model: str
) -> None:
    whole = encoded(photo, ddcm_model, 80)
    pixels = to_tensor(from_pillow(photo, keep_alpha=False, convert_color=False))
    errors = []
    for length in range(0, len(whole.payload), max(1, len(whole.payload) // 12)):
        coded = Coded(
            whole.payload[:length], whole.parameters, photo.size, 1, whole.fingerprint, True
        )
        errors.append(float((DitherCodec.decode(coded, DecodeOptions()) - pixels).square().mean()))
    assert errors[-1] < errors[0] / 20
    assert all(later <= 1.05 * earlier for earlier, later in itertools.pairwise(errors))


def test_a_truncated_file_opens_only_where_pillow_is_told_so(
    photo: Image.Image, ddcm_model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = diffc.encode(photo, backend="dither", target_size=600, model=ddcm_model)[:400]
    with pytest.raises(OSError, match="truncated"):
        Image.open(io.BytesIO(data)).load()
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    image = Image.open(io.BytesIO(data))
    image.load()
    assert psnr(photo, image) > 13  # nothing coded gives less than 11.5


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (17, 31), (129, 34)])
@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "CMYK"])
def test_sizes_and_modes_come_back(
    photo: Image.Image, ddcm_model: str, size: tuple[int, int], mode: str
) -> None:
    image = diffc.decode(
        diffc.encode(
            photo.resize(size).convert(mode), backend="dither", quality=10, model=ddcm_model
        )
    )
    assert (image.size, image.mode) == (size, "RGB" if mode == "CMYK" else mode)


def test_a_seed_changes_the_file_and_travels_with_it(photo: Image.Image, ddcm_model: str) -> None:
    first, second = (encoded(photo, ddcm_model, 60, seed=seed) for seed in (0, 7))
    assert first.payload != second.payload
    assert len(second.parameters) == len(first.parameters) + 4


@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1])
@pytest.mark.parametrize("components", [True, False])
def test_parameters_come_back(seed: int, components: bool) -> None:
    parameters = DitherParameters(STEP_COUNT - 1, 999, 0xFFFF, components, seed)
    packed = parameters.pack()
    assert DitherParameters.unpack(packed) == parameters
    assert len(packed) == (10 if seed else 6)


def test_any_bytes_are_parameters_or_damage() -> None:
    chooser = random.Random(3)
    read = 0
    for _ in range(2000):
        try:
            DitherParameters.unpack(chooser.randbytes(chooser.randint(0, 12)))
            read += 1
        except OSError:
            pass
    assert 0 < read < 2000


def test_a_noise_level_that_the_model_has_not_is_damage(
    photo: Image.Image, ddcm_model: str
) -> None:
    parameters = DitherParameters(500, 60_000, 0, True, 0).pack()
    coded = Coded(b"", parameters, photo.size, 1, fingerprint(Path(ddcm_model)))
    with pytest.raises(OSError, match="noise levels"):
        DitherCodec.decode(coded, DecodeOptions())


def test_a_stream_that_never_ends_is_refused_soon(ddcm_model: str) -> None:
    payload = random.Random(0).randbytes(100)
    parameters = DitherParameters(500, 10, 0xFFFF, True, 0).pack()
    coded = Coded(payload, parameters, (2000, 2000), 1, fingerprint(Path(ddcm_model)))
    with pytest.raises(OSError, match="ends before its planes"):
        DitherCodec.decode(coded, DecodeOptions())


@pytest.mark.parametrize(
    "options", [{"dither": "some"}, {"saving": -1}, {"seed": -1}, {"saving": "0"}]
)
def test_wrong_options_are_refused(photo: Image.Image, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        diffc.encode(photo, backend="dither", **options)
