"""Pipeline directories that are not what they should be, and packages that are missing.

Nothing here needs diffusers: these directories are refused before it is used.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

import diffc
from diffc.codec import Coded, DecodeOptions
from diffc.codecs.ddcm.codec import DdcmCodec
from diffc.codecs.shared.stable_diffusion.folder import TRANSFORMER, UNET, read_pipeline
from diffc.codecs.shared.stable_diffusion.network import shape_of
from diffc.codecs.shared.stable_diffusion.parts import read_text_encoder
from diffc.errors import ModelNotAvailableError
from diffc.models.identity import fingerprint
from diffc.optional_packages import models_class

INDEX = {
    "_class_name": "StableDiffusionPipeline",
    "scheduler": ["diffusers", "PNDMScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
    "safety_checker": ["os", "system"],
}
UNET_CONFIG: dict[str, Any] = {
    "in_channels": 4,
    "out_channels": 4,
    "block_out_channels": [320, 640, 1280, 1280],
    "cross_attention_dim": 1024,
    "sample_size": 96,
}
XL = {
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 2816,
}
TRANSFORMER_CONFIG: dict[str, Any] = {
    "in_channels": 16,
    "out_channels": 16,
    "patch_size": 2,
    "sample_size": 128,
    "joint_attention_dim": 4096,
    "pooled_projection_dim": 2048,
    "pos_embed_max_size": 96,
}
VAE_CONFIG = {
    "latent_channels": 4,
    "block_out_channels": [128, 256, 512, 512],
    "scaling_factor": 0.18215,
}
SCHEDULE = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A directory like Stable Diffusion's, with weights of nothing."""
    write(tmp_path / "model_index.json", INDEX)
    write(tmp_path / "scheduler" / "scheduler_config.json", SCHEDULE)
    for part, config in (("unet", UNET_CONFIG), ("vae", VAE_CONFIG)):
        write(tmp_path / part / "config.json", config)
        weights = tmp_path / part / "diffusion_pytorch_model.safetensors"
        save_file({"weight": torch.zeros(1)}, weights)
    return tmp_path


def write(path: Path, value: Any) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(value))


def change(path: Path, **values: Any) -> None:
    write(path, json.loads(path.read_text()) | values)


def test_classes_are_chosen_among_known_ones(folder: Path) -> None:
    pipeline = read_pipeline(folder)
    assert pipeline.network == "unet"
    assert pipeline.classes["scheduler"] == "PNDMScheduler"
    assert "safety_checker" not in pipeline.classes


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"unet": ["os", "system"]}, "unet is UNet2DConditionModel here, not 'system'"),
        ({"unet": ["my_package", "x" * 10**5]}, "unet is UNet2DConditionModel here"),
        ({"vae": ["diffusers", "AutoencoderTiny"]}, "vae is AutoencoderKL here"),
        ({"scheduler": ["diffusers", "EDMEulerScheduler"]}, "scheduler is DDIMScheduler or"),
        ({"unet": [None, None]}, "one of unet and transformer"),
        ({"transformer": ["diffusers", TRANSFORMER]}, "one of unet and transformer"),
        ({"transformer": ["diffusers", "FluxTransformer2DModel"]}, "transformer is SD3Transformer"),
        ({"vae": None}, "one of unet and transformer, a vae"),
        ({"scheduler": "DDIMScheduler"}, "one of unet and transformer, a vae and a scheduler"),
    ],
)
def test_other_classes_are_refused(folder: Path, changes: dict[str, Any], message: str) -> None:
    change(folder / "model_index.json", **changes)
    with pytest.raises(OSError, match=message):
        read_pipeline(folder)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"unet": 3}'])
def test_a_damaged_index_is_refused(folder: Path, text: str) -> None:
    (folder / "model_index.json").write_text(text)
    with pytest.raises(OSError, match=r"model_index|pipeline has"):
        read_pipeline(folder)


