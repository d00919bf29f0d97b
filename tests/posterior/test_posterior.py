"""The posterior codec: rates, progressive decoding, regions, and other numbers than the encoder's."""

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
from diffc.codecs.posterior.bitstream import PosteriorParameters
from diffc.codecs.posterior.codec import PosteriorCodec
from diffc.codecs.shared.latents import models as latent_models
from diffc.codecs.shared.models import fingerprint
from diffc.pictures.pixels import from_pillow, to_tensor

# a walk to the end with few candidates: what is tried does not depend on their number
FAST: dict[str, Any] = {"chunk_bits": 8, "steps": 15}


def psnr(first: Image.Image, second: Image.Image) -> float:
    difference = np.asarray(first, dtype=float) - np.asarray(second, dtype=float)
    return 10 * math.log10(255**2 / float(np.mean(difference**2)))


def encoded(photo: Image.Image, model: str, quality: float, **options: Any) -> Encoded:
    pixels = to_tensor(from_pillow(photo, keep_alpha=False, convert_color=False))
    return PosteriorCodec(model=model, **options).encode(Picture(pixels), Rate(quality=quality))


@pytest.mark.parametrize("target", [120, 200, 500, 900])
def test_byte_targets_are_met_and_never_exceeded(
    photo: Image.Image, ddcm_model: str, target: int
) -> None:
    length = len(diffc.encode(photo, backend="posterior", target_size=target, model=ddcm_model))
    # an index takes two bytes at most
    assert 0.98 * target - 3 <= length <= target


@pytest.mark.parametrize("rate", [{"bpp": 1e-6}, {"target_size": 28}, {"target_size": 10**7}])
def test_unreachable_rates_name_the_reachable_range(
    photo: Image.Image, ddcm_model: str, rate: dict[str, float]
) -> None:
    options: dict[str, Any] = {"backend": "posterior", "model": ddcm_model} | FAST
    with pytest.raises(ValueError, match=r"makes files of \d+ to \d+ bytes") as caught:
        diffc.encode(photo, **options, **rate)
    low, high = (int(word) for word in str(caught.value).split(" bytes")[0].split()[-3::2])
    for reach in (low, high):
        data = diffc.encode(photo, target_size=reach, **options)
        assert len(data) <= reach


def test_quality_is_monotone_in_bytes_and_in_psnr(photo: Image.Image, ddcm_model: str) -> None:
    files = [
        diffc.encode(photo, backend="posterior", quality=quality, model=ddcm_model, **FAST)
        for quality in range(0, 101, 25)
    ]
    lengths = [len(file) for file in files]
    assert lengths == sorted(lengths)
    assert lengths[0] < lengths[-1] / 5
    distances = [psnr(photo, diffc.decode(file)) for file in files]
    assert distances == sorted(distances)


@pytest.mark.parametrize("options", [{"chunk_bits": 8}, {"chunk_bits": 12}, {"steps": 7}])
def test_options_travel_with_the_file(
    photo: Image.Image, ddcm_model: str, options: dict[str, Any]
) -> None:
    data = diffc.encode(photo, backend="posterior", quality=60, model=ddcm_model, **options)
    assert psnr(photo, diffc.decode(data)) > 14


def test_gaussian_candidates_code_as_well(photo: Image.Image, ddcm_model: str) -> None:
    options = {"backend": "posterior", "target_size": 200, "chunk_bits": 8, "model": ddcm_model}
    found = {
        kind: psnr(photo, diffc.decode(diffc.encode(photo, candidates=kind, **options)))
        for kind in ("hadamard", "gaussian")
    }
    assert abs(found["hadamard"] - found["gaussian"]) < 2
    assert min(found.values()) > 13


