"""Pipelines of diffusers as models of ddcm: tiny ones with random weights, without any network."""

from __future__ import annotations

import json
import math
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from photograph import psnr
from PIL import Image
from tiny_pipelines import KINDS, make_pipeline

import diffc
from diffc.codec import DecodeOptions
from diffc.codecs.ddcm.codec import DdcmCodec
from diffc.codecs.shared.stable_diffusion import autoencoder, prompt_embedding
from diffc.codecs.shared.stable_diffusion import pipeline as diffusers_model
from diffc.codecs.shared.stable_diffusion.pipeline import DiffusersNetworks
from diffc.codecs.shared.tiling.blended import Tiling
from diffc.models.identity import fingerprint
from diffc.models.loaded import release_models
from diffc.pictures.pixels import from_pillow, to_tensor
from diffc.testing import checks

pytestmark = pytest.mark.skipif(
    find_spec("diffusers") is None or find_spec("transformers") is None,
    reason='needs pip install "diffc[models]"',
)


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise AssertionError("a socket was used")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture(scope="session")
def pipelines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one pipeline of each kind."""
    root = tmp_path_factory.mktemp("pipelines")
    for kind in KINDS:
        make_pipeline(kind, root / kind)
    return root


@pytest.fixture
def here(pipelines: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same, known to decoding."""
    monkeypatch.setenv("DIFFC_MODELS", str(pipelines))
    return pipelines


def through_autoencoder(photo: Image.Image, folder: Path) -> Image.Image:
    """What a file of unlimited bytes would open to."""
    model = diffusers_model.load(folder, "cpu")
    pixels = to_tensor(from_pillow(photo, keep_alpha=False, convert_color=False))
    made = model.synthesise(model.analyse(pixels[None]), 0, 0.0, 0)[0]
    return Image.fromarray(made.permute(1, 2, 0).mul(255).round().byte().numpy())


DECODE = """
import socket, sys
def refuse(*arguments, **options):
    raise AssertionError("a socket was used")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
import diffc
from PIL import Image
for path in sys.argv[1:]:
    with Image.open(path) as image:
        image.save(path + ".png")
"""


def test_files_open_in_another_process_without_network(
    photo: Image.Image, here: Path, tmp_path: Path
) -> None:
    wide = photo.resize((70, 44))
    files = []
    for kind in KINDS:
        for target in (90, 350):
            files.append(tmp_path / f"{kind}-{target}.diffc")
            wide.save(files[-1], backend="ddcm", model=here / kind, target_size=target, steps=8)
            assert 0.95 * target <= files[-1].stat().st_size <= target
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", DECODE, *map(str, files)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stdout) == (0, "")
    # where torchao is installed, diffusers imports it, and it remarks on other versions than its own
    assert ran.stderr == "" or find_spec("torchao") is not None
    for file in files:
        with Image.open(file) as image, Image.open(f"{file}.png") as theirs:
            assert image.size == theirs.size == (70, 44)
            # another process may compute on other threads
            assert psnr(image, theirs) > 40


@pytest.mark.parametrize("bpp", [0.3, 1.0])
def test_bpp_counts_the_whole_file(photo: Image.Image, here: Path, bpp: float) -> None:
    data = diffc.encode(photo, backend="ddcm", model=here / "flow", bpp=bpp, steps=8)
    target = int(bpp * photo.width * photo.height / 8)
    assert 0.95 * target <= len(data) <= target


@pytest.mark.parametrize("kind", ["velocity", "flow"])
def test_more_bytes_are_nearer_to_the_autoencoder(
    photo: Image.Image, here: Path, kind: str
) -> None:
    best = through_autoencoder(photo, here / kind)
    made = [
        diffc.decode(
            diffc.encode(photo, backend="ddcm", model=here / kind, target_size=target, steps=12)
        )
        for target in (60, 250, 600)
    ]
    reached = [psnr(best, image) for image in made]
    assert reached[0] + 1 < reached[1] < reached[2] - 1


