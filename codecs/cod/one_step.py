"""CoD-Lite as a decoder runs it: one step, from no noise, at time 0.

`diffc.codecs.cod.folding` makes it of the published network (`diffc.codecs.cod.network`).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diffc.codecs.cod.config import PATCH, CodConfig
from diffc.codecs.cod.network import EPSILON, PIXELS, position_mean
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