@pytest.mark.parametrize(
    ("name", "config", "expected"),
    [
        (UNET, UNET_CONFIG, (4, 1024, 0, 144, 96, 8)),
        (UNET, UNET_CONFIG | {"sample_size": [64, 64]}, (4, 1024, 0, 96, 64, 8)),
        (UNET, UNET_CONFIG | {"sample_size": None}, (4, 1024, 0, 96, 64, 8)),
        (UNET, UNET_CONFIG | XL | {"sample_size": 128}, (4, 1024, 1280, 192, 128, 8)),
        (TRANSFORMER, TRANSFORMER_CONFIG, (16, 4096, 2048, 192, 128, 2)),
        (TRANSFORMER, TRANSFORMER_CONFIG | {"pos_embed_max_size": 40}, (16, 4096, 2048, 80, 80, 2)),
    ],
)
def test_shapes_of_released_networks(
    name: str, config: dict[str, Any], expected: tuple[int, ...]
) -> None:
    shape = shape_of(name, config)
    tiling = shape.tiling
    found = (shape.channels, shape.widths.hidden, shape.widths.pooled, tiling.largest, tiling.tile)
    assert (*found, tiling.multiple) == expected
    assert tiling.tile % tiling.multiple == tiling.largest % tiling.multiple == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"in_channels": 9}, "made for something else"),
        ({"class_embed_type": "timestep"}, "class_embed_type needs inputs"),
        ({"time_cond_proj_dim": 256}, "time_cond_proj_dim needs inputs"),
        ({"addition_embed_type": "image"}, "addition_embed_type is text_time"),
        ({"cross_attention_dim": [320, 640]}, "cross_attention_dim is one number"),
        ({"cross_attention_dim": "wide"}, "is no model of this kind"),
        ({"quantization_config": {"quant_method": "bitsandbytes"}}, "quantised weights"),
    ],
)
def test_networks_that_need_more_than_a_codec_has_are_refused(
    photo: Image.Image, folder: Path, changes: dict[str, Any], message: str
) -> None:
    change(folder / "unet" / "config.json", **changes)
    with pytest.raises(OSError, match=message):
        diffc.encode(photo, backend="ddcm", model=folder)


@pytest.mark.parametrize(
    ("part", "changes", "message"),
    [
        ("vae", {"latent_channels": 16}, "for latents of 16"),
        ("vae", {"latents_mean": [0.0] * 4}, "latents normalised by channel"),
        ("scheduler", {"prediction_type": "score"}, "prediction_type is"),
        ("scheduler", {"beta_schedule": None}, "beta_schedule is"),
    ],
)
def test_parts_that_do_not_fit_are_refused(
    photo: Image.Image,
    folder: Path,
    part: str,
    changes: dict[str, Any],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # what a complete directory would get as far as
    monkeypatch.setattr(
        "diffc.codecs.shared.stable_diffusion.autoencoder.read_network",
        lambda *arguments: torch.nn.Identity(),
    )
    name = "scheduler_config.json" if part == "scheduler" else "config.json"
    change(folder / part / name, **changes)
    with pytest.raises(OSError, match=message):
        diffc.encode(photo, backend="ddcm", model=folder)


def test_a_flow_and_a_schedule_of_betas_are_refused(photo: Image.Image, folder: Path) -> None:
    flow = ["diffusers", "FlowMatchEulerDiscreteScheduler"]
    change(folder / "model_index.json", scheduler=flow)
    with pytest.raises(OSError, match="with a FlowMatchEulerDiscreteScheduler"):
        diffc.encode(photo, backend="ddcm", model=folder)


def test_pickled_weights_are_refused(photo: Image.Image, folder: Path) -> None:
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    weights.rename(weights.with_suffix(".bin"))
    with pytest.raises(OSError, match="no weights in safetensors"):
        diffc.encode(photo, backend="ddcm", model=folder)


def test_a_missing_package_names_the_extra(
    photo: Image.Image, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "diffusers", None)
    message = r'needs diffusers, which is not installed: pip install "diffc\[models\]"'
    with pytest.raises(ValueError, match=message):
        diffc.encode(photo, backend="ddcm", model=folder)
    coded = Coded(b"", b"\x1e\0\0\0", photo.size, 1, fingerprint(folder))
    with pytest.raises(OSError, match=message):
        DdcmCodec.decode(coded, DecodeOptions(model=str(folder)))


def test_a_missing_package_of_text_encoders_names_the_extra(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ModelNotAvailableError, match=r'pip install "diffc\[models\]"'):
        read_text_encoder(read_pipeline(folder), "text_encoder")


def test_a_package_without_a_class_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "diffusers", ModuleType("diffusers"))
    with pytest.raises(ModelNotAvailableError, match=r"cannot be used here.*diffc\[models\]"):
        models_class("diffusers", UNET)