def test_fixed_atoms_are_possible(photo: Image.Image, here: Path) -> None:
    for atoms, target in ((1, 35), (20, 100)):
        options = {"model": here / "velocity", "atoms": atoms, "target_size": target, "steps": 6}
        data = diffc.encode(photo, backend="ddcm", **options)
        assert 0.9 * target <= len(data) <= target
        assert diffc.decode(data).size == photo.size


@pytest.mark.parametrize("size", [(1, 1), (3, 65), (129, 34)])
@pytest.mark.parametrize("mode", ["L", "RGBA"])
def test_sizes_and_modes_come_back(
    photo: Image.Image, here: Path, size: tuple[int, int], mode: str
) -> None:
    image = photo.resize(size).convert(mode)
    data = diffc.encode(image, backend="ddcm", model=here / "flow", quality=5, steps=3)
    decoded = diffc.decode(data)
    assert (decoded.size, decoded.mode) == (size, mode)


def test_a_target_psnr_is_reached_through_the_autoencoder(photo: Image.Image, here: Path) -> None:
    # twice through random weights: a picture that they come near to
    image = photo.resize((40, 40))
    for _ in range(2):
        image = through_autoencoder(image, here / "flow")
    options = {"backend": "ddcm", "model": here / "flow", "steps": 8}
    least, most = (diffc.encode(image, quality=quality, **options) for quality in (0, 100))
    wanted = psnr(image, diffc.decode(most)) - 0.4
    assert psnr(image, diffc.decode(least)) < wanted
    data = diffc.encode(image, target_psnr=wanted, **options)
    assert psnr(image, diffc.decode(data)) >= wanted
    assert len(least) < len(data) < len(most)
    with pytest.raises(ValueError, match="target_psnr=60"):
        diffc.encode(image, target_psnr=60, **options)


