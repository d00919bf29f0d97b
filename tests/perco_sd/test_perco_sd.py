"""PerCo (SD): directories in the layout of its release, tiny ones, without any network."""

from __future__ import annotations

import json
import math
import shutil
import socket
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fake_hub import change_json
from PIL import Image
from safetensors.torch import load_file, save_file
from tiny_perco import OUTER, STRIDE, WEIGHTS, WORDS, make_perco
from torch.nn import functional

from diffc.codec import DecodeOptions
from diffc.codecs.perco_sd import hyper_encoder
from diffc.codecs.perco_sd import model as perco_sd_model
from diffc.codecs.perco_sd.hyper_encoder import (
    CosineQuantiser,
    HyperEncoderConfig,
    empty_hyper_encoder,
)
from diffc.codecs.perco_sd.model import PercoSdModel
from diffc.codecs.perco_sd.unet import read_widened_unet
from diffc.codecs.shared.diffusion.samplers import initial_noise
from diffc.codecs.shared.diffusion.schedules import alpha_bars, ddim_times, last_sigma
from diffc.codecs.shared.models import load_once
from diffc.codecs.shared.stable_diffusion import autoencoder
from diffc.codecs.shared.stable_diffusion.folder import read_pipeline
from diffc.codecs.shared.stable_diffusion.prompt_embedding import embedding_of
from diffc.codecs.shared.tiling.blended import Tiling
from diffc.errors import ModelNotAvailableError, OptionError
from diffc.models.identity import fingerprint, fingerprints, kind_of
from diffc.models.loaded import release_models

