"""Cheaper evaluations of networks: kept features and weights of a byte, and what files say of them."""

from __future__ import annotations

import math
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import MODEL
from PIL import Image
from tiny_perco import make_perco
from tiny_pipelines import make_pipeline
from torch import Tensor, nn

import diffc
from diffc.codec import Codec, Coded, DecodeOptions, Encoded, Picture, Rate
from diffc.codecs.ddcm.bitstream import DdcmParameters
from diffc.codecs.ddcm.codec import DdcmCodec
from diffc.codecs.posterior.bitstream import PosteriorParameters
from diffc.codecs.posterior.codec import PosteriorCodec
from diffc.codecs.shared.acceleration import EXACT, Acceleration
from diffc.codecs.shared.diffusion.feature_reuse import FeatureReuse
from diffc.codecs.shared.stable_diffusion import pipeline as diffusers_model
from diffc.errors import OptionError
from diffc.models.loaded import kept_bytes, release_models
from diffc.pictures.pixels import from_pillow, to_tensor

with_models = pytest.mark.skipif(
    find_spec("diffusers") is None or find_spec("transformers") is None,
    reason='needs pip install "diffc[models]"',
)
with_torchao = pytest.mark.skipif(
    find_spec("torchao") is None, reason='needs pip install "diffc[quantised]"'
)

WALKS: dict[str, tuple[type[Codec], dict[str, Any]]] = {
    "ddcm": (DdcmCodec, {"steps": 9}),
    "posterior": (PosteriorCodec, {"steps": 9, "chunk_bits": 8}),
}
PARAMETERS: dict[str, type[DdcmParameters | PosteriorParameters]] = {
    "ddcm": DdcmParameters,
    "posterior": PosteriorParameters,
}