def test_large_pictures_are_coded_in_tiles(
    photo: Image.Image, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = photo.resize((1000, 40), Image.Resampling.BICUBIC)
    seen: list[tuple[int, ...]] = []
    model = diffusers_model.load(here / "velocity", "cpu")
    denoiser: Any = model.denoiser
    original = type(denoiser.network.network).forward

    def watched(self: Any, sample: torch.Tensor, *arguments: Any, **options: Any) -> Any:
        seen.append(tuple(sample.shape[2:]))
        return original(self, sample, *arguments, **options)

    monkeypatch.setattr(type(denoiser.network.network), "forward", watched)
    monkeypatch.setattr(autoencoder, "_TILING", Tiling(48, 32, 8, 1))
    options = {"backend": "ddcm", "model": here / "velocity", "steps": 2}
    data = diffc.encode(large, target_size=800, **options)
    assert set(seen) == {(10, 64)}
    assert diffc.decode(data).size == large.size


def test_the_autoencoder_works_in_tiles(
    photo: Image.Image, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = photo.resize((400, 64), Image.Resampling.BICUBIC)
    whole = through_autoencoder(large, here / "flow")
    monkeypatch.setattr(autoencoder, "_TILING", Tiling(48, 32, 8, 1))
    tiled = through_autoencoder(large, here / "flow")
    # its norms see a tile where they saw the picture, so the colours of random weights change
    assert whole.size == tiled.size == large.size
    assert whole != tiled
    assert psnr(whole, tiled) > 14


def test_a_wrong_model_is_named_with_both_fingerprints(
    photo: Image.Image, pipelines: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DIFFC_MODELS")
    folder = tmp_path / "my-model"
    shutil.copytree(pipelines / "velocity", folder)
    options = {"backend": "ddcm", "target_size": 60, "steps": 3}
    data = diffc.encode(photo, model=folder, **options)
    made_with = fingerprint(folder).hex()
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    edited = bytearray(weights.read_bytes())
    edited[-3] ^= 64
    weights.write_bytes(edited)
    now = fingerprint(folder).hex()
    assert now != made_with
    with pytest.raises(OSError, match=rf"{made_with}.*my-model \({now}\)"):
        diffc.decode(data, model=folder)
    # the networks of the first reading are not taken for those of the second
    again = diffc.encode(photo, model=folder, **options)
    assert diffc.info(again).model == now
    assert diffc.decode(again, model=folder).size == photo.size


@pytest.mark.parametrize(
    ("part", "change", "message"),
    [
        ("unet", lambda keys: keys.pop("conv_out.bias"), "1 missing keys, such as conv_out.bias"),
        ("vae", lambda keys: keys.update(x=torch.ones(1)), "1 unexpected keys, such as x"),
        ("unet", lambda keys: keys.update({"conv_out.bias": torch.ones(7)}), "conv_out.bias"),
    ],
)
def test_incomplete_weights_are_refused(
    photo: Image.Image,
    pipelines: Path,
    tmp_path: Path,
    part: str,
    change: Callable[[dict[str, torch.Tensor]], object],
    message: str,
) -> None:
    from safetensors.torch import load_file, save_file

    folder = tmp_path / "my-model"
    shutil.copytree(pipelines / "epsilon", folder)
    weights = folder / part / "diffusion_pytorch_model.safetensors"
    keys = load_file(weights)
    change(keys)
    save_file(keys, weights)
    with pytest.raises(OSError, match=message):
        diffc.encode(photo, backend="ddcm", model=folder)


def test_damaged_weights_are_refused(photo: Image.Image, pipelines: Path, tmp_path: Path) -> None:
    folder = tmp_path / "my-model"
    shutil.copytree(pipelines / "epsilon", folder)
    (folder / "vae" / "diffusion_pytorch_model.safetensors").write_bytes(bytes(100))
    with pytest.raises(OSError, match="my-model"):
        diffc.encode(photo, backend="ddcm", model=folder)


def test_weights_that_overflow_are_an_error(
    photo: Image.Image, pipelines: Path, tmp_path: Path
) -> None:
    from safetensors.torch import load_file, save_file

    folder = tmp_path / "my-model"
    shutil.copytree(pipelines / "epsilon", folder)
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    keys = load_file(weights)
    keys["conv_out.bias"].fill_(math.inf)
    save_file(keys, weights)
    with pytest.raises(OSError, match="not finite"):
        diffc.encode(photo, backend="ddcm", model=folder)


def test_weights_may_be_a_variant_or_in_pieces(
    photo: Image.Image, pipelines: Path, tmp_path: Path
) -> None:
    from safetensors.torch import load_file, save_file

    options = {"backend": "ddcm", "target_size": 100, "steps": 3}
    expected = diffc.decode(
        diffc.encode(photo, model=pipelines / "flow", **options), model=pipelines / "flow"
    )
    folder = tmp_path / "flow"
    shutil.copytree(pipelines / "flow", folder)
    whole = folder / "transformer" / "diffusion_pytorch_model.safetensors"
    keys = load_file(whole)
    whole.unlink()
    names = sorted(keys)
    pieces = {}
    for index, part in enumerate((names[::2], names[1::2]), 1):
        name = f"diffusion_pytorch_model-{index:05d}-of-00002.safetensors"
        save_file({key: keys[key] for key in part}, whole.with_name(name))
        pieces |= dict.fromkeys(part, name)
    index_file = whole.with_name("diffusion_pytorch_model.safetensors.index.json")
    index_file.write_text(json.dumps({"metadata": {}, "weight_map": pieces}))
    vae = folder / "vae" / "diffusion_pytorch_model.safetensors"
    vae.rename(vae.with_name("diffusion_pytorch_model.fp16.safetensors"))
    data = diffc.encode(photo, model=folder, **options)
    assert psnr(diffc.decode(data, model=folder), expected) > 40
    save_file(keys, whole)
    with pytest.raises(OSError, match="in one file and in pieces"):
        diffc.encode(photo, model=folder, **options)


class Readings:
    """Counts how often a text encoder is read."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.components: list[str] = []
        original = prompt_embedding.read_text_encoder

        def counted(pipeline: Any, component: str) -> Any:
            self.components.append(component)
            return original(pipeline, component)

        monkeypatch.setattr(prompt_embedding, "read_text_encoder", counted)
        prompt_embedding._embedding.cache_clear()


def test_text_encoders_are_read_once_for_a_prompt(
    photo: Image.Image, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    readings = Readings(monkeypatch)
    options = {"backend": "ddcm", "target_size": 100, "steps": 2}
    for turned in (0, 180):
        diffc.encode(photo.rotate(turned), model=here / "flow", **options)
    assert readings.components == ["text_encoder", "text_encoder_2"]
    data = diffc.encode(photo, model=here / "flow", prompt="a red door", **options)
    diffc.decode(data)
    assert len(readings.components) == 4


def test_zeros_stand_for_the_empty_prompt_where_the_model_says_so(
    photo: Image.Image, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    readings = Readings(monkeypatch)
    diffc.encode(photo, backend="ddcm", model=here / "xl", target_size=100, steps=2)
    assert readings.components == []


def test_an_empty_prompt_in_the_folder_replaces_the_text_encoder(
    photo: Image.Image, here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"backend": "ddcm", "target_size": 100, "steps": 3}
    expected = diffc.encode(photo, model=here / "flow", **options)
    folder = tmp_path / "flow"
    shutil.copytree(here / "flow", folder)
    path = diffusers_model.write_empty_prompt(folder)
    for name in ("text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2"):
        shutil.rmtree(folder / name)
    readings = Readings(monkeypatch)
    assert diffc.encode(photo, model=folder, **options) == expected
    assert readings.components == []
    with pytest.raises(OSError, match="tokenizer"):
        diffc.encode(photo, model=folder, prompt="a red door", **options)
    # one that was made for another model
    other = tmp_path / "velocity"
    shutil.copytree(here / "velocity", other)
    shutil.copy(path, other)
    with pytest.raises(OSError, match="was made for the model"):
        diffc.encode(photo, model=other, **options)


@pytest.mark.parametrize("content", [b"", b"\0" * 50])
def test_a_damaged_empty_prompt_is_an_error(
    photo: Image.Image, pipelines: Path, tmp_path: Path, content: bytes
) -> None:
    folder = tmp_path / "velocity"
    shutil.copytree(pipelines / "velocity", folder)
    (folder / prompt_embedding.EMPTY_PROMPT).write_bytes(content)
    with pytest.raises(OSError, match="empty_prompt"):
        diffc.encode(photo, backend="ddcm", model=folder)


@pytest.mark.parametrize("kind", ["epsilon", "xl", "flow"])
def test_texts_are_embedded_as_by_the_pipelines(here: Path, kind: str) -> None:
    import diffusers
    from diffusers.utils import logging as first
    from transformers.utils import logging as second

    for logging in (first, second):
        logging.disable_progress_bar()
    name = json.loads((here / kind / "model_index.json").read_text())["_class_name"]
    absent: dict[str, Any] = {}
    options: dict[str, Any] = {"do_classifier_free_guidance": False, "device": "cpu"}
    if kind == "epsilon":
        options["num_images_per_prompt"] = 1
    if kind == "flow":
        absent = dict.fromkeys(
            ("text_encoder_3", "tokenizer_3", "feature_extractor", "image_encoder")
        )
        options |= {"prompt_2": None, "prompt_3": None, "max_sequence_length": 77}
    pipeline = getattr(diffusers, name).from_pretrained(here / kind, **absent)
    networks = DiffusersNetworks(here / kind, "cpu")
    for prompt in ("a red door", "Дверь, 🚪"):
        with torch.no_grad():
            theirs = pipeline.encode_prompt(prompt, **options)
        ours = prompt_embedding.embedding_of(here / kind, prompt, networks.shape.widths)
        torch.testing.assert_close(ours.hidden, theirs[0])
        assert (ours.pooled is None) == (kind == "epsilon")
        if ours.pooled is not None:
            torch.testing.assert_close(ours.pooled, theirs[2])


def test_a_prompt_travels_with_the_file_and_counts(
    photo: Image.Image, here: Path, tmp_path: Path
) -> None:
    options = {"backend": "ddcm", "model": here / "velocity", "target_size": 400, "steps": 8}
    plain, prompted = (
        diffc.encode(photo, prompt=prompt, **options) for prompt in (None, "a red door 🚪")
    )
    assert len(prompted) <= 400
    assert "a red door 🚪".encode() in prompted
    assert diffc.info(plain).model == fingerprint(here / "velocity").hex()
    assert diffc.info(prompted).model == fingerprint(here / "velocity", prompted=True).hex()
    best = through_autoencoder(photo, here / "velocity")
    assert psnr(best, diffc.decode(prompted)) > 15
    # another text encoder would mean another prompt
    folder = tmp_path / "other"
    shutil.copytree(here / "velocity", folder)
    encoder = folder / "text_encoder" / "model.safetensors"
    edited = bytearray(encoder.read_bytes())
    edited[-3] ^= 64
    encoder.write_bytes(edited)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DIFFC_MODELS", str(folder))
        with pytest.raises(OSError, match=r"other \([0-9a-f]{8}\)"):
            diffc.decode(prompted)


def test_a_prompt_changes_what_the_denoiser_expects(here: Path) -> None:
    x = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    estimates = [
        diffusers_model.load(here / kind, "cpu", prompt).denoiser(4 * x, torch.tensor([4.0]))
        for kind in ("velocity", "xl")
        for prompt in ("", "a red door")
    ]
    for plain, prompted in (estimates[:2], estimates[2:]):
        assert float((plain - prompted).abs().max()) > 1e-4


def test_a_prompt_of_too_many_tokens_is_refused(photo: Image.Image, here: Path) -> None:
    with pytest.raises(ValueError, match="prompts of up to 77 tokens, not 202: shorten"):
        diffc.encode(photo, backend="ddcm", model=here / "velocity", prompt="ab" * 100)


def test_a_file_opens_in_another_precision(
    photo: Image.Image, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def compute_in(dtype: torch.dtype) -> None:
        monkeypatch.setattr(diffusers_model, "fast_dtype", lambda device: dtype)
        release_models()
        assert DiffusersNetworks(here / "flow", "cpu").dtype is dtype

    options = {"backend": "ddcm", "model": here / "flow", "target_size": 900, "steps": 12}
    made = []
    try:
        compute_in(torch.bfloat16)
        data = diffc.encode(photo, **options)
        made.append(diffc.decode(data))
        compute_in(torch.float32)
        made.append(diffc.decode(data))
    finally:
        release_models()
    assert made[0] != made[1]
    assert psnr(*made) > 35


def test_memory_for_attention_is_saved_where_nothing_is_fused(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from diffusers import UNet2DConditionModel

    asked: list[object] = []
    monkeypatch.setattr(
        UNet2DConditionModel, "set_attention_slice", lambda self, size: asked.append(size)
    )
    DiffusersNetworks(here / "epsilon", "cpu")
    assert asked == []
    DiffusersNetworks(here / "epsilon", "meta")
    assert asked == ["auto"]


@pytest.fixture(scope="session")
def flow_checks(pipelines: Path) -> dict[str, Any]:
    folder = str(pipelines / "flow")
    every = checks(
        DdcmCodec(model=folder, steps=3),
        decode_options=DecodeOptions(model=folder, steps=1),
        sizes=((1, 1), (7, 3), (50, 34)),
    )
    return {str(check): check for check in every}


@pytest.mark.parametrize(
    "rule",
    ["round_trip", "quality", "byte_targets", "damage"],
)
def test_the_conformance_kit_holds(flow_checks: dict[str, Any], rule: str) -> None:
    flow_checks[rule]()


def test_networks_are_read_once(
    photo: Image.Image, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"backend": "ddcm", "model": here / "flow", "target_size": 60, "steps": 2}
    data = diffc.encode(photo, **options)
    monkeypatch.setattr(DiffusersNetworks, "__init__", None)
    assert diffc.encode(photo, **options) == data
    assert diffc.decode(data).size == photo.size
    with pytest.raises(TypeError):
        DiffusersNetworks(here / "flow", "cpu")


def test_folders_that_the_environment_names_are_found(
    photo: Image.Image, pipelines: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = diffc.encode(photo, backend="ddcm", model=pipelines / "flow", target_size=60, steps=2)
    for value in (pipelines, pipelines / "flow"):
        monkeypatch.setenv("DIFFC_MODELS", os.fspath(value))
        assert diffc.decode(data).size == photo.size
