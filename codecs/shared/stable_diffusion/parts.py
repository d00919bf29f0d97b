"""The networks of a pipeline's directory, read from safetensors alone."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import nn

from diffc.codecs.shared.stable_diffusion.folder import Pipeline
from diffc.models.identity import variant_of, weight_files
from diffc.optional_packages import models_class, models_package, silent


def network_dtype(device: str, fast: torch.dtype) -> torch.dtype:
    """Return what a large network computes in: bfloat16, float16 or float32.

    ``fast`` is bfloat16 where the hardware multiplies it; older GPUs have float16, and for the CPU
    float32 is left.
    """
    if fast is torch.float32 and device.startswith("cuda"):
        return torch.float16
    return fast


def read_network(pipeline: Pipeline, component: str, dtype: torch.dtype) -> nn.Module:
    """Read a network of diffusers; every key has to be there, and no other.

    Raises
    ------
    OSError
        If the weights are missing, incomplete, or of another network.
    ModelNotAvailableError
        If diffusers is not installed.
    """
    kind = models_class("diffusers", pipeline.classes[component])
    part = pipeline.folder / component
    files = weight_files(part)
    pieces = list(part.glob("diffusion_pytorch_model.safetensors.index*.json"))
    if len(files) == 1 and pieces:
        raise OSError(
            f"{part} holds its weights in one file and in pieces ({pieces[0].name}): remove one of "
            "both"
        )
    # without accelerate the weights are in memory twice while they are read
    frugal = find_spec("accelerate") is not None
    with silent(models_package("diffusers")):
        network, info = kind.from_pretrained(
            part,
            variant=variant_of(part),
            torch_dtype=dtype,
            low_cpu_mem_usage=frugal,
            use_safetensors=True,
            local_files_only=True,
            output_loading_info=True,
        )
    _check_keys(part, info, ("missing_keys", "unexpected_keys", "mismatched_keys"))
    return _ready(network)


def read_text_encoder(pipeline: Pipeline, component: str) -> nn.Module:
    """Read a text encoder of transformers, in float32 on the CPU.

    Raises
    ------
    OSError
        If the weights are missing or incomplete.
    ModelNotAvailableError
        If transformers is not installed.
    """
    kind = models_class("transformers", pipeline.classes[component])
    part = pipeline.folder / component
    with silent(models_package("transformers")):
        network, info = kind.from_pretrained(
            part,
            variant=variant_of(part),
            use_safetensors=True,
            local_files_only=True,
            output_loading_info=True,
        )
    _check_keys(part, info, ("missing_keys", "mismatched_keys"))
    return _ready(network).float()


def read_tokenizer(pipeline: Pipeline, component: str) -> Any:
    """Read a CLIP tokenizer."""
    kind = models_class("transformers", "CLIPTokenizer")
    part = pipeline.folder / component
    if not any((part / name).is_file() for name in ("tokenizer.json", "vocab.json")):
        raise OSError(f"{part} has no tokenizer.json or vocab.json: fetch the model anew")
    with silent(models_package("transformers")):
        return kind.from_pretrained(part, local_files_only=True)


def _ready(network: nn.Module) -> nn.Module:
    return network.eval().requires_grad_(False)


def _check_keys(part: Path, info: dict[str, Any], kinds: tuple[str, ...]) -> None:
    for kind in kinds:
        if info[kind]:
            first = min(map(str, info[kind]))
            raise OSError(
                f"{part} has {len(info[kind])} {kind.replace('_', ' ')}, such as {first}: fetch "
                "the model anew"
            )
