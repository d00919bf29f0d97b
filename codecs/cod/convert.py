"""From a released checkpoint of CoD-Lite or CoD to a model folder."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from diffc.codecs.cod.config import PATCH, CodConfig
from diffc.codecs.cod.folder import write_folder
from diffc.codecs.shared.cod.folder import write_velocity_folder
from diffc.codecs.shared.cod.sizes import LARGEST_STRIDE, LATENT, PIXEL, VelocityConfig

Shapes = Mapping[str, tuple[int, ...]]

# what stands before a network's weights, by what is rather taken: averaged ones, then others
_PREFIXES = ("ema_denoiser.", "net.", "denoiser.", "")
_CODEBOOK = "y_embedder.bottleneck.embedding.weight"
_VELOCITY = "blocks.0.attn.qkv.weight"
_PIXELS = "x_embedder.embedder.0.weight"
_FURTHER_HALVING = "y_embedder.encoder.down_block_4.4.conv.weight"
# published for latents at a stride of 32, and for the other networks
_LATENT_GUIDANCE, _GUIDANCE = 1.25, 3.0


def write_model(
    state: Mapping[str, Tensor],
    config: Mapping[str, Any],
    folder: Path,
    vae: Path | None = None,
) -> None:
    """Write a released checkpoint as a model folder for the codec ``cod``.

    Parameters
    ----------
    state : mapping
        Names to weights.  The network is what follows ``ema_denoiser.``, else ``net.`` or
        ``denoiser.`` or another word; what else there is belongs to training and is left out.
    config : mapping
        The checkpoint's configuration: the arguments of the network (``ds``, ``codebook_bits``,
        ``hidden_size`` and so on), or ``denoiser`` with these for one of many steps.  Sizes are
        taken from the weights, and what is given has to agree with them.  It may be empty for
        CoD-Lite alone: CoD's weights do not show which blocks come first, nor how many steps the
        network is for.
    folder : Path
        Is made.
    vae : Path, optional
        For CoD's networks for latents, see `diffc.codecs.shared.cod.folder.write_velocity_folder`.

    Raises
    ------
    ValueError
        If weights are missing, too many or of a wrong shape, or the configuration is another.
    OSError
        If the folder exists, or cannot be written, or the autoencoder cannot be read.
    """
    prefix = _prefix_of(state)
    weights = {
        name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)
    }
    shapes = {name: tuple(value.shape) for name, value in weights.items()}
    if _VELOCITY in shapes:
        write_velocity_folder(weights, _velocity_sizes(shapes, config), folder, vae)
        return
    if vae is not None:
        raise ValueError("a CoD-Lite network makes pixels without an autoencoder: drop --vae")
    sizes = _lite_sizes(shapes)
    _check_agreement(_lite_facts(sizes), config)
    write_folder(weights, sizes, folder)


def _prefix_of(names: Iterable[str]) -> str:
    """Return what stands before the names of a network's weights.

    Raises
    ------
    ValueError
        If several networks are there, of which none is known to be the one.
    """
    found = [name.removesuffix(_CODEBOOK) for name in names if name.endswith(_CODEBOOK)]
    known = [prefix for prefix in _PREFIXES if prefix in found]
    if not known and len(found) > 1:
        raise ValueError(
            f"which network to take is unclear, this checkpoint has {', '.join(sorted(found)[:5])}: "
            "convert one with a single network"
        )
    return next(iter((*known, *found)), "")


def _lite_sizes(shapes: Shapes) -> CodConfig:
    """Read the sizes of a CoD-Lite network off its weights' shapes."""
    try:
        words, code_length = shapes[_CODEBOOK]
        narrow, embedded = shapes[_PIXELS]
        time = shapes["t_embedder.mlp.0.weight"]
        return CodConfig(
            stride=_stride(shapes),
            bits=words.bit_length() - 1,
            width=time[0],
            pixel_width=narrow,
            patch_blocks=_count(shapes, "blocks.{}.conv1.weight"),
            pixel_blocks=_count(shapes, "dec_net.res_blocks.{}.in_ln.weight"),
            expansion=shapes["blocks.0.conv4.weight"][0] // time[0],
            encoder_width=shapes["y_embedder.encoder.conv_in.weight"][0],
            code_length=code_length,
            noise_features=shapes["s_embedder.proj1.weight"][0],
            time_features=time[1],
            frequencies=math.isqrt(embedded - 3 - narrow),
        )
    except (KeyError, ValueError, TypeError, IndexError) as error:
        raise ValueError(
            f"the weights are those of a CoD or CoD-Lite network, which these are not ({error}): "
            "convert one of its released checkpoints"
        ) from error


