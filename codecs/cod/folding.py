"""The published CoD-Lite network in the form for one step from no noise, at time 0.

Then some of its parts are constant or linear, and they are multiplied into their neighbours'
weights when it is loaded: the time's shifts, scales and gates; what would come of noise; the places
of pixels; and three linear maps in a row for what a pixel starts from.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from diffc.codecs.cod.network import PIXELS, CodNetwork, PatchBlock, PixelBlock, patch_places
from diffc.codecs.cod.one_step import FoldedPatchBlock, FoldedPixelBlock, OneStepNetwork


@torch.no_grad()
def folded(network: CodNetwork) -> OneStepNetwork:
    """Return the one-step form of a network, computed in float64 and rounded to float32."""
    with torch.device("meta"):
        made = OneStepNetwork(network.config)
    made.to_empty(device="cpu")
    embedding = network.t_embedder(torch.zeros(1))
    noise = network.config.noise_features
    entering = network.s_embedder.proj2
    # no noise, of which the patch embedding makes zeros
    _set(made.enter, entering.weight[:, noise:], entering.bias)
    for block, target in zip(network.blocks, made.blocks, strict=True):
        assert isinstance(block, PatchBlock)
        assert isinstance(target, FoldedPatchBlock)
        _fold_patch_block(block, embedding, target)
    _set(made.start, *_start(network))
    _set(made.says, network.dec_net.cond_embed.weight, network.dec_net.cond_embed.bias)
    for block, target in zip(network.dec_net.res_blocks, made.pixel_blocks, strict=True):
        assert isinstance(block, PixelBlock)
        assert isinstance(target, FoldedPixelBlock)
        _fold_pixel_block(block, target)
    leaving = network.final_layer
    _set(made.leave, leaving.linear.weight * leaving.norm.weight, leaving.linear.bias)
    return made


def _set(layer: nn.Module, weight: Tensor, bias: Tensor | None) -> None:
    assert bias is not None  # all of these layers have one
    target = layer.get_parameter("weight")
    target.copy_(weight.reshape(target.shape))
    layer.get_parameter("bias").copy_(bias)


def _double(layer: nn.Module) -> tuple[Tensor, Tensor]:
    return layer.get_parameter("weight").double(), layer.get_parameter("bias").double()


def _fold_patch_block(block: PatchBlock, embedding: Tensor, target: FoldedPatchBlock) -> None:
    shift, scale, gate, shift2, scale2, gate2 = (
        block.adaLN_modulation(embedding)[0].double().chunk(6)
    )
    for name, towards, scaling in (("conv1", shift, scale), ("conv4", shift2, scale2)):
        weight, bias = _double(block.get_submodule(name))
        matrix = weight[:, :, 0, 0]
        _set(target.get_submodule(name), matrix * (1 + scaling), bias + matrix @ towards)
    for name, factor in (("conv3", gate), ("conv5", gate2)):
        weight, bias = _double(block.get_submodule(name))
        _set(target.get_submodule(name), weight[:, :, 0, 0] * factor[:, None], bias * factor)
    _set(target.conv2, block.conv2.weight, block.conv2.bias)
    _set(target.gates, *_double(block.ca["1"]))


def _start(network: CodNetwork) -> tuple[Tensor, Tensor]:
    """Return the map from a condition to what the pixels of its patch start from."""
    config = network.config
    projection, offset = _double(network.dec_net.input_proj)
    embedding, embedding_offset = _double(network.x_embedder.embedder[0])
    places = patch_places(config.frequencies).double()
    # the first three columns are for the pixel's value, which is 0
    sizes = [config.pixel_width, places.shape[1]]
    of_local, of_place = torch.split((projection @ embedding)[:, 3:], sizes, dim=1)
    weight, bias = _double(network.y_embedder_x)
    # the channel is outside in the published weights, and the pixel here
    local = weight.reshape(config.pixel_width, PIXELS, -1)
    matrix = torch.einsum("oc,cpw->pow", of_local, local).flatten(0, 1)
    constant = (
        places @ of_place.T
        + bias.reshape(config.pixel_width, PIXELS).T @ of_local.T
        + projection @ embedding_offset
        + offset
    )
    return matrix, constant.flatten()


def _fold_pixel_block(block: PixelBlock, target: FoldedPixelBlock) -> None:
    factor, offset = _double(block.in_ln)
    weight, bias = _double(block.adaLN_modulation[1])
    shift, scale, gate = weight.chunk(3)
    shift_bias, scale_bias, gate_bias = bias.chunk(3)
    # (factor * normal + offset) * (1 + scale) + shift, sorted by what is normalised
    shift_bias = shift_bias + offset * (1 + scale_bias)
    scale_bias = factor * (1 + scale_bias)
    shift, scale = shift + offset[:, None] * scale, factor[:, None] * scale
    _set(
        target.modulation,
        torch.cat([shift, scale, gate]),
        torch.cat([shift_bias, scale_bias, gate_bias]),
    )
    _set(target.hidden, *_double(block.mlp[0]))
    _set(target.out, *_double(block.mlp[2]))