def test_other_numbers_of_the_network_move_the_picture_little(
    photo: Image.Image, ddcm_model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As another device would: noise of 1e-3 in the estimates; what was read is the same."""
    data = diffc.encode(photo, backend="posterior", quality=60, model=ddcm_model)
    before = psnr(photo, diffc.decode(data))
    model = latent_models.load(Path(ddcm_model), "cpu", "")
    original, calls = model.denoiser, []
    generator = torch.Generator().manual_seed(0)

    def noisy(x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        estimate = original(x, sigma)
        calls.append(1)
        noise = torch.randn(estimate.shape, generator=generator)
        return estimate + 1e-3 * estimate.square().mean().sqrt() * noise

    monkeypatch.setattr(model, "denoiser", noisy)
    # a stream that was read otherwise would raise, or show noise
    after = psnr(photo, diffc.decode(data))
    assert len(calls) > 10
    assert after != before
    assert abs(after - before) < 0.5


def test_a_region_of_interest_gets_the_bytes(photo: Image.Image, ddcm_model: str) -> None:
    mask = Image.new("L", photo.size, 20)
    mask.paste(255, (0, 0, 48, 64))
    inside = (0, 0, 48, 64)
    options = {"backend": "posterior", "target_size": 300, "model": ddcm_model}
    plain = diffc.decode(diffc.encode(photo, **options)).crop(inside)
    favoured = diffc.decode(diffc.encode(photo, roi=mask, **options)).crop(inside)
    assert psnr(photo.crop(inside), favoured) > psnr(photo.crop(inside), plain) + 0.3


def test_every_prefix_decodes_and_longer_ones_are_no_worse(
    photo: Image.Image, ddcm_model: str
) -> None:
    whole = encoded(photo, ddcm_model, 70)
    pixels = to_tensor(from_pillow(photo, keep_alpha=False, convert_color=False))
    errors = []
    for length in range(0, len(whole.payload), max(1, len(whole.payload) // 12)):
        coded = Coded(
            whole.payload[:length], whole.parameters, photo.size, 1, whole.fingerprint, True
        )
        made = PosteriorCodec.decode(coded, DecodeOptions())
        errors.append(float((made - pixels).square().mean()))
    assert errors[-1] < errors[0] / 5
    # a step more may cost a little where it codes next to nothing
    assert all(later <= 1.3 * earlier for earlier, later in itertools.pairwise(errors))


def test_a_truncated_file_opens_only_where_pillow_is_told_so(
    photo: Image.Image, ddcm_model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = diffc.encode(photo, backend="posterior", target_size=500, model=ddcm_model)[:300]
    with pytest.raises(OSError, match="truncated"):
        Image.open(io.BytesIO(data)).load()
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    image = Image.open(io.BytesIO(data))
    image.load()
    assert psnr(photo, image) > 12.5  # nothing coded gives less than 11.5


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (17, 31), (129, 34)])
@pytest.mark.parametrize("mode", ["L", "RGBA", "CMYK"])
def test_sizes_and_modes_come_back(
    photo: Image.Image, ddcm_model: str, size: tuple[int, int], mode: str
) -> None:
    image = photo.resize(size).convert(mode)
    data = diffc.encode(image, backend="posterior", quality=10, model=ddcm_model)
    made = diffc.decode(data)
    assert (made.size, made.mode) == (size, "RGB" if mode == "CMYK" else mode)


def test_a_seed_changes_the_file_and_travels_with_it(photo: Image.Image, ddcm_model: str) -> None:
    first, second = (encoded(photo, ddcm_model, 60, seed=seed) for seed in (0, 7))
    assert first.payload != second.payload
    assert len(second.parameters) == len(first.parameters) + 4


@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1])
def test_parameters_come_back(seed: int) -> None:
    for kind in ("hadamard", "gaussian"):
        parameters = PosteriorParameters(30, 7, 600, 12, kind, seed)
        packed = parameters.pack()
        assert PosteriorParameters.unpack(packed) == parameters
        assert len(packed) == (9 if seed else 5)


def test_any_bytes_are_parameters_or_damage() -> None:
    chooser = random.Random(3)
    read = 0
    for _ in range(4000):
        try:
            PosteriorParameters.unpack(chooser.randbytes(chooser.choice((0, 4, 5, 6, 9, 12))))
            read += 1
        except OSError:
            pass
    assert 0 < read < 4000


@pytest.mark.parametrize("seed", range(4))
def test_a_stream_that_never_ends_is_refused_soon(ddcm_model: str, seed: int) -> None:
    payload = random.Random(seed).randbytes(300)
    parameters = PosteriorParameters(255, 255, 0, 12, "hadamard", 0).pack()
    coded = Coded(payload, parameters, (640, 640), 1, fingerprint(Path(ddcm_model)))
    seen: list[int] = []
    options = DecodeOptions(progress=lambda step, total: seen.append(step))
    with pytest.raises(OSError, match=r"ends before|has a level up to"):
        PosteriorCodec.decode(coded, options)
    assert len(seen) <= 20


@pytest.mark.parametrize(
    "options",
    [{"steps": 0}, {"chunk_bits": 7}, {"chunk_bits": 17}, {"candidates": "x"}, {"seed": -1}],
)
def test_wrong_options_are_refused(photo: Image.Image, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        diffc.encode(photo, backend="posterior", **options)
