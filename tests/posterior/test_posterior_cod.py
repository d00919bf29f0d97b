"""The posterior codec with CoD as its model: the vectors of DiffC on CoD, and files at any rate."""

from __future__ import annotations

import io
import itertools
import json
import math
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from cod_vectors import VECTORS, noise, vectors_of
from make_cod_model import TINY_LATENTS, TINY_PIXELS, write_tiny, write_velocity
from PIL import Image, ImageFile
from tiny_pipelines import make_vae

import diffc
from diffc.codec import DecodeOptions
from diffc.codecs.posterior.codec import PosteriorCodec
from diffc.codecs.shared.cod.latent_model import CodLatents
from diffc.codecs.shared.cod.velocity_model import PixelValues, VelocityModel
from diffc.codecs.shared.diffusion.samplers import (
    advance,
    ancestral_weights,
    ddim_weights,
    denoise_scaled,
)
from diffc.testing import checks

FACTS = json.loads((VECTORS / "latent.diffc.json").read_text())
SHAPE = (1, 4, 24, 16)
OPENS = "import sys; from PIL import Image; import diffc; Image.open(sys.argv[1]).save(sys.argv[2])"


@pytest.fixture(autouse=True)
def _no_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


def latents(guidance: float = 1.0) -> CodLatents:
    """Return the model of the vectors, under their picture's tokens."""
    vectors = vectors_of("latent")
    # no test of the vectors asks for pixels
    model = VelocityModel(vectors.network, "cpu", torch.float32, PixelValues())
    height, width = vectors.pixels.shape[2:]
    described = CodLatents(model, b"").under(
        bytes.fromhex(vectors.facts["stream"]), (width, height)
    )
    return described.guided(guidance)


@cache
def levels() -> list[float]:
    return latents().sigmas


def sigma_of(k: int) -> float:
    return levels()[k - 2] if k > 1 else 0.0


# vectors


@pytest.mark.parametrize("step", FACTS["schedule"], ids=lambda step: str(step["k"]))
def test_levels_are_those_of_the_public_schedule(step: dict[str, float]) -> None:
    sigma = sigma_of(int(step["k"]))
    assert 1 / (1 + sigma**2) == pytest.approx(step["alpha_bar"], rel=1e-9)
    assert sigma**2 / (1 + sigma**2) == pytest.approx(step["one_minus_alpha_bar"], rel=1e-9)


@pytest.mark.parametrize("step", FACTS["posterior"], ids=lambda step: str(step["k"]))
def test_a_step_is_the_public_one(step: dict[str, float]) -> None:
    sigma, sigma_next = sigma_of(int(step["k"])), sigma_of(int(step["k_next"]))
    weights = ancestral_weights(sigma, sigma_next)
    x0hat = math.sqrt(1 + sigma**2) * step["z"] - sigma * step["eps"]
    expected, true = (
        weights.denoised * each + weights.state * step["z"] for each in (x0hat, step["x0"])
    )
    assert expected == pytest.approx(step["p_mean"], rel=1e-6)
    assert true == pytest.approx(step["q_mean"], rel=1e-6)
    assert weights.noise == pytest.approx(step["std"], rel=1e-6, abs=1e-12)
    if step["kl_bits"] is not None:
        bits = ((true - expected) / weights.noise) ** 2 / 2 / math.log(2)
        assert bits == pytest.approx(step["kl_bits"], rel=1e-5)


@pytest.mark.parametrize("guidance", [1, 3])
@pytest.mark.parametrize("k", [1000, 500, 21])
def test_noise_is_estimated_as_in_public(k: int, guidance: int) -> None:
    z = noise("noise" if k == 1000 else "x_t", SHAPE)
    sigma = sigma_of(k)
    x0hat = denoise_scaled(latents(guidance).denoiser, z, sigma)
    bar = 1 / (1 + sigma**2)
    eps = (z - math.sqrt(bar) * x0hat) / math.sqrt(1 - bar)
    wanted = torch.from_numpy(np.load(VECTORS / f"latent.diffc.eps_k{k}_g{guidance}.npy"))
    torch.testing.assert_close(eps[0], wanted, rtol=0, atol=1e-4)


def test_a_chain_of_steps_ends_as_in_public() -> None:
    target, z = 0.5 * noise("target", SHAPE), noise("noise", SHAPE)
    model = latents()
    for step in FACTS["chain"]["steps"]:
        sigma, sigma_next = sigma_of(step["k"]), sigma_of(step["k_next"])
        weights = ancestral_weights(sigma, sigma_next)
        x0hat = denoise_scaled(model.denoiser, z, sigma)
        shift = (target - x0hat) * (weights.denoised / weights.noise)
        bits = float(shift.double().square().sum()) / 2 / math.log(2)
        assert bits == pytest.approx(step["kl_bits"], rel=1e-5)
        z = advance(weights, z, x0hat, shift + noise(step["noise"], SHAPE))
    wanted = torch.from_numpy(np.load(VECTORS / "latent.diffc.chain_z500.npy"))
    torch.testing.assert_close(z[0], wanted, rtol=0, atol=1e-4)
    rest = FACTS["chain"]["denoise"]
    guided = latents(rest["guidance"])
    for k, k_next in itertools.pairwise(rest["k"]):
        x0hat = denoise_scaled(guided.denoiser, z, sigma_of(k))
        z = advance(ddim_weights(sigma_of(k), sigma_of(k_next)), z, x0hat)
    wanted = torch.from_numpy(np.load(VECTORS / "latent.diffc.chain_x0.npy"))
    torch.testing.assert_close(z[0], wanted, rtol=0, atol=1e-4)


