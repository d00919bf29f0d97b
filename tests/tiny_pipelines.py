"""Tiny pipelines with random weights, as `save_pretrained` of diffusers and transformers writes them.

Everything is made here, nothing is fetched.  They are never trained: they show that files work, not
how good they are.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

KINDS = ("epsilon", "velocity", "xl", "flow")
# the tokens of a text, and of what can stand for one
TOKENS = 77


def make_pipeline(kind: str, folder: Path) -> Path:
    """Write a pipeline of one of `KINDS`; needs diffusers and transformers."""
    before = torch.random.get_rng_state()
    torch.manual_seed(7)
    try:
        index = _MAKERS[kind](folder)
    finally:
        torch.random.set_rng_state(before)
    (folder / "model_index.json").write_text(json.dumps(index, indent=2))
    return folder


def _stable_diffusion(folder: Path, prediction: str) -> dict[str, Any]:
    import diffusers

    _vae(folder, gain=30, latent_channels=4, scaling_factor=0.18215)
    unet = diffusers.UNet2DConditionModel(**_UNET, cross_attention_dim=16)
    _saved(_quiet(unet), folder / "unet")
    scheduler = diffusers.DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        prediction_type=prediction,
        rescale_betas_zero_snr=prediction == "v_prediction",
    )
    scheduler.save_pretrained(folder / "scheduler")
    _text_encoder(folder, "", width=16)
    return {
        "_class_name": "StableDiffusionPipeline",
        "_diffusers_version": diffusers.__version__,
        "feature_extractor": [None, None],
        "image_encoder": [None, None],
        "safety_checker": [None, None],
        "scheduler": ["diffusers", "DDIMScheduler"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    }


def _stable_diffusion_xl(folder: Path) -> dict[str, Any]:
    import diffusers

    index = _stable_diffusion(folder, "epsilon")
    for path in (folder / "unet").iterdir():
        path.unlink()
    unet = diffusers.UNet2DConditionModel(
        **_UNET,
        cross_attention_dim=32,
        addition_embed_type="text_time",
        addition_time_embed_dim=4,
        projection_class_embeddings_input_dim=24 + 6 * 4,
    )
    _saved(_quiet(unet), folder / "unet")
    _text_encoder(folder, "_2", width=16, summary=24)
    return {
        **index,
        "_class_name": "StableDiffusionXLPipeline",
        "force_zeros_for_empty_prompt": True,
        "text_encoder_2": ["transformers", "CLIPTextModelWithProjection"],
        "tokenizer_2": ["transformers", "CLIPTokenizer"],
    }


def _stable_diffusion_3(folder: Path) -> dict[str, Any]:
    import diffusers

    _vae(
        folder,
        gain=2,
        latent_channels=8,
        scaling_factor=1.5,
        shift_factor=0.06,
        use_quant_conv=False,
        use_post_quant_conv=False,
    )
    transformer = diffusers.SD3Transformer2DModel(
        sample_size=8,
        patch_size=2,
        in_channels=8,
        out_channels=8,
        num_layers=1,
        attention_head_dim=8,
        num_attention_heads=4,
        caption_projection_dim=32,
        joint_attention_dim=40,
        pooled_projection_dim=24 + 20,
        pos_embed_max_size=96,
    )
    torch.nn.init.normal_(transformer.proj_out.weight, std=0.02)
    _saved(transformer, folder / "transformer")
    diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0).save_pretrained(folder / "scheduler")
    _text_encoder(folder, "", width=16, summary=24)
    _text_encoder(folder, "_2", width=16, summary=20)
    return {
        "_class_name": "StableDiffusion3Pipeline",
        "_diffusers_version": diffusers.__version__,
        "feature_extractor": [None, None],
        "image_encoder": [None, None],
        "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"],
        "text_encoder": ["transformers", "CLIPTextModelWithProjection"],
        "text_encoder_2": ["transformers", "CLIPTextModelWithProjection"],
        "text_encoder_3": [None, None],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "tokenizer_2": ["transformers", "CLIPTokenizer"],
        "tokenizer_3": [None, None],
        "transformer": ["diffusers", "SD3Transformer2DModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    }


_MAKERS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "epsilon": lambda folder: _stable_diffusion(folder, "epsilon"),
    "velocity": lambda folder: _stable_diffusion(folder, "v_prediction"),
    "xl": _stable_diffusion_xl,
    "flow": _stable_diffusion_3,
}

_UNET: dict[str, Any] = {
    "sample_size": 8,
    "in_channels": 4,
    "out_channels": 4,
    "block_out_channels": (16, 32),
    "layers_per_block": 1,
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
    "attention_head_dim": 8,
    "norm_num_groups": 8,
}


def _quiet(unet: Any) -> Any:
    """Let a network say little, as the noise of a walk is mostly what it starts with."""
    torch.nn.init.normal_(unet.conv_out.weight, std=0.02)
    return unet


def make_vae(folder: Path) -> Path:
    """Write an autoencoder of 4 channels and a factor of 8, as CoD's latents are of; return it."""
    before = torch.random.get_rng_state()
    torch.manual_seed(7)
    try:
        _vae(folder, gain=30, widths=(8, 16, 16, 16), latent_channels=4)
    finally:
        torch.random.set_rng_state(before)
    return folder / "vae"


