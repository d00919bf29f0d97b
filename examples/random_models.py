"""Directories of models with random weights, for what depends on their sizes alone: seconds and memory.

``write_pipeline`` makes one as diffusers stores it, ``write_perco`` one in the layout of PerCo (SD).
Neither has a text encoder; in its place there is a made-up empty prompt.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from diffc.codecs.perco_sd.hyper_encoder import HyperEncoderConfig, empty_hyper_encoder
from diffc.codecs.shared.stable_diffusion.prompt_embedding import EMPTY_PROMPT, TOKENS
from diffc.models.identity import fingerprint

_WEIGHTS = "diffusion_pytorch_model.safetensors"


@dataclass(frozen=True)
class Sizes:
    """What a pipeline's networks are made with.

    Parameters
    ----------
    unet, vae : mapping
        Arguments of diffusers' ``UNet2DConditionModel`` and ``AutoencoderKL``.
    """

    unet: Mapping[str, Any]
    vae: Mapping[str, Any]


STABLE_DIFFUSION = Sizes(
    unet={
        "sample_size": 64,
        "attention_head_dim": (5, 10, 20, 20),
        "cross_attention_dim": 1024,
        "use_linear_projection": True,
    },
    vae={
        "block_out_channels": (128, 256, 512, 512),
        "down_block_types": ("DownEncoderBlock2D",) * 4,
        "up_block_types": ("UpDecoderBlock2D",) * 4,
        "layers_per_block": 2,
    },
)
"""Those of Stable Diffusion 2.1."""
SMALL = Sizes(
    unet={
        "sample_size": 64,
        "block_out_channels": (32,) * 4,
        "layers_per_block": 1,
        "norm_num_groups": 8,
        "attention_head_dim": 8,
        "cross_attention_dim": 64,
        "use_linear_projection": True,
    },
    vae={
        "block_out_channels": (32,) * 4,
        "down_block_types": ("DownEncoderBlock2D",) * 4,
        "up_block_types": ("UpDecoderBlock2D",) * 4,
    },
)
"""The same kinds of layers, few and of few channels."""


def write_pipeline(
    folder: Path, sizes: Sizes = STABLE_DIFFUSION, *, dtype: torch.dtype = torch.bfloat16
) -> dict[str, int]:
    """Write a pipeline's directory; return the number of parameters of each network."""
    import diffusers

    counts = {}
    with _in_precision(dtype):
        for name, kind, options in (
            ("unet", diffusers.UNet2DConditionModel, sizes.unet),
            ("vae", diffusers.AutoencoderKL, sizes.vae),
        ):
            network = kind(**options)
            if name == "unet":
                # as the noise of a walk is mostly what it starts with, a trained network says little
                nn.init.normal_(network.conv_out.weight, std=0.01)
            counts[name] = sum(weight.numel() for weight in network.parameters())
            network.save_pretrained(folder / name)
            del network
    diffusers.DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
    ).save_pretrained(folder / "scheduler")
    _write_index(
        folder,
        {
            "scheduler": ["diffusers", "DDIMScheduler"],
            "unet": ["diffusers", "UNet2DConditionModel"],
            "vae": ["diffusers", "AutoencoderKL"],
        },
    )
    _write_empty_prompt(folder, int(sizes.unet["cross_attention_dim"]))
    return counts


def write_perco(folder: Path, sizes: Sizes = SMALL) -> dict[str, int]:
    """Write a directory in the layout of PerCo (SD); return the number of parameters of each network."""
    counts = write_pipeline(folder, sizes, dtype=torch.float32)
    config = HyperEncoderConfig(in_channels=4, N=64, M=96, codebook_dim=16, cfg_ss=32, cfg_cs=256)
    path = folder / "unet" / _WEIGHTS
    weights = load_file(path)
    first = weights["conv_in.weight"]
    seen = torch.randn(len(first), config.M, 3, 3) / 30
    weights["conv_in_extended.weight"] = torch.cat([first, seen], dim=1)
    weights["conv_in_extended.bias"] = torch.zeros(len(first))
    save_file(weights, path)
    state = {
        name: torch.randn(value.shape) / max(1, value[0].numel()) ** 0.5
        for name, value in empty_hyper_encoder(config).state_dict().items()
    }
    codes = "quantizer._codebook.embed"
    state[codes] = nn.functional.normalize(state[codes], dim=-1)
    (folder / "hyper_enc").mkdir()
    save_file(state, folder / "hyper_enc" / _WEIGHTS)
    (folder / "hyper_enc" / "config.json").write_text(json.dumps(asdict(config)))
    _write_index(
        folder,
        {
            "hyper_enc": ["hyper_encoder", "HyperEncoder"],
            "scheduler": ["diffusers", "DDIMScheduler"],
            "unet": ["unet_2d_perco", "UNet2DConditionModel"],
            "vae": ["diffusers", "AutoencoderKL"],
        },
    )
    _write_empty_prompt(folder, int(sizes.unet["cross_attention_dim"]))
    return counts | {"hyper_enc": sum(value.numel() for value in state.values())}


def _write_index(folder: Path, index: dict[str, list[str]]) -> None:
    (folder / "model_index.json").write_text(json.dumps(index))


def _write_empty_prompt(folder: Path, width: int) -> None:
    save_file(
        {"hidden": torch.randn(1, TOKENS, width)},
        folder / EMPTY_PROMPT,
        metadata={"fingerprint": fingerprint(folder).hex()},
    )


@contextmanager
def _in_precision(dtype: torch.dtype) -> Iterator[None]:
    """Make new parameters of a type."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)
