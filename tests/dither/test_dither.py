"""The dither codec: what decoding shows, kinds of dither, and parameters."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from make_test_model import make
from photograph import psnr
from PIL import Image

import diffc
from diffc.codec import Coded, DecodeOptions
from diffc.codecs.dither.bitstream import STEP_COUNT, DitherParameters
from diffc.codecs.dither.codec import DitherCodec
from diffc.codecs.shared.latents import models as latent_models
from diffc.codecs.shared.latents.training_export import write_latent_model
from diffc.codecs.shared.models import fingerprint


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


def test_realism_without_a_network_for_detail_goes_from_the_latent_to_the_synthesis(
    photo: Image.Image, tmp_path: Path
) -> None:
    denoiser, synthesis = make()
    torch.nn.init.normal_(synthesis.leave.weight, std=0.02)
    write_latent_model(tmp_path / "model", denoiser, synthesis)
    data = diffc.encode(photo, backend="dither", quality=60, model=str(tmp_path / "model"))
    with diffc.decoding(model=tmp_path / "model"):
        plain, half, learned, default = (
            np.asarray(diffc.decode(data, realism=realism), float) for realism in (0, 0.5, 1, None)
        )
    assert np.abs(plain - learned).max() > 2
    assert np.abs((plain + learned) / 2 - half).max() <= 2
    assert np.array_equal(plain, default)


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
