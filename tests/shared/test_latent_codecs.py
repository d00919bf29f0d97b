"""What all codecs of latents have in common: rates, prefixes, regions, modes, seeds, damage."""

from __future__ import annotations

import io
import itertools
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from photograph import psnr
from PIL import Image, ImageFile

import diffc
from diffc.codec import Coded, DecodeOptions, Encoded, Picture, Rate
from diffc.codecs.shared.latents import models as latent_models
from diffc.codecs.shared.models import fingerprint
from diffc.pictures.pixels import from_pillow, to_tensor
from diffc.registry import load_codec


@dataclass(frozen=True)
class Case:
    """A codec, and how it is tried.

    Parameters
    ----------
    codec : str
        Its name.
    scale : int
        How many times larger than the fixture the photo is.
    targets : tuple of int
        Bytes that a file may have.
    unused : float
        Share of these that may be left, besides three bytes.
    quick : dict
        Options that change nothing that is tried, but its time.
    falls : float
        How much the error falls from the shortest prefix to the longest.
    rises : float
        How much more error a longer prefix may have.
    empty : bytes
        Parameters of a file that codes nothing.
    """

    codec: str
    scale: int = 1
    targets: tuple[int, ...] = (120, 200, 500, 900)
    unused: float = 0.02
    quick: dict[str, Any] = field(default_factory=dict)
    falls: float = 20
    rises: float = 1.3
    empty: bytes = b""

    def resized(self, photo: Image.Image) -> Image.Image:
        """Return the photo at the codec's size."""
        size = (self.scale * photo.width, self.scale * photo.height)
        return photo.resize(size, Image.Resampling.BICUBIC)


CASES = (
    # an atom costs two bytes at most
    Case("ddcm", unused=0, empty=b"\x1e\0\0\0"),
    Case("dither", scale=4, targets=(150, 300, 900, 2000), rises=1.05, empty=bytes(6)),
    # a walk to the end with few candidates: what is tried does not depend on their number
    Case("posterior", quick={"chunk_bits": 8, "steps": 15}, falls=5, empty=b"\x1e\0\0\0\x0e"),
)


@pytest.fixture(params=CASES, ids=lambda case: case.codec)
def case(request: pytest.FixtureRequest) -> Case:
    found: Case = request.param
    return found


def test_byte_targets_are_met_and_never_exceeded(
    case: Case, photo: Image.Image, ddcm_model: str
) -> None:
    image = case.resized(photo)
    for target in case.targets:
        data = diffc.encode(image, backend=case.codec, target_size=target, model=ddcm_model)
        assert (1 - case.unused) * target - 3 <= len(data) <= target


@pytest.mark.parametrize("rate", [{"bpp": 1e-6}, {"target_size": 27}, {"target_size": 10**7}])
def test_unreachable_rates_name_the_reachable_range(
    case: Case, photo: Image.Image, ddcm_model: str, rate: dict[str, float]
) -> None:
    options: dict[str, Any] = {"backend": case.codec, "model": ddcm_model} | case.quick
    with pytest.raises(ValueError, match=r"makes files of \d+ to \d+ bytes") as caught:
        diffc.encode(photo, **options, **rate)
    low, high = (int(word) for word in str(caught.value).split(" bytes")[0].split()[-3::2])
    for reach in (low, high):
        assert len(diffc.encode(photo, target_size=reach, **options)) <= reach


def test_quality_is_monotone_in_bytes_and_in_psnr(
    case: Case, photo: Image.Image, ddcm_model: str
) -> None:
    image = case.resized(photo)
    files = [
        diffc.encode(image, backend=case.codec, quality=quality, model=ddcm_model, **case.quick)
        for quality in range(0, 101, 20)
    ]
    lengths = [len(file) for file in files]
    assert lengths == sorted(lengths)
    assert lengths[0] < lengths[-1] / 5
    distances = [psnr(image, diffc.decode(file)) for file in files]
    assert distances == sorted(distances)


def encoded(
    case: Case, image: Image.Image, model: str, **options: Any
) -> tuple[Encoded, torch.Tensor]:
    """Return what a codec makes of a picture, and its pixels."""
    pixels = to_tensor(from_pillow(image, keep_alpha=False, convert_color=False))
    codec = load_codec(case.codec)(model=model, **options)
    return codec.encode(Picture(pixels), Rate(quality=75)), pixels