@pytest.fixture(scope="module")
def pipelines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with pipelines of every form of network."""
    folder = tmp_path_factory.mktemp("pipelines")
    for kind in ("velocity", "xl", "flow"):
        make_pipeline(kind, folder / kind)
    make_perco(folder / "perco")
    return folder


def psnr(first: Image.Image, second: Image.Image) -> float:
    difference = np.asarray(first, dtype=float) - np.asarray(second, dtype=float)
    return 10 * math.log10(255**2 / max(float(np.mean(difference**2)), 1e-9))


def encoded(image: Image.Image, name: str, model: Path | None, **options: Any) -> Encoded:
    codec, usual = WALKS[name]
    picture = Picture(to_tensor(from_pillow(image, keep_alpha=False, convert_color=False)))
    made: Codec = codec(model=None if model is None else str(model), **{**usual, **options})
    return made.encode(picture, Rate(quality=60))


def decoded(file: Encoded, name: str, size: tuple[int, int], **options: Any) -> Image.Image:
    coded = Coded(file.payload, file.parameters, size, 1, file.fingerprint)
    pixels = WALKS[name][0].decode(coded, DecodeOptions(**options))
    return Image.fromarray(pixels.permute(1, 2, 0).mul(255).round().byte().numpy())


def exactly(file: Encoded, name: str) -> Encoded:
    """Say that a walk was not accelerated, though it was."""
    parameters = replace(PARAMETERS[name].unpack(file.parameters), acceleration=EXACT)
    return replace(file, parameters=parameters.pack())


# when features are made, and when those kept are used


def test_features_are_made_at_every_third_evaluation() -> None:
    reuse, made = FeatureReuse(3), 0

    def make() -> Tensor:
        nonlocal made
        made += 1
        return torch.tensor(float(made))

    seen = []
    for _ in range(7):
        reuse.next_evaluation()
        seen.append([float(reuse.features(make)) for _ in range(2)])
    assert seen == [[1, 2]] * 3 + [[3, 4]] * 3 + [[5, 6]]


class Counted:
    """Whether a module ran."""

    def __init__(self, module: nn.Module) -> None:
        self.runs = 0
        module.register_forward_hook(self)

    def __call__(self, *arguments: object) -> None:
        self.runs += 1


@with_models
@pytest.mark.parametrize("kind", ["velocity", "xl", "flow"])
def test_a_network_in_parts_is_the_network(pipelines: Path, kind: str) -> None:
    model = diffusers_model.load(pipelines / kind, "cpu", "a red disc")
    network: Any = model.denoiser.network if kind != "flow" else None
    x = torch.randn(1, model.channels, 40, 24, generator=torch.Generator().manual_seed(1))
    levels = [torch.tensor([model.sigmas[place]]) for place in (900, 700, 500)]
    with torch.inference_mode():
        walker = model.walker(2)
        exact = [model.denoiser(x, level) for level in levels]
        found = [walker(x, level) for level in levels]
    assert network is None or network.reuse is None
    # whole, from features of the level before, and whole again
    assert torch.equal(found[0], exact[0])
    assert not torch.equal(found[1], exact[1]) or kind == "flow"
    assert torch.equal(found[2], exact[2])
    assert (found[1] - exact[1]).abs().max() < (exact[0] - exact[2]).abs().max()


@with_models
def test_only_the_outer_layers_run_between(pipelines: Path) -> None:
    model = diffusers_model.load(pipelines / "velocity", "cpu")
    conditioned: Any = model.denoiser.network
    unet = conditioned.network
    inner, outer = Counted(unet.mid_block), Counted(unet.conv_out)
    walker = model.walker(3)
    # more positions than are asked about at once: several tiles
    x = torch.zeros(1, model.channels, 8, 100)
    with torch.inference_mode():
        for place in (900, 800, 700, 600):
            walker(x, torch.tensor([model.sigmas[place]]))
    assert outer.runs == 2 * inner.runs > 4
    release_models()


# files


@pytest.mark.parametrize("name", WALKS)
def test_encoder_and_decoder_keep_the_same_features(photo: Image.Image, name: str) -> None:
    file = encoded(photo, name, None, cache=3)
    assert PARAMETERS[name].unpack(file.parameters).acceleration == Acceleration(3)
    found = psnr(photo, decoded(file, name, photo.size))
    # the same payload after another walk is another picture
    assert found > psnr(photo, decoded(exactly(file, name), name, photo.size)) + 1
    # what the caller says holds for the steps without bits
    assert psnr(photo, decoded(file, name, photo.size, cache=1)) == pytest.approx(found, abs=1)


@with_models
@pytest.mark.parametrize("name", WALKS)
@pytest.mark.parametrize("kind", ["velocity", "flow"])
def test_kept_features_of_pipelines_are_in_the_file(
    photo: Image.Image, pipelines: Path, name: str, kind: str
) -> None:
    folder = pipelines / kind
    data = diffc.encode(photo, backend=name, model=folder, quality=80, cache=2, **WALKS[name][1])
    exact = diffc.encode(photo, backend=name, model=folder, quality=80, **WALKS[name][1])
    assert data != exact
    with diffc.decoding(model=folder):
        first, again = diffc.decode(data), diffc.decode(data)
    assert first.size == photo.size
    assert first == again
    with diffc.decoding(model=folder, cache=4):
        assert psnr(diffc.decode(exact), first) > 10


@with_models
def test_perco_sd_keeps_features_if_the_caller_wants_it(
    photo: Image.Image, pipelines: Path
) -> None:
    folder = pipelines / "perco"
    data = diffc.encode(photo, backend="perco-sd", model=folder, caption="a red disc")
    with diffc.decoding(model=folder, steps=6):
        exact = diffc.decode(data)
    with diffc.decoding(model=folder, steps=6, cache=3):
        near, again = diffc.decode(data), diffc.decode(data)
    assert near == again != exact
    assert psnr(exact, near) > 25


@pytest.mark.parametrize("acceleration", [EXACT, Acceleration(2), Acceleration(1, "int8")])
@pytest.mark.parametrize("seed", [0, 7])
def test_parameters_come_back(acceleration: Acceleration, seed: int) -> None:
    files = (
        DdcmParameters(30, 7, 600, seed, "", acceleration=acceleration),
        DdcmParameters(30, 7, 600, seed, "a disc", acceleration=acceleration),
        PosteriorParameters(30, 7, 600, 12, "hadamard", seed, acceleration=acceleration),
    )
    for file in files:
        packed, plain = file.pack(), replace(file, acceleration=EXACT).pack()
        assert type(file).unpack(packed) == file
        assert packed.endswith(plain)
        # a decoder of before reads a walk of no steps, which there is not
        assert len(packed) == len(plain) + 3 * (acceleration != EXACT)
        assert (packed[0] == 0) == (acceleration != EXACT)


@pytest.mark.parametrize(
    "data", [b"\0", b"\0\2", b"\0\0\0", b"\0\1\0", b"\0\x11\0", b"\0\2\3", b"\0\2\1\0"]
)
def test_wrong_accelerations_are_damage(data: bytes) -> None:
    with pytest.raises(OSError, match="damaged"):
        DdcmParameters.unpack(data + b"\x1e\x07\x02\x58" if len(data) == 3 else data)


# what cannot hold


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"cache": 0}, "cache is"),
        ({"cache": 17}, "cache is"),
        ({"cache": 2.0}, "cache is"),
        ({"precision": "int4"}, "precision is"),
        ({"precision": "int8"}, "is for models of diffusers: leave it out"),
        ({"cache": 2, "target_psnr": 20}, "target_psnr takes steps back"),
    ],
)
def test_wrong_options_of_encoding(
    photo: Image.Image, ddcm_model: str, options: dict[str, Any], text: str
) -> None:
    with pytest.raises(ValueError, match=text):
        diffc.encode(photo, backend="ddcm", model=ddcm_model, **options)


@pytest.mark.parametrize(
    "options",
    [{"cache": 0}, {"cache": 17}, {"cache": True}, {"precision": "int4"}, {"precision": 8}],
)
def test_wrong_options_of_decoding(options: dict[str, Any]) -> None:
    (name,) = options
    with pytest.raises(ValueError, match=f"{name} is"), diffc.decoding(**options):
        pass


def test_options_of_decoding_are_kept_with_a_file() -> None:
    with diffc.decoding(cache=3, precision="fp8") as options:
        assert (options.cache, options.precision) == (3, "fp8")
        with diffc.decoding(cache=1) as inside:
            assert (inside.cache, inside.precision) == (1, "fp8")


def test_codecs_of_few_steps_ignore_them(photo: Image.Image, model: str) -> None:
    data = diffc.encode(photo, backend="relay", model=model)
    exact = diffc.decode(data)
    with diffc.decoding(cache=4, precision="int8"):
        assert diffc.decode(data) == exact


# weights of a byte


@with_models
@with_torchao
@pytest.mark.parametrize("precision", ["int8", "fp8"])
@pytest.mark.parametrize("name", WALKS)
def test_a_file_says_what_its_weights_were(
    photo: Image.Image, pipelines: Path, name: str, precision: str
) -> None:
    folder = pipelines / "velocity"
    file = encoded(photo, name, folder, precision=precision)
    assert PARAMETERS[name].unpack(file.parameters).acceleration.precision == precision
    there = {"model": str(folder)}
    made = decoded(file, name, photo.size, **there)
    assert decoded(file, name, photo.size, precision=precision, **there) == made
    # another network, if not by much
    assert decoded(exactly(file, name), name, photo.size, **there) != made
    other = "fp8" if precision == "int8" else "int8"
    with pytest.raises(OptionError, match=f"coded with {precision} weights"):
        decoded(file, name, photo.size, precision=other, **there)
    with pytest.raises(OptionError, match="coded with unchanged weights"):
        decoded(exactly(file, name), name, photo.size, precision=other, **there)


@with_models
@with_torchao
def test_perco_sd_draws_with_weights_of_a_byte(photo: Image.Image, pipelines: Path) -> None:
    folder = pipelines / "perco"
    data = diffc.encode(photo, backend="perco-sd", model=folder)
    with diffc.decoding(model=folder, steps=3):
        exact = diffc.decode(data)
    with diffc.decoding(model=folder, steps=3, precision="int8"):
        made = diffc.decode(data)
    assert made != exact
    assert psnr(exact, made) > 20


@with_models
@with_torchao
def test_kept_models_count_weights_of_a_byte(pipelines: Path) -> None:
    sizes: dict[str | None, int] = {}
    for precision in (None, "int8"):
        release_models()
        diffusers_model.load(pipelines / "velocity", "cpu", precision=precision)
        sizes[precision] = kept_bytes()
    assert 0 < sizes["int8"] < sizes[None]
    release_models()


@pytest.fixture
def without_torchao(monkeypatch: pytest.MonkeyPatch) -> None:
    release_models()
    monkeypatch.setitem(sys.modules, "torchao", None)
    monkeypatch.setitem(sys.modules, "torchao.quantization", None)


@with_models
@pytest.mark.usefixtures("without_torchao")
def test_without_torchao_the_error_names_the_extra(photo: Image.Image, pipelines: Path) -> None:
    folder, text = pipelines / "velocity", r'need torchao.*pip install .*"diffc\[quantised\]"'
    file = encoded(photo, "ddcm", folder)
    with pytest.raises(OptionError, match=text):
        encoded(photo, "ddcm", folder, precision="int8")
    parameters = replace(
        DdcmParameters.unpack(file.parameters), acceleration=Acceleration(1, "fp8")
    )
    changed = replace(file, parameters=parameters.pack())
    with pytest.raises(OSError, match=text):
        decoded(changed, "ddcm", photo.size, model=str(folder))


def test_a_precision_for_the_embedded_model_is_damage(photo: Image.Image) -> None:
    file = encoded(photo, "ddcm", MODEL)
    parameters = replace(
        DdcmParameters.unpack(file.parameters), acceleration=Acceleration(2, "fp8")
    )
    with pytest.raises(OSError, match="are not converted to fp8: the file is damaged"):
        decoded(replace(file, parameters=parameters.pack()), "ddcm", photo.size)
