"""CoD-Lite as a decoder runs it: one step, from no noise, at time 0.

It is made of the published network (`diffc.codecs.cod.network`).  At time 0 and without noise some
parts of that are constant or linear, and they are multiplied into their neighbours' weights when it
is loaded: the time's shifts, scales and gates; what would come of noise; the places of pixels; and
three linear maps in a row for what a pixel starts from.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diffc.codecs.cod.config import PATCH, CodConfig
from diffc.codecs.cod.network import CodNetwork, PatchBlock, PixelBlock, position_mean
from diffc.codecs.shared.cod.layers import EPSILON, PIXELS, patch_places
from diffc.codecs.shared.tiling.picture_means import Means, own_means

# patches whose pixels are made at once: so many stay in a CPU's cache, or are work for a GPU
_PATCHES_ON_CPU, _PATCHES = 64, 8192


class OneStepNetwork(nn.Module):
    """``x0hat = network.pixels(condition, network.patches(condition))``.

    Features have their channels last: (1, h, w, C).
    """

    def __init__(self, config: CodConfig) -> None:
        super().__init__()
        width, narrow = config.width, config.pixel_width
        self.enter = nn.Linear(width, width)
        self.blocks = nn.ModuleList(
            FoldedPatchBlock(width, config.expansion) for _ in range(config.patch_blocks)
        )
        self.start = nn.Linear(width, PIXELS * narrow)
        self.says = nn.Linear(width, PIXELS * narrow)
        self.pixel_blocks = nn.ModuleList(
            FoldedPixelBlock(narrow) for _ in range(config.pixel_blocks)
        )
        self.leave = nn.Linear(narrow, 3)

    def patches(self, condition: Tensor, means: Means = own_means) -> Tensor:
        """Map a condition (1, h, w, width) to features of that shape."""
        x: Tensor = self.enter(condition).float()
        for block in self.blocks:
            x = block(x, means)
        return x

    def pixels(self, condition: Tensor, patches: Tensor) -> Tensor:
        """Return the picture (1, 3, 16 h, 16 w), float32; every patch is made by itself."""
        height, width = patches.shape[1:3]
        picture = torch.empty(1, 3, height * PATCH, width * PATCH, device=patches.device)
        several = max(1, (_PATCHES_ON_CPU if picture.is_cpu else _PATCHES) // width)
        for top in range(0, height, several):
            rows = slice(top, top + several)
            made = self._pixels(condition[0, rows].flatten(0, 1), patches[0, rows].flatten(0, 1))
            made = made.reshape(-1, width, PATCH, PATCH, 3).permute(4, 0, 2, 1, 3)
            target = picture[0, :, PATCH * top : PATCH * (top + several)]
            target.copy_(made.reshape(target.shape))
        return picture

    def _pixels(self, condition: Tensor, patches: Tensor) -> Tensor:
        """Map the features of some patches (count, width) to their pixels (256 count, 3)."""
        x = self.start(condition).reshape(-1, self.leave.in_features)
        says = F.silu(self.says(patches.to(self.says.weight.dtype)), inplace=True).reshape(x.shape)
        for block in self.pixel_blocks:
            x = block(x, says)
        made: Tensor = self.leave(F.rms_norm(x.float(), x.shape[1:], eps=EPSILON))
        return made

    def forward(self, condition: Tensor) -> Tensor:
        """Map a condition to the picture, in one piece."""
        return self.pixels(condition, self.patches(condition))


class FoldedPatchBlock(nn.Module):
    """`diffc.codecs.cod.network.PatchBlock` without modulation."""

    def __init__(self, width: int, expansion: int) -> None:
        super().__init__()
        self.conv1 = nn.Linear(width, width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, groups=width)
        self.conv3 = nn.Linear(width, width)
        self.gates = nn.Linear(width, width)
        self.conv4 = nn.Linear(width, expansion * width)
        self.conv5 = nn.Linear(expansion * width, width)

    def forward(self, x: Tensor, means: Means = own_means) -> Tensor:
        """Map features (1, h, w, width) to features of that shape."""
        dtype = self.conv1.weight.dtype
        hidden = self.conv1(F.layer_norm(x, x.shape[3:], eps=EPSILON).to(dtype))
        hidden = F.gelu(self.conv2(hidden.permute(0, 3, 1, 2))).permute(0, 2, 3, 1)
        mean = means(hidden, position_mean)
        hidden = hidden * self.gates(mean.to(dtype)).sigmoid()
        x = x + self.conv3(hidden)
        hidden = F.gelu(self.conv4(F.layer_norm(x, x.shape[3:], eps=EPSILON).to(dtype)))
        result: Tensor = x + self.conv5(hidden)
        return result


class FoldedPixelBlock(nn.Module):
    """`diffc.codecs.cod.network.PixelBlock` whose normalisation has no parameters."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.modulation = nn.Linear(width, 3 * width)
        self.hidden = nn.Linear(width, width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor, says: Tensor) -> Tensor:
        """Map pixels (count, width), given features of that shape behind their SiLU."""
        shift, scale, gate = self.modulation(says).chunk(3, dim=1)
        hidden = torch.addcmul(shift, F.layer_norm(x, x.shape[1:], eps=EPSILON), scale)
        return torch.addcmul(x, gate, self.out(F.silu(self.hidden(hidden), inplace=True)))


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