def test_every_prefix_decodes_and_longer_ones_are_no_worse(
    case: Case, photo: Image.Image, ddcm_model: str
) -> None:
    whole, pixels = encoded(case, photo, ddcm_model)
    errors = []
    for length in range(0, len(whole.payload), max(1, len(whole.payload) // 12)):
        coded = Coded(
            whole.payload[:length], whole.parameters, photo.size, 1, whole.fingerprint, True
        )
        made = load_codec(case.codec).decode(coded, DecodeOptions())
        errors.append(float((made - pixels).square().mean()))
    assert errors[-1] < errors[0] / case.falls
    # a step more may cost a little where it codes next to nothing
    assert all(later <= case.rises * earlier for earlier, later in itertools.pairwise(errors))


def test_a_truncated_file_opens_only_where_pillow_is_told_so(
    case: Case, photo: Image.Image, ddcm_model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = diffc.encode(photo, backend=case.codec, target_size=500, model=ddcm_model)[:330]
    with pytest.raises(OSError, match="truncated"):
        Image.open(io.BytesIO(data)).load()
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    image = Image.open(io.BytesIO(data))
    image.load()
    assert psnr(photo, image) > 12.5  # nothing coded gives less than 11.5


def test_a_region_of_interest_gets_the_bytes(
    case: Case, photo: Image.Image, ddcm_model: str
) -> None:
    image = case.resized(photo)
    inside = (0, 0, image.width // 2, image.height)
    mask = Image.new("L", image.size, 20)
    mask.paste(255, inside)
    options = {"backend": case.codec, "target_size": case.targets[2] * 3 // 5, "model": ddcm_model}
    plain = diffc.decode(diffc.encode(image, **options)).crop(inside)
    favoured = diffc.decode(diffc.encode(image, roi=mask, **options)).crop(inside)
    assert psnr(image.crop(inside), favoured) > psnr(image.crop(inside), plain) + 0.3


@pytest.mark.parametrize(
    "roi",
    [
        3,
        Image.new("L", (9, 9), 255),
        np.zeros((64, 96)),
        np.full((64, 96), 2.0),
        np.full((64, 96), np.nan),
    ],
    ids=["type", "size", "zero", "above one", "not a number"],
)
def test_bad_regions_are_refused(
    case: Case, photo: Image.Image, ddcm_model: str, roi: object
) -> None:
    with pytest.raises(ValueError, match="roi"):
        diffc.encode(photo, backend=case.codec, roi=roi, model=ddcm_model)


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (17, 31), (129, 34)])
@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK"])
def test_sizes_and_modes_come_back(
    case: Case, photo: Image.Image, ddcm_model: str, size: tuple[int, int], mode: str
) -> None:
    kept = {"1": "L", "P": "RGB", "CMYK": "RGB"}.get(mode, mode)
    image = photo.resize(size).convert(mode)
    data = diffc.encode(image, backend=case.codec, quality=10, model=ddcm_model, **case.quick)
    made = diffc.decode(data)
    assert (made.size, made.mode) == (size, kept)


def test_a_seed_changes_the_file_and_travels_with_it(
    case: Case, photo: Image.Image, ddcm_model: str
) -> None:
    (plain, pixels), (seeded, _) = (
        encoded(case, photo, ddcm_model, seed=seed) for seed in (0, 0xABCDEF)
    )
    assert plain.payload != seeded.payload
    assert seeded.parameters == plain.parameters + b"\0\xab\xcd\xef"
    for each in (plain, seeded):
        coded = Coded(each.payload, each.parameters, photo.size, 1, each.fingerprint)
        made = load_codec(case.codec).decode(coded, DecodeOptions())
        assert float((made - pixels).square().mean()) < 0.02


def test_a_model_that_is_not_here_is_named(case: Case, photo: Image.Image, ddcm_model: str) -> None:
    coded = Coded(b"", case.empty, photo.size, 1, b"\1\2\3\4")
    with pytest.raises(OSError, match=r"01020304.*tiny"):
        load_codec(case.codec).decode(coded, DecodeOptions())


def test_padding_counts_as_pixels(
    case: Case, monkeypatch: pytest.MonkeyPatch, ddcm_model: str
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10_000)
    thin = Image.new("RGB", (1, 1000))
    with pytest.raises(ValueError, match="padded"):
        diffc.encode(thin, backend=case.codec, model=ddcm_model)
    coded = Coded(b"", case.empty, thin.size, 1, fingerprint(Path(ddcm_model)))
    with pytest.raises(OSError, match="padded"):
        load_codec(case.codec).decode(coded, DecodeOptions())


def test_other_numbers_of_the_network_move_the_picture_little(
    case: Case, photo: Image.Image, ddcm_model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As another device would: noise of 1e-3 in the estimates; what was read is the same."""
    data = diffc.encode(photo, backend=case.codec, quality=60, model=ddcm_model)
    before = psnr(photo, diffc.decode(data, steps=3))
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
    after = psnr(photo, diffc.decode(data, steps=3))
    assert len(calls) >= 3
    assert after != before
    assert abs(after - before) < 0.5
