"""CoD's models of many steps and of one behind the codec: files, decode options, folders, checkpoints."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from make_cod_model import TINY_LATENTS, TINY_PIXELS, velocity_weights, write_tiny, write_velocity
from PIL import Image
from safetensors.torch import load_file, save_file
from tiny_pipelines import make_vae
from torch import Tensor

import diffc
from diffc.codecs.cod.convert import write_model
from diffc.codecs.shared.cod.folder import read_autoencoder, read_velocity_config
from diffc.codecs.shared.cod.sizes import VelocityConfig
from diffc.codecs.shared.cod.velocity_model import read_model
from diffc.codecs.shared.models import fingerprint, folder_of, load_once
from diffc.models import convert

needs_diffusers = pytest.mark.skipif(find_spec("diffusers") is None, reason="needs diffusers")
MODELS = [
    pytest.param("pixels"),
    pytest.param("latents", marks=needs_diffusers),
    pytest.param("far", marks=needs_diffusers),
    pytest.param("one_step_x"),
    pytest.param("one_step_v"),
]
CONFIGS = {
    "pixels": TINY_PIXELS,
    "latents": TINY_LATENTS,
    "far": replace(TINY_LATENTS, stride=128),
    "one_step_x": replace(TINY_PIXELS, stride=16, bits=8, one_step="x"),
    "one_step_v": replace(TINY_PIXELS, one_step="v", noise_level=1.0),
}
OPENS = "import sys; from PIL import Image; import diffc; Image.open(sys.argv[1]).save(sys.argv[2])"


@pytest.fixture(scope="module")
def vae(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_vae(tmp_path_factory.mktemp("autoencoder"))


@pytest.fixture(scope="module")
def folders(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> dict[str, Path]:
    """A small model of each kind that can be made here, in a directory that holds them all."""
    directory = tmp_path_factory.mktemp("models")
    made = {}
    for name, config in CONFIGS.items():
        latents = config.space == "latent"
        if latents and find_spec("diffusers") is None:
            continue
        part = request.getfixturevalue("vae") if latents else None
        made[name] = write_velocity(directory / name, config, part)
    return made


@pytest.fixture
def model(request: pytest.FixtureRequest, folders: dict[str, Path]) -> Path:
    return folders[request.param]


def picture(size: tuple[int, int]) -> Image.Image:
    ramp = Image.linear_gradient("L")
    return Image.merge("RGB", (ramp, ramp.rotate(90), Image.radial_gradient("L"))).resize(size)


# files


@pytest.mark.parametrize("model", MODELS, indirect=True)
@pytest.mark.parametrize("size", [(1, 1), (100, 37), (40, 130)])
def test_every_size_comes_back(model: Path, size: tuple[int, int]) -> None:
    data = diffc.encode(picture(size), backend="cod", model=model)
    with diffc.decoding(model=model, steps=2):
        decoded = diffc.decode(data)
    assert (decoded.size, decoded.mode) == (size, "RGB")
    assert diffc.encode(picture(size), backend="cod", model=model) == data


@pytest.mark.parametrize("model", MODELS, indirect=True)
def test_a_file_is_its_tokens(model: Path) -> None:
    config = read_velocity_config(model)
    columns, rows = (
        -(-side // config.multiple) * config.multiple // config.stride for side in (150, 90)
    )
    info = diffc.info(diffc.encode(picture((150, 90)), backend="cod", model=model))
    assert info.payload_bytes == -(-rows * columns * config.bits // 8)
    assert info.bitstream_version == 1


@pytest.mark.parametrize("model", MODELS[:2], indirect=True)
def test_an_oblong_picture_is_saved_here_and_opened_in_another_process(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIFFC_MODELS", str(model))
    path, out = tmp_path / "a.diffc", tmp_path / "a.png"
    picture((70, 45)).save(path, backend="cod", model=str(model))
    subprocess.run([sys.executable, "-c", OPENS, path, out], check=True)
    with Image.open(out) as there, Image.open(path) as here:
        assert there.size == (70, 45)
        difference = np.asarray(there, np.int16) - np.asarray(here, np.int16)
    assert np.abs(difference).max() <= 1


def test_tokens_carry_the_picture(folders: dict[str, Path]) -> None:
    options = {"backend": "cod", "model": str(folders["one_step_x"])}
    first, second = (
        np.asarray(diffc.decode(diffc.encode(each, **options), model=folders["one_step_x"]), float)
        for each in (picture((64, 64)), picture((64, 64)).rotate(180))
    )
    assert np.abs(first - second).max() > 20


@pytest.mark.parametrize("model", MODELS, indirect=True)
def test_bfloat16_is_close_to_float32(model: Path) -> None:
    exact, fast = (read_model(model, "cpu", dtype) for dtype in (torch.float32, torch.bfloat16))
    grid = (2, 3)
    tokens = torch.arange(6).reshape(grid)
    noise = torch.randn(1, *exact.shape(grid), generator=torch.Generator().manual_seed(3))
    with torch.inference_mode():
        wanted, made = (each.draw(tokens, noise, steps=2, guidance=1.0) for each in (exact, fast))
    assert made.dtype == torch.float32
    assert float((made - wanted).abs().max()) > 0
    assert float((made - wanted).std()) < 0.05 * float(wanted.std())


# options of decoding


def test_steps_and_guidance_are_chosen_at_decoding(folders: dict[str, Path]) -> None:
    model = folders["pixels"]
    data = diffc.encode(picture((64, 40)), backend="cod", model=model)

    def decoded(**options: Any) -> list[int]:
        return list(diffc.decode(data, model=model, **options).tobytes())

    default = decoded()
    assert decoded(steps=25, guidance=3.0) == default
    assert decoded(steps=4) != default
    assert decoded(guidance=1.0) != default
    assert decoded(cache=1) == default
    assert decoded(cache=3) != default
    seen: list[tuple[int, int]] = []
    decoded(steps=3, progress=lambda step, total: seen.append((step, total)))
    assert seen[-1] == (3, 3)
    with pytest.raises(ValueError, match="decodes in at least 1 step, not 0"):
        decoded(steps=0)


def test_a_rate_chooses_among_all_kinds(folders: dict[str, Path]) -> None:
    directory = folders["pixels"].parent
    lengths = [
        diffc.info(
            diffc.encode(picture((256, 256)), backend="cod", model=directory, quality=quality)
        ).payload_bytes
        for quality in (0, 100)
    ]
    # 2x2 tokens of 4 bits, or 8x8 of them; 16x16 of 8 bits
    assert lengths == [2 if "far" in folders else 32, 256]


# folders


@pytest.mark.parametrize("name", ["cod", pytest.param("vae", marks=needs_diffusers)])
@pytest.mark.parametrize("fault", ["lacks", "has no place for", "shape"])
def test_weights_are_complete_or_refused_by_name(
    tmp_path: Path, vae: Path, name: str, fault: str
) -> None:
    latents = name == "vae"
    config = TINY_LATENTS if latents else TINY_PIXELS
    folder = write_velocity(tmp_path / "model", config, vae if latents else None)
    path = folder / f"{name}.safetensors"
    weights = load_file(path)
    key = "decoder.conv_in.weight" if latents else "blocks.1.attn.q_norm.weight"
    says = {"lacks": f"lacks {key}", "shape": rf"has {key} of shape \(1,\)"}
    if fault == "has no place for":
        weights["other.bias"] = torch.zeros(3)
    else:
        weights[key] = torch.zeros(1)
        if fault == "lacks":
            del weights[key]
    save_file(weights, path)
    with pytest.raises(OSError, match=says.get(fault, r"has no place for other\.bias")):
        load_once(read_model, folder, "cpu")


@needs_diffusers
def test_an_autoencoder_of_another_kind_is_refused(tmp_path: Path, vae: Path) -> None:
    folder = write_velocity(tmp_path / "model", TINY_LATENTS, vae)
    path = folder / "config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps(config | {"vae": config["vae"] | {"latents_mean": [0.0] * 4}}))
    with pytest.raises(OSError, match="latents normalised by channel"):
        load_once(read_model, folder, "cpu")


@needs_diffusers
def test_earlier_names_of_attention_are_read(tmp_path: Path, vae: Path) -> None:
    now = write_velocity(tmp_path / "now", TINY_LATENTS, vae)
    old = tmp_path / "vae"
    old.mkdir()
    (old / "config.json").write_bytes((vae / "config.json").read_bytes())
    weights = load_file(vae / "diffusion_pytorch_model.safetensors")
    earlier = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    renamed = {}
    for name, value in weights.items():
        for present, before in earlier.items():
            name = name.replace(f".{present}.", f".{before}.")
        renamed[name] = value
    assert renamed.keys() != weights.keys()
    save_file(renamed, old / "diffusion_pytorch_model.safetensors")
    before = write_velocity(tmp_path / "before", TINY_LATENTS, tmp_path)
    assert fingerprint(before) == fingerprint(now)
    config, network = read_autoencoder(before)
    assert config["latent_channels"] == 4
    found = {name: value for name, value in network.state_dict().items() if "to_q" in name}
    assert all(torch.equal(value, weights[name]) for name, value in found.items())


def test_latents_have_an_autoencoder_and_pixels_have_none(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"this one is for latents: name the .* with --vae"):
        write_velocity(tmp_path / "model", TINY_LATENTS)
    with pytest.raises(ValueError, match="this one is for pixels: drop --vae"):
        write_velocity(tmp_path / "model", TINY_PIXELS, tmp_path)
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"kind": "cod", "velocity": {"stride": 64}}, "4, 8, 16, 32 or 128, not 64"),
        ({"kind": "cod", "velocity": {"colour": 3}}, "colour"),
        ({"kind": "cod", "velocity": [1]}, "is no CoD model"),
        ({"kind": "cod"}, "is no CoD model"),
    ],
)
def test_other_configurations_are_refused(tmp_path: Path, config: Any, says: str) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(OSError, match=says):
        diffc.encode(picture((32, 32)), backend="cod", model=tmp_path)


# checkpoints


def released(config: VelocityConfig, prefix: str) -> dict[str, Tensor]:
    return {f"{prefix}{name}": value for name, value in velocity_weights(config).items()}


def arguments(config: VelocityConfig) -> dict[str, Any]:
    known = {
        "ds": config.stride,
        "codebook_bits": config.bits,
        "hidden_size": config.width,
        "num_groups": config.heads,
        "num_cond_blocks": config.patch_blocks,
        "num_blocks": config.patch_blocks + config.last_blocks,
        "in_channels": config.channels,
        "patch_size": config.patch,
        "up2x": True,
    }
    if config.one_step:
        known |= {"pred": config.one_step, "noise_level": config.noise_level}
    return known


# groups of normalisation do not show in the weights: they are as in the released networks
PIXELS = replace(TINY_PIXELS, encoder_width=32, groups=32)
RELEASED = [
    PIXELS,
    replace(PIXELS, stride=16, bits=8, last_blocks=3),
    replace(PIXELS, one_step="v", noise_level=0.5),
    replace(PIXELS, space="latent", last_blocks=3, guidance=1.25, expansion=2, frequencies=8),
    replace(PIXELS, space="latent", stride=128, frequencies=8),
]


@pytest.mark.parametrize("config", RELEASED, ids=lambda each: f"{each.space}-{each.stride}")
def test_sizes_of_a_checkpoint_are_read_off_its_weights(
    tmp_path: Path, vae: Path, config: VelocityConfig
) -> None:
    latents = config.space == "latent"
    state = released(config, "ema_denoiser.")
    state |= {name.replace("ema_", ""): 2 * value for name, value in state.items()}
    state["diffusion_trainer.proj.weight"] = torch.zeros(3)
    given = arguments(config)
    section = given if config.one_step else {"denoiser": {"init_args": given}}
    folder = tmp_path / "model"
    write_model(state, section, folder, vae if latents else None)
    found = read_velocity_config(folder)
    if latents:
        # of pixels alone
        found = replace(found, pixel_width=config.pixel_width, frequencies=config.frequencies)
    assert found == config
    weights = load_file(folder / "cod.safetensors")
    assert all(
        torch.equal(weights[name], value) for name, value in velocity_weights(config).items()
    )


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"ds": 16}, "ds of this checkpoint is 32 for the codec, and its configuration says 16"),
        ({"up2x": False}, "up2x of this checkpoint is True"),
        ({"num_blocks": 9}, "num_blocks of this checkpoint is 3"),
        ({"num_cond_blocks": "2"}, "patch_blocks of a CoD network is a whole number"),
        ({"num_cond_blocks": None}, "patch_blocks of a CoD network is a whole number"),
    ],
)
def test_a_checkpoint_and_its_configuration_agree(
    tmp_path: Path, changes: dict[str, Any], says: str
) -> None:
    section = {"denoiser": {"init_args": arguments(PIXELS) | changes}}
    with pytest.raises(ValueError, match=says):
        write_model(released(PIXELS, "denoiser."), section, tmp_path / "model")


def test_a_checkpoint_without_its_configuration_is_not_guessed_at(tmp_path: Path) -> None:
    state = released(PIXELS, "")
    with pytest.raises(ValueError, match=r"which of the blocks come first: give .* --config"):
        write_model(state, {}, tmp_path / "model")
    with pytest.raises(ValueError, match=r"how many steps they are for: give .* --config"):
        write_model(state, arguments(PIXELS), tmp_path / "model")


def test_which_of_several_networks_to_take_is_not_guessed(tmp_path: Path) -> None:
    state = released(PIXELS, "teacher.") | released(PIXELS, "student.")
    section = {"denoiser": {"init_args": arguments(PIXELS)}}
    with pytest.raises(ValueError, match=r"unclear, this checkpoint has student\., teacher\."):
        write_model(state, section, tmp_path / "model")
    write_model(released(PIXELS, "student."), section, tmp_path / "model")


def test_a_checkpoint_that_lacks_a_weight_is_refused_by_its_name(tmp_path: Path) -> None:
    state = released(PIXELS, "ema_denoiser.")
    del state["ema_denoiser.y_embedder.decoder.ada.block.conv1.bias"]
    with pytest.raises(ValueError, match=r"lacks y_embedder\.decoder\.ada\.block\.conv1\.bias"):
        write_model(state, {"denoiser": {"init_args": arguments(PIXELS)}}, tmp_path / "model")


@needs_diffusers
@pytest.mark.usefixtures("own_store")
@pytest.mark.parametrize("nested", ["", "state_dict", "module"])
def test_a_released_checkpoint_becomes_a_model_of_the_store(
    tmp_path: Path, vae: Path, nested: str
) -> None:
    config = replace(PIXELS, space="latent")
    checkpoint, settings = tmp_path / "released.pt", tmp_path / "released.json"
    state = released(config, "ema_denoiser.")
    torch.save({nested: state} if nested else state, checkpoint)
    network = {"class_path": "os.system", "init_args": arguments(config)}
    settings.write_text(json.dumps({"model": {"latent": True, "denoiser": network}}))
    record = convert.to_model(checkpoint, "mine", "cod", settings, vae=vae)
    assert folder_of("mine", "cod") == Path(record.folder)
    data = diffc.encode(picture((40, 33)), backend="cod", model="mine")
    assert diffc.decode(data, steps=1).size == (40, 33)
    with pytest.raises(ValueError, match="for latents: name the autoencoder's directory"):
        convert.to_model(checkpoint, "other", "cod", settings)
    with pytest.raises(ValueError, match="kind 'compressai' are made without an autoencoder"):
        convert.to_model(checkpoint, "other", "compressai", settings, vae=vae)


def test_lite_models_take_no_autoencoder(tmp_path: Path) -> None:
    weights = load_file(write_tiny(tmp_path / "lite") / "cod.safetensors")
    with pytest.raises(ValueError, match="without an autoencoder: drop --vae"):
        write_model(weights, {}, tmp_path / "model", tmp_path)
