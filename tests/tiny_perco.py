"""A tiny directory with random weights in the layout of the public PerCo (SD) release.

The names of the hyper-encoder's weights are written out here, apart from the network that is to
read them.  Needs diffusers and transformers.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from tiny_pipelines import make_pipeline

INNER, OUTER, WIDTH, WORDS = 8, 12, 4, 20
STRIDE = 2
WEIGHTS = "diffusion_pytorch_model.safetensors"


def make_perco(folder: Path, prediction: str = "velocity") -> Path:
    """Write the directory; ``prediction`` is ``velocity`` or ``epsilon``."""
    make_pipeline(prediction, folder)
    generator = torch.Generator().manual_seed(11)
    _widen(folder / "unet" / WEIGHTS, generator)
    part = folder / "hyper_enc"
    part.mkdir()
    config = {
        "_class_name": "HyperEncoder",
        "_diffusers_version": "0.27.0",
        "M": OUTER,
        "N": INNER,
        "cfg_cs": WORDS,
        "cfg_ss": 64 // STRIDE,
        "codebook_dim": WIDTH,
        "in_channels": 4,
    }
    (part / "config.json").write_text(json.dumps(config, indent=2))
    weights = {
        name: torch.randn(shape, generator=generator) / max(1, torch.Size(shape[1:]).numel()) ** 0.5
        for name, shape in hyper_encoder_shapes().items()
    }
    codes = "quantizer._codebook.embed"
    weights[codes] = torch.nn.functional.normalize(weights[codes], dim=-1)
    save_file(weights, part / WEIGHTS)
    index_path = folder / "model_index.json"
    index = json.loads(index_path.read_text())
    index |= {
        "_class_name": "StableDiffusionPipelinePerco",
        "hyper_enc": ["hyper_encoder", "HyperEncoder"],
        "unet": ["unet_2d_perco", "UNet2DConditionModel"],
    }
    index_path.write_text(json.dumps(index, indent=2))
    return folder


def _widen(path: Path, generator: torch.Generator) -> None:
    weights = load_file(path)
    narrow = weights["conv_in.weight"]
    added = torch.randn(len(narrow), OUTER, 3, 3, generator=generator) / 4
    weights["conv_in_extended.weight"] = torch.cat([narrow, added], dim=1)
    weights["conv_in_extended.bias"] = torch.randn(len(narrow), generator=generator)
    save_file(weights, path)


def hyper_encoder_shapes() -> dict[str, tuple[int, ...]]:
    """Return the release's names, with the shapes of the tiny one."""
    shapes: dict[str, tuple[int, ...]] = {}

    def add(name: str, *shape: int) -> None:
        shapes[f"{name}.weight"] = shape
        shapes[f"{name}.bias"] = shape[:1]

    def bottleneck(name: str, channels: int) -> None:
        half = channels // 2
        add(f"{name}.0", half, channels, 1, 1)
        add(f"{name}.2", half, half, 3, 3)
        add(f"{name}.4", channels, half, 1, 1)

    add("backbone.0", INNER, 4, 1, 1)
    add("backbone.4", INNER, INNER, 1, 1)
    add("backbone.9", INNER, INNER, 5, 5)
    add("backbone.13", OUTER, INNER, 1, 1)
    for place in (1, 2, 3, 5, 6, 7, 10, 11, 12):
        bottleneck(f"backbone.{place}.layers", INNER)
    for place, channels in ((8, INNER), (14, OUTER)):
        for branch in "ab":
            for unit in range(3):
                bottleneck(f"backbone.{place}.conv_{branch}.{unit}.conv", channels)
        add(f"backbone.{place}.conv_b.3", channels, channels, 1, 1)
    add("quantizer.project_in", WIDTH, OUTER)
    add("quantizer.project_out", OUTER, WIDTH)
    codebook = "quantizer._codebook"
    shapes[f"{codebook}.initted"] = (1,)
    shapes[f"{codebook}.cluster_size"] = (1, WORDS)
    shapes[f"{codebook}.embed_avg"] = shapes[f"{codebook}.embed"] = (1, WORDS, WIDTH)
    return shapes