# files


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    directory = tmp_path_factory.mktemp("models")
    return {"pixels": write_velocity(directory / "pixels", TINY_PIXELS)}


def test_more_bytes_are_nearer_to_the_picture(photo: Image.Image, folders: dict[str, Path]) -> None:
    image, model = photo.resize((75, 50)), folders["pixels"]
    array = np.asarray(image, float)
    errors = []
    for size in (150, 400, 1200):
        data = diffc.encode(image, backend="posterior", model=model, target_size=size, steps=12)
        assert 0.9 * size <= len(data) <= size
        decoded = diffc.decode(data, model=model, guidance=1.0)
        assert decoded.size == image.size
        errors.append(float(np.square(np.asarray(decoded, float) - array).mean()))
    assert errors[0] > errors[1] > errors[2]


@pytest.mark.skipif(not find_spec("diffusers"), reason="needs diffusers")
def test_latents_of_an_autoencoder_are_coded(photo: Image.Image, tmp_path: Path) -> None:
    model = write_velocity(tmp_path / "latents", TINY_LATENTS, make_vae(tmp_path / "autoencoder"))
    image = photo.resize((75, 50))
    data, other = (
        diffc.encode(each, backend="posterior", model=model, target_size=200, steps=3)
        for each in (image, image.rotate(180))
    )
    assert 50 < len(data) <= 200
    decoded = diffc.decode(data, model=model, steps=1)
    assert decoded.size == image.size
    assert diffc.decode(other, model=model, steps=1).tobytes() != decoded.tobytes()


def test_a_file_begins_with_the_tokens_of_cod(
    photo: Image.Image, folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = folders["pixels"]
    monkeypatch.setenv("DIFFC_MODELS", str(model))
    image = photo.resize((75, 50))
    tokens = diffc.encode(image, backend="cod", model=model)
    data = diffc.encode(image, backend="posterior", model=model, target_size=200)
    # 2 x 3 tokens of 4 bits: what stands last in a file of nothing else
    assert data.count(tokens[-3:]) == 1
    least = diffc.encode(image, backend="posterior", model=model, quality=0)
    assert diffc.info(least).payload_bytes >= 3
    assert diffc.decode(data).size == image.size


def test_the_rest_is_guided_at_decoding(photo: Image.Image, folders: dict[str, Path]) -> None:
    model = folders["pixels"]
    data = diffc.encode(photo, backend="posterior", model=model, target_size=150, steps=10)
    plain, default, more = (
        diffc.decode(data, model=model, guidance=guidance).tobytes() for guidance in (1, None, 8)
    )
    assert len({plain, default, more}) == 3
    assert diffc.decode(data, model=model, guidance=TINY_PIXELS.guidance).tobytes() == default


def test_encoder_and_decoder_keep_the_same_features(
    photo: Image.Image, folders: dict[str, Path]
) -> None:
    model, image = folders["pixels"], photo.resize((75, 50))
    whole, kept = (
        diffc.encode(
            image, backend="posterior", model=model, target_size=600, steps=12, cache=cache
        )
        for cache in (1, 3)
    )
    assert kept != whole
    array = np.asarray(image, float)
    errors = [
        float(
            np.square(np.asarray(diffc.decode(data, model=model, guidance=1), float) - array).mean()
        )
        for data in (whole, kept)
    ]
    # another walk, which leads to the same picture
    assert errors[1] < 2 * errors[0] + 100


def test_any_prefix_is_a_picture(
    photo: Image.Image, folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    monkeypatch.setenv("DIFFC_MODELS", str(folders["pixels"]))
    data = diffc.encode(
        photo, backend="posterior", model=folders["pixels"], target_size=300, steps=10
    )
    left = diffc.info(data).payload_bytes
    seen = set()
    # within the 3 bytes of tokens, behind them, within the walk, and all
    for cut in (left - 1, left - 4, left // 2, 0):
        with diffc.decoding(steps=2), Image.open(io.BytesIO(data[: len(data) - cut])) as decoded:
            assert decoded.size == photo.size
            seen.add(decoded.tobytes())
    assert len(seen) == 4


@pytest.mark.parametrize("kind", ["lite", "one step"])
def test_a_model_of_one_step_has_nothing_to_walk_along(
    photo: Image.Image, tmp_path: Path, kind: str
) -> None:
    folder = tmp_path / "model"
    if kind == "lite":
        write_tiny(folder)
    else:
        write_velocity(folder, replace(TINY_PIXELS, one_step="x"))
    with pytest.raises(ValueError, match="makes pictures in one step, and has no noise levels"):
        diffc.encode(photo, backend="posterior", model=folder)


def test_another_process_opens_it(
    photo: Image.Image, folders: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIFFC_MODELS", str(folders["pixels"]))
    path, out = tmp_path / "a.diffc", tmp_path / "a.png"
    photo.crop((0, 0, 70, 41)).save(
        path, backend="posterior", model=str(folders["pixels"]), target_size=250, steps=10
    )
    subprocess.run([sys.executable, "-c", OPENS, path, out], check=True)
    with Image.open(out) as there, Image.open(path) as here:
        difference = np.asarray(there, np.int16) - np.asarray(here, np.int16)
    assert there.size == (70, 41)
    assert np.abs(difference).max() <= 1


def test_damage_is_told_or_some_picture(folders: dict[str, Path]) -> None:
    folder = str(folders["pixels"])
    options = DecodeOptions(model=folder, steps=2)
    made = checks(PosteriorCodec(model=folder, steps=4), decode_options=options)
    next(each for each in made if str(each) == "damage")()
