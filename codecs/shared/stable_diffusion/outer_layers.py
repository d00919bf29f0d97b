"""Networks of diffusers in two parts: outer layers, and inner ones whose features may be kept.

The same modules as the networks' own ``forward`` calls, in the same order; what neither uses here, such as
masks and the inputs of adapters, is left out.  diffusers has caches of its own, for transformers.
Those keep their state in the network, which several walks share here, and what they do may change
with diffusers, while a file has to decode to the same picture for ever.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from diffc.codecs.shared.diffusion.feature_reuse import FeatureReuse


def unet_in_parts(
    network: nn.Module,
    sample: Tensor,
    time: Tensor,
    hidden: Tensor,
    reuse: FeatureReuse,
    added: dict[str, Tensor] | None = None,
) -> Tensor:
    """Evaluate a ``UNet2DConditionModel``; its first convolution and last layers are the outer ones.

    Parameters
    ----------
    network : Module
        The UNet.
    sample : Tensor
        (N, channels, h, w), sides multiples of what it halves.
    time : Tensor
        (1,), the network's own.
    hidden : Tensor
        Of the text, for cross-attention.
    reuse : FeatureReuse
        What is kept are the features before the last residual block and its attention.
    added : dict, optional
        What a network of Stable Diffusion XL is told besides.
    """
    unet: Any = network
    if unet.config.center_input_sample:
        sample = 2 * sample - 1
    embedding = unet.time_embedding(unet.get_time_embed(sample=sample, timestep=time))
    more = unet.get_aug_embed(
        emb=embedding, encoder_hidden_states=hidden, added_cond_kwargs=added or {}
    )
    embedding = embedding if more is None else embedding + more
    if unet.time_embed_act is not None:
        embedding = unet.time_embed_act(embedding)
    entered = unet.conv_in(sample)
    last = unet.up_blocks[-1]

    def inner() -> Tensor:
        x: Tensor = entered
        skips: list[Tensor] = [entered]
        for block in unet.down_blocks:
            x, kept = block(hidden_states=x, temb=embedding, **_text(block, hidden))
            skips += kept
        if unet.mid_block is not None:
            x = unet.mid_block(x, embedding, **_text(unet.mid_block, hidden))
        for block in unet.up_blocks[:-1]:
            count = len(block.resnets)
            x = block(
                hidden_states=x,
                temb=embedding,
                res_hidden_states_tuple=tuple(skips[-count:]),
                **_text(block, hidden),
            )
            del skips[-count:]
        for place in range(len(last.resnets) - 1):
            x = _layer(last, place, torch.cat([x, skips.pop()], dim=1), embedding, hidden)
        return x

    seen = torch.cat([reuse.features(inner), entered], dim=1)
    x = _layer(last, len(last.resnets) - 1, seen, embedding, hidden)
    if unet.conv_norm_out is not None:
        x = unet.conv_act(unet.conv_norm_out(x))
    made: Tensor = unet.conv_out(x)
    return made


def _text(block: Any, hidden: Tensor) -> dict[str, Tensor]:
    """Return what a block is told of the text: nothing, if it has no cross-attention."""
    return {"encoder_hidden_states": hidden} if getattr(block, "has_cross_attention", False) else {}


def _layer(block: Any, place: int, x: Tensor, embedding: Tensor, hidden: Tensor) -> Tensor:
    """Apply a residual block and, where there is one, the attention behind it."""
    made: Tensor = block.resnets[place](x, embedding)
    if getattr(block, "has_cross_attention", False):
        made = block.attentions[place](made, encoder_hidden_states=hidden, return_dict=False)[0]
    return made


def transformer_in_parts(
    network: nn.Module,
    sample: Tensor,
    time: Tensor,
    hidden: Tensor,
    pooled: Tensor | None,
    reuse: FeatureReuse,
) -> Tensor:
    """Evaluate an ``SD3Transformer2DModel``; its first block is the outer one.

    Parameters
    ----------
    network : Module
        The transformer.
    sample : Tensor
        (N, channels, h, w), sides multiples of its patches.
    time : Tensor
        (1,), the network's own.
    hidden, pooled : Tensor
        Of the text.
    reuse : FeatureReuse
        What is kept is all that the blocks after the first one add to its features.
    """
    transformer: Any = network
    x = transformer.pos_embed(sample).contiguous()
    embedding = transformer.time_text_embed(time, pooled)
    text = transformer.context_embedder(hidden)
    first, *others = transformer.transformer_blocks
    text, x = first(hidden_states=x, encoder_hidden_states=text, temb=embedding)

    def inner() -> Tensor:
        context, y = text, x
        for block in others:
            context, y = block(hidden_states=y, encoder_hidden_states=context, temb=embedding)
        added: Tensor = y - x
        return added

    features = x + reuse.features(inner)
    patches: Tensor = transformer.proj_out(transformer.norm_out(features, embedding))
    side, channels = transformer.config.patch_size, transformer.out_channels
    rows, columns = (length // side for length in sample.shape[2:])
    count = len(patches)
    made = patches.reshape(count, rows, columns, side, side, channels).permute(0, 5, 1, 3, 2, 4)
    return made.reshape(count, channels, rows * side, columns * side)