needs_extra = pytest.mark.skipif(
    find_spec("diffusers") is None or find_spec("transformers") is None,
    reason='needs pip install "diffc[models]"',
)
CAPTION = "a red door"
TWO_STEPS = DecodeOptions(steps=2)


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise AssertionError("a socket was used")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture(scope="session")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory in the layout of the release; nothing changes it."""
    return make_perco(tmp_path_factory.mktemp("perco") / "release")


@pytest.fixture
def perco(release: Path) -> PercoSdModel:
    return load_once(PercoSdModel, release, "cpu")


@pytest.fixture
def copy(release: Path, tmp_path: Path) -> Path:
    """The same, for a test to change."""
    return Path(shutil.copytree(release, tmp_path / "my-model"))


def pixels_of(image: Image.Image) -> torch.Tensor:
    values = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None]
    return values.float() / 255


@pytest.mark.parametrize(
    ("cfg_ss", "cfg_cs", "published"), [(64, 256, 4_080_128), (8, 256, 5_868_032)]
)
def test_the_hyper_encoder_has_the_published_number_of_parameters(
    cfg_ss: int, cfg_cs: int, published: int
) -> None:
    network = empty_hyper_encoder(HyperEncoderConfig(4, 192, 320, 32, cfg_ss, cfg_cs))
    assert sum(weight.numel() for weight in network.backbone.parameters()) == published


@pytest.mark.parametrize(
    ("cfg_ss", "shape"), [(64, (8, 16)), (32, (4, 8)), (16, (2, 4)), (8, (1, 2))]
)
def test_every_rate_has_its_grid(cfg_ss: int, shape: tuple[int, int]) -> None:
    network = hyper_encoder.HyperEncoder(HyperEncoderConfig(4, 4, 6, 3, cfg_ss, 16))
    with torch.no_grad():
        assert network(torch.zeros(1, 4, 8, 16)).shape == (1, *shape)


def test_tokens_are_nearest_in_direction() -> None:
    quantiser = CosineQuantiser(2, 3, 2)
    # the last is a code that training left unused: it is the nearest point to the first vector
    codes = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [-1e-3, 0.0]]])
    quantiser.load_state_dict({"_codebook.embed": codes}, strict=False)
    vectors = torch.tensor([[0.3, -0.95], [0.1, 9.0], [-3.0, -0.1]]).T.reshape(1, 2, 1, 3)
    assert quantiser.indices(vectors).tolist() == [[[0, 1, 2]]]
    assert torch.equal(quantiser.words(), codes[0])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cfg_ss": 12}, "cfg_ss is 64, 32, 16 or 8, not 12"),
        ({"cfg_cs": 1}, "cfg_cs is 2 to 65536, not 1"),
        ({"cfg_cs": 10**9}, "cfg_cs is a number from 1 to 65536"),
        ({"N": 7}, "N and M are even, not 7"),
        ({"M": "12"}, "M is a number"),
    ],
)
def test_sizes_are_checked(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(HyperEncoderConfig(4, 8, 12, 4, 32, 20), **changes)


@pytest.mark.skipif(find_spec("diffusers") is None, reason='needs pip install "diffc[models]"')
@pytest.mark.parametrize("spacing", ["leading", "trailing", "linspace"])
@pytest.mark.parametrize("steps", [2, 7, 20, 64, 600])
def test_times_are_those_of_the_scheduler(spacing: str, steps: int) -> None:
    import diffusers

    scheduler = diffusers.DDIMScheduler(
        timestep_spacing=spacing, steps_offset=1, set_alpha_to_one=False
    )
    scheduler.set_timesteps(steps)
    config = {**scheduler.config, "beta_schedule": "linear"}
    assert ddim_times(config, steps) == scheduler.timesteps.tolist()
    sigmas = [math.sqrt((1 - bar) / bar) for bar in alpha_bars(config)]
    last = last_sigma(config, sigmas)
    assert 1 / (1 + last**2) == pytest.approx(float(scheduler.final_alpha_cumprod))
    assert last_sigma({**config, "set_alpha_to_one": True}, sigmas) == 0


@pytest.mark.parametrize(
    ("config", "steps", "message"),
    [
        ({}, 1001, "up to 1000 steps, not 1001"),
        ({"timestep_spacing": "other"}, 4, "timestep_spacing is leading"),
        ({"steps_offset": -1}, 4, "steps_offset is 0 to 999"),
    ],
)
def test_impossible_times_are_refused(config: dict[str, Any], steps: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ddim_times(config, steps)


@needs_extra
def test_the_layout_is_recognised(release: Path, perco: PercoSdModel) -> None:
    assert kind_of(release) == perco_sd_model.KIND == "perco-sd"
    assert perco.fingerprint == fingerprint(release) == fingerprint(release, prompted=True)
    assert fingerprints(release) == (perco.fingerprint,)
    # 20 codes; the VAE takes 4 pixels to a position, the UNet halves once, so does the encoder
    assert (perco.bits, perco.words, perco.multiple) == (5, WORDS, 8)
    assert perco.grid(96, 64) == (8, 12)
    assert perco.grid(1, 9) == (2, 1)


@needs_extra
def test_tokens_are_deterministic_and_say_something(
    perco: PercoSdModel, photo: Image.Image
) -> None:
    pixels = pixels_of(photo)
    tokens = perco.tokens(pixels)
    assert tokens.shape == perco.grid(*photo.size)
    assert tokens.dtype == torch.int64
    assert torch.equal(tokens, perco.tokens(pixels))
    assert not torch.equal(tokens, perco.tokens(pixels.flip(3)))
    assert len(tokens.unique()) > 2
    assert 0 <= int(tokens.min()) <= int(tokens.max()) < WORDS


@needs_extra
def test_a_picture_depends_on_all_that_is_coded(perco: PercoSdModel, photo: Image.Image) -> None:
    tokens = perco.tokens(pixels_of(photo))

    def rendered(tokens: torch.Tensor, caption: str = CAPTION, **options: Any) -> torch.Tensor:
        seed = options.pop("seed", 7)
        return perco.render(tokens, caption, seed, replace(TWO_STEPS, **options))

    first = rendered(tokens)
    assert first.shape == (1, 3, 64, 96)
    assert 0 <= float(first.min()) < float(first.max()) <= 1
    assert torch.equal(first, rendered(tokens.to(torch.int32)))
    others = {
        "tokens": rendered(tokens.flip(0)),
        "caption": rendered(tokens, "the blue sea"),
        "no caption": rendered(tokens, ""),
        "seed": rendered(tokens, seed=8),
        "steps": rendered(tokens, steps=3),
        "guidance": rendered(tokens, guidance=1.0),
        "other guidance": rendered(tokens, guidance=9.0),
    }
    for name, other in others.items():
        assert float((first - other).abs().max()) > 1e-3, name
    assert torch.equal(first, rendered(tokens, guidance=perco_sd_model.DEFAULT_GUIDANCE))
    # an empty caption is the empty one, however it is guided
    assert torch.equal(others["no caption"], rendered(tokens, "", guidance=9.0))


@needs_extra
def test_the_defaults_are_those_of_the_release(perco: PercoSdModel) -> None:
    told: list[tuple[int, int]] = []
    options = DecodeOptions(progress=lambda done, total: told.append((done, total)))
    tokens = torch.zeros(perco.grid(8, 16), dtype=torch.int64)
    made = perco.render(tokens, CAPTION, 0, options)
    assert told == [(step, 20) for step in range(1, 21)]
    assert torch.equal(
        made, perco.render(tokens, CAPTION, 0, DecodeOptions(steps=20, guidance=3.0))
    )


@needs_extra
@pytest.mark.parametrize("prediction", ["velocity", "epsilon"])
def test_sampling_is_that_of_diffusers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prediction: str
) -> None:
    import diffusers

    monkeypatch.setattr(perco_sd_model, "fast_dtype", lambda device: torch.float32)
    folder = make_perco(tmp_path / prediction, prediction)
    model = PercoSdModel(folder, "cpu")
    rows, columns = model.grid(24, 16)
    tokens = torch.randint(WORDS, (rows, columns), generator=torch.Generator().manual_seed(5))
    options = DecodeOptions(steps=5, guidance=2.5)

    # the same with the scheduler, the first convolution as it is in the file, and features repeated
    codes = load_file(folder / "hyper_enc" / WEIGHTS)
    words = functional.linear(
        codes["quantizer._codebook.embed"][0],
        codes["quantizer.project_out.weight"],
        codes["quantizer.project_out.bias"],
    )
    features = functional.interpolate(words[tokens].permute(2, 0, 1)[None], scale_factor=STRIDE)
    weights = load_file(folder / "unet" / WEIGHTS)
    wider = torch.nn.Conv2d(4 + OUTER, len(weights["conv_in.bias"]), 3, padding=1)
    for key in ("weight", "bias"):
        getattr(wider, key).data = weights.pop(f"conv_in_extended.{key}")
    config = diffusers.UNet2DConditionModel.load_config(folder / "unet")
    unet: Any = diffusers.UNet2DConditionModel.from_config(config)
    unet.load_state_dict(weights)
    unet.conv_in = torch.nn.Identity()
    scheduler = diffusers.DDIMScheduler.from_pretrained(folder / "scheduler")
    scheduler.set_timesteps(5)
    widths = perco_sd_model.shape_of("UNet2DConditionModel", config).widths
    texts = [embedding_of(folder, text, widths).hidden for text in ("", CAPTION)]
    latent = initial_noise(3, (4, rows * STRIDE, columns * STRIDE), "cpu")
    with torch.no_grad():
        for t in scheduler.timesteps:
            seen = wider(torch.cat([latent, features], dim=1))
            without, under = (unet(seen, t, encoder_hidden_states=text).sample for text in texts)
            prediction_ = without + 2.5 * (under - without)
            latent = scheduler.step(prediction_, t, latent).prev_sample
        vae = autoencoder.autoencoder_of(read_pipeline(folder), "cpu")
        expected = vae.synthesise(latent)
    made = model.render(tokens, CAPTION, 3, options)
    assert float(expected.std()) > 0.01
    torch.testing.assert_close(made, expected, atol=2e-4, rtol=0)


@needs_extra
def test_large_pictures_are_computed_in_tiles(
    perco: PercoSdModel, photo: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = perco.tokens(pixels_of(photo))
    whole = perco.render(tokens, CAPTION, 1, TWO_STEPS)
    seen: list[torch.Size] = []
    encoder: Any = perco._encoder
    encoder.backbone.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0].shape))
    monkeypatch.setattr(hyper_encoder, "_LARGEST", 12)
    monkeypatch.setattr(hyper_encoder, "_TILE", 12)
    monkeypatch.setattr(hyper_encoder, "_OVERLAP", 4)
    tiled = perco.tokens(pixels_of(photo))
    assert len(seen) > 1
    assert {shape[2:] for shape in seen} == {(12, 12)}
    assert float((tiled == tokens).float().mean()) > 0.5
    monkeypatch.setattr(perco, "_tiling", Tiling(largest=16, tile=12, overlap=4, multiple=2))
    shapes: list[torch.Size] = []
    unet: Any = perco._unet
    hook = unet.conv_in.register_forward_hook(lambda _, inputs, __: shapes.append(inputs[0].shape))
    made = perco.render(tokens, CAPTION, 1, TWO_STEPS)
    hook.remove()
    # both texts at once; the features of tokens are there for one tile at a time
    assert set(shapes) == {torch.Size((2, 4 + OUTER, 12, 12))}
    assert made.shape == whole.shape
    assert float((made - whole).abs().mean()) < 0.1


@needs_extra
def test_another_precision_draws_nearly_the_same(
    release: Path, photo: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = []
    for dtype in (torch.bfloat16, torch.float32):
        monkeypatch.setattr(perco_sd_model, "fast_dtype", lambda device, dtype=dtype: dtype)
        models.append(PercoSdModel(release, "cpu"))
    # the precision of what draws has no say in what is coded
    tokens, same = (model.tokens(pixels_of(photo)) for model in models)
    assert torch.equal(tokens, same)
    pair = [model.render(tokens, CAPTION, 2, TWO_STEPS) for model in models]
    assert not torch.equal(*pair)
    assert float((pair[0] - pair[1]).abs().mean()) < 0.02


@needs_extra
@pytest.mark.parametrize("token", [-1, WORDS])
def test_a_token_beyond_the_codes_is_an_error(perco: PercoSdModel, token: int) -> None:
    tokens = torch.full(perco.grid(8, 8), token)
    with pytest.raises(OSError, match=f"tokens of this model are 0 to {WORDS - 1}, not {token}"):
        perco.render(tokens, CAPTION, 0, TWO_STEPS)


@needs_extra
def test_a_caption_that_is_too_long_is_refused(perco: PercoSdModel) -> None:
    perco.check_caption(CAPTION)
    with pytest.raises(ValueError, match="up to 77 tokens, not 202"):
        perco.check_caption("ab" * 100)
    with pytest.raises(OSError, match=r"the file's caption cannot be used.*77 tokens"):
        perco.render(torch.zeros(perco.grid(8, 8)).long(), "ab" * 100, 0, TWO_STEPS)


@needs_extra
def test_more_steps_than_levels_are_refused(perco: PercoSdModel) -> None:
    with pytest.raises(OptionError, match="up to 1000 steps"):
        perco.render(torch.zeros(perco.grid(8, 8)).long(), "", 0, DecodeOptions(steps=1001))


@needs_extra
@pytest.mark.parametrize(
    ("part", "change", "message"),
    [
        (
            "hyper_enc",
            lambda keys: keys.pop("backbone.8.conv_b.3.bias"),
            "missing keys, such as backbone.8.conv_b.3.bias",
        ),
        ("hyper_enc", lambda keys: keys.update(x=torch.ones(1)), "unexpected keys, such as x"),
        (
            "hyper_enc",
            lambda keys: keys.update({"quantizer.project_in.bias": torch.ones(9)}),
            "keys of other shapes, such as quantizer.project_in.bias",
        ),
        ("unet", lambda keys: keys.pop("conv_in.weight"), "missing keys, such as conv_in.weight"),
        (
            "unet",
            lambda keys: keys.pop("conv_in_extended.bias"),
            "missing keys, such as conv_in_extended.bias",
        ),
        ("unet", lambda keys: keys.update(x=torch.ones(1)), "unexpected keys, such as x"),
        (
            "unet",
            lambda keys: keys.update({"conv_in_extended.weight": torch.ones(16, 99, 3, 3)}),
            "keys of other shapes, such as conv_in_extended.weight",
        ),
        ("vae", lambda keys: keys.pop("encoder.conv_in.bias"), "missing keys, such as encoder"),
    ],
)
def test_other_weights_are_refused(
    copy: Path, part: str, change: Callable[[dict[str, torch.Tensor]], object], message: str
) -> None:
    path = copy / part / WEIGHTS
    keys = load_file(path)
    change(keys)
    save_file(keys, path)
    with pytest.raises(OSError, match=f"my-model/{part} has 1 {message}"):
        load_once(PercoSdModel, copy, "cpu")


@needs_extra
def test_damaged_weights_are_refused(copy: Path) -> None:
    (copy / "hyper_enc" / WEIGHTS).write_bytes(bytes(100))
    with pytest.raises(OSError, match="hyper_enc has damaged weights"):
        load_once(PercoSdModel, copy, "cpu")


@needs_extra
@pytest.mark.parametrize(
    ("file", "changes", "message"),
    [
        ("hyper_enc/config.json", {"cfg_ss": 31}, "cfg_ss is 64, 32, 16 or 8, not 31"),
        ("hyper_enc/config.json", {"num_residual_blocks": 9}, "but num_residual_blocks"),
        ("hyper_enc/config.json", {"in_channels": 8}, "keys of other shapes"),
        ("unet/config.json", {"center_input_sample": True}, "center_input_sample"),
        ("vae/config.json", {"latents_mean": [0.0] * 4}, "latents normalised by channel"),
        ("scheduler/scheduler_config.json", {"prediction_type": "other"}, "prediction_type"),
        (
            "model_index.json",
            {"scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"]},
            "has a UNet and a table of betas",
        ),
        ("model_index.json", {"unet": ["os", "system"]}, "unet is UNet2DConditionModel"),
    ],
)
def test_other_configurations_are_refused(
    copy: Path, file: str, changes: dict[str, Any], message: str
) -> None:
    change_json(copy / file, **changes)
    with pytest.raises(OSError, match=message):
        load_once(PercoSdModel, copy, "cpu")


@needs_extra
def test_the_other_published_hyper_encoder_is_refused(copy: Path) -> None:
    path = copy / "hyper_enc" / "config.json"
    config = json.loads(path.read_text())
    config["num_filters_base"], config["num_filters_out"] = config.pop("N"), config.pop("M")
    path.write_text(json.dumps(config))
    with pytest.raises(OSError, match="has not N, M but num_filters_base, num_filters_out"):
        load_once(PercoSdModel, copy, "cpu")


@needs_extra
@pytest.mark.parametrize("part", ["unet", "hyper_enc", "vae", "text_encoder"])
def test_edited_weights_are_another_model(copy: Path, part: str) -> None:
    before = load_once(PercoSdModel, copy, "cpu")
    path = next((copy / part).glob("*.safetensors"))
    edited = bytearray(path.read_bytes())
    edited[-3] ^= 64
    path.write_bytes(edited)
    after = load_once(PercoSdModel, copy, "cpu")
    assert after is not before
    assert after.fingerprint != before.fingerprint


@needs_extra
@pytest.mark.parametrize(
    ("file", "changes", "same"),
    [
        ("unet/config.json", {"_diffusers_version": "9"}, True),
        ("unet/config.json", {"norm_eps": 1e-6}, False),
        ("hyper_enc/config.json", {"cfg_ss": 64}, False),
        ("vae/config.json", {"scaling_factor": 1.0}, False),
        ("text_encoder/config.json", {"hidden_act": "gelu"}, False),
        ("scheduler/scheduler_config.json", {"steps_offset": 0}, False),
    ],
)
def test_configurations_count_in_the_fingerprint(
    copy: Path, file: str, changes: dict[str, Any], same: bool
) -> None:
    before = fingerprint(copy)
    change_json(copy / file, **changes)
    assert (fingerprint(copy) == before) == same


@needs_extra
def test_weights_that_overflow_are_an_error(copy: Path) -> None:
    path = copy / "unet" / WEIGHTS
    keys = load_file(path)
    keys["conv_out.bias"].fill_(torch.inf)
    save_file(keys, path)
    model = load_once(PercoSdModel, copy, "cpu")
    with pytest.raises(OSError, match="not finite"):
        model.render(torch.zeros(model.grid(8, 8)).long(), "", 0, TWO_STEPS)


@needs_extra
def test_a_model_is_read_once(release: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load_once(PercoSdModel, release, "cpu")
    monkeypatch.setattr(perco_sd_model, "read_widened_unet", None)
    assert load_once(PercoSdModel, release, "cpu") is first
    release_models()
    with pytest.raises(OSError, match="no model of this kind"):
        load_once(PercoSdModel, release, "cpu")


@needs_extra
def test_a_missing_package_is_named(release: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "diffusers", None)
    with pytest.raises(ModelNotAvailableError, match=r'diffusers.*pip install "diffc\[models\]"'):
        PercoSdModel(release, "cpu")


@needs_extra
def test_memory_for_attention_is_saved_where_nothing_is_fused(
    release: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    network: Any = read_widened_unet(read_pipeline(release), OUTER, torch.float32)
    monkeypatch.setattr(type(network), "set_attention_slice", lambda self, size: asked.append(size))
    PercoSdModel(release, "cpu")
    assert asked == []
    PercoSdModel(release, "meta")
    assert asked == ["auto"]