def _velocity_sizes(shapes: Shapes, config: Mapping[str, Any]) -> VelocityConfig:
    """Read the sizes of a CoD network off its weights' shapes, and the rest off its configuration."""
    many_steps = config.get("denoiser")
    network = many_steps.get("init_args", many_steps) if isinstance(many_steps, dict) else config
    space = PIXEL if _PIXELS in shapes else LATENT
    if "num_cond_blocks" not in network:
        raise ValueError(
            "CoD's weights do not show which of the blocks come first: give the checkpoint's "
            "configuration with --config, which has num_cond_blocks"
        )
    if space == PIXEL and many_steps is None and not {"pred", "noise_level"} <= set(network):
        raise ValueError(
            "CoD's weights do not show how many steps they are for: give the checkpoint's own "
            "configuration with --config, which has a section denoiser, or for one step pred and "
            "noise_level"
        )
    try:
        sizes = _velocity_config(shapes, network, space, many_steps is not None)
    except (KeyError, ValueError, TypeError, IndexError, ZeroDivisionError) as error:
        raise ValueError(
            f"weights and configuration are those of a CoD network, which these are not ({error}): "
            "convert one of its released checkpoints with its own configuration"
        ) from error
    _check_agreement(_velocity_facts(sizes), network)
    return sizes


def _velocity_config(
    shapes: Shapes, network: Mapping[str, Any], space: str, many_steps: bool
) -> VelocityConfig:
    words, code_length = shapes[_CODEBOOK]
    width, time_features = shapes["t_embedder.mlp.0.weight"]
    patch_blocks = network["num_cond_blocks"]
    blocks = _count(shapes, "blocks.{}.attn.qkv.weight")
    stride = LARGEST_STRIDE if _FURTHER_HALVING in shapes else _stride(shapes)
    sizes: dict[str, Any] = {
        "guidance": _LATENT_GUIDANCE if space == LATENT and stride == 32 else _GUIDANCE
    }
    if space == PIXEL:
        narrow, embedded = shapes[_PIXELS]
        last = "blocks.{}.param_generator1.0.weight"
        sizes |= {
            "last_blocks": _count(shapes, last, blocks),
            "pixel_width": narrow,
            "expansion": shapes[last.format(blocks)][0] // (2 * narrow**2),
            "frequencies": math.isqrt(embedded - 3 - narrow),
        }
        if not many_steps:
            sizes |= {"one_step": network["pred"], "noise_level": network["noise_level"]}
    else:
        sizes["last_blocks"] = blocks - patch_blocks
    return VelocityConfig(
        space=space,
        stride=stride,
        bits=words.bit_length() - 1,
        width=width,
        heads=width // shapes["blocks.0.attn.q_norm.weight"][0],
        patch_blocks=patch_blocks,
        inner_width=shapes["blocks.0.mlp.w1.weight"][0],
        time_features=time_features,
        encoder_width=shapes["y_embedder.encoder.conv_in.weight"][0],
        code_length=code_length,
        **sizes,
    )


def _stride(shapes: Shapes) -> int:
    """Half the size goes in, the first level halves, and then those that have a halving."""
    halving = "y_embedder.encoder.down_block_{}.2.conv.weight"
    return 4 << sum(halving.format(level) in shapes for level in (1, 2, 3))


def _count(shapes: Shapes, form: str, first: int = 0) -> int:
    numbers = range(first, first + len(shapes) + 1)
    return next(number for number in numbers if form.format(number) not in shapes) - first


def _lite_facts(sizes: CodConfig) -> dict[str, Any]:
    return {
        "ds": sizes.stride,
        "codebook_bits": sizes.bits,
        "hidden_size": sizes.width,
        "hidden_size_x": sizes.pixel_width,
        "num_cond_blocks": sizes.patch_blocks,
        "num_blocks": sizes.patch_blocks + sizes.pixel_blocks,
        "bottleneck_dim": sizes.noise_features,
        "patch_size": PATCH,
        "in_channels": 3,
        # what the decoder is made for: the picture in one step, from no noise
        "pred": "x",
        "noise_level": 0,
        "up2x": True,
        "light": True,
    }


def _velocity_facts(sizes: VelocityConfig) -> dict[str, Any]:
    facts = {
        "ds": sizes.stride,
        "codebook_bits": sizes.bits,
        "hidden_size": sizes.width,
        "num_groups": sizes.heads,
        "num_cond_blocks": sizes.patch_blocks,
        "num_blocks": sizes.patch_blocks + sizes.last_blocks,
        "patch_size": sizes.patch,
        "in_channels": sizes.channels,
        "up2x": True,
        "light": False,
    }
    if sizes.space == PIXEL:
        facts |= {"hidden_size_x": sizes.pixel_width, "nerf_mlpratio": sizes.expansion}
    return facts


def _check_agreement(expected: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    for name, value in expected.items():
        if name in config and config[name] != value:
            raise ValueError(
                f"{name} of this checkpoint is {value!r} for the codec, and its configuration says "
                f"{config[name]!r}: convert a released checkpoint with its own configuration"
            )