def _vae(
    folder: Path, *, gain: float, widths: tuple[int, ...] = (8, 16, 16), **options: Any
) -> None:
    import diffusers

    vae = diffusers.AutoencoderKL(
        block_out_channels=widths,
        down_block_types=("DownEncoderBlock2D",) * len(widths),
        up_block_types=("UpDecoderBlock2D",) * len(widths),
        norm_num_groups=8,
        sample_size=32,
        **options,
    )
    # the latent's mean comes out about as large as that of a trained one
    with torch.no_grad():
        last = vae.encoder.conv_out if vae.quant_conv is None else vae.quant_conv
        last.weight[: options["latent_channels"]] *= gain
    _saved(vae, folder / "vae")


def _text_encoder(folder: Path, suffix: str, *, width: int, summary: int = 0) -> None:
    import transformers

    vocabulary = _tokenizer(folder / f"tokenizer{suffix}")
    config = transformers.CLIPTextConfig(
        vocab_size=len(vocabulary),
        hidden_size=width,
        intermediate_size=2 * width,
        num_attention_heads=2,
        num_hidden_layers=2,
        max_position_embeddings=TOKENS,
        projection_dim=summary or width,
        bos_token_id=vocabulary["<|startoftext|>"],
        eos_token_id=vocabulary["<|endoftext|>"],
        pad_token_id=vocabulary["<|endoftext|>"],
    )
    kind = transformers.CLIPTextModelWithProjection if summary else transformers.CLIPTextModel
    encoder = kind(config)
    # random weights of the usual size hardly tell one text from another
    with torch.no_grad():
        for weight in encoder.parameters():
            weight.mul_(5)
    _saved(encoder, folder / f"text_encoder{suffix}")


def _tokenizer(folder: Path) -> dict[str, int]:
    """Write a tokenizer that knows single bytes, and return its vocabulary."""
    visible = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [byte for byte in range(256) if byte not in visible]
    letters = [*map(chr, visible), *(chr(256 + i) for i in range(len(hidden)))]
    words = [*letters, *(f"{letter}</w>" for letter in letters)]
    words += ["<|startoftext|>", "<|endoftext|>"]
    vocabulary = {word: index for index, word in enumerate(words)}
    folder.mkdir(parents=True)
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    settings = {
        "tokenizer_class": "CLIPTokenizer",
        "model_max_length": TOKENS,
        "bos_token": "<|startoftext|>",
        "eos_token": "<|endoftext|>",
        "pad_token": "<|endoftext|>",
        "unk_token": "<|endoftext|>",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return vocabulary


def _saved(network: Any, folder: Path) -> None:
    from diffusers.utils import logging as first
    from transformers.utils import logging as second

    for logging in (first, second):
        logging.disable_progress_bar()
    try:
        network.save_pretrained(folder, safe_serialization=True)
    finally:
        for logging in (first, second):
            logging.enable_progress_bar()
