"""The network of the relay codec: a photograph from its base, as faithful or as natural as asked.

Two parts.  The *mean*: features at 1/4, 1/8 and 1/16 of the size, and from them the picture of
least squared error; it knows no noise.  The *detail*: what photographs have and their mean lacks,
drawn from noise at 1/8, 1/4, 1/2 and the full size, where lines of every direction can be drawn;
its strength is the realism.

As a diffusion model it denoises ``x = base + sigma * noise`` in one step, where
sigma = realism * level: the start of relay residual diffusion (RDEIC, arXiv 2410.02640, equation 9).
Without noise the answer is the mean.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diffc.codecs.shared.networks.blocks import NoiseLevelEmbedding, modulated_blocks
from diffc.codecs.shared.networks.detail import DetailDecoder, enlarged, smooth
from diffc.codecs.shared.networks.windows import STRIDE, TAPS, faded_kernel, fading_window

FAMILIES = ("av1", "hevc", "jpeg-420", "jpeg-444", "webp", "jxl", "other")
"""Of bases, in the order of the network's conditions; never to be reordered."""


@dataclass(frozen=True)
class RestorerConfig:
    """Sizes of the network.

    ``widths`` and ``blocks`` are those of the mean at 1/4 (each way), 1/8 (each way) and 1/16 of
    the size; ``detail_widths`` those of the detail at 1/8, 1/4, 1/2 and the full size,
    ``detail_blocks`` at 1/8 and 1/4.
    """

    widths: tuple[int, int, int] = (96, 176, 320)
    blocks: tuple[int, int, int] = (2, 4, 7)
    detail_widths: tuple[int, int, int, int] = (96, 64, 24, 20)
    detail_blocks: tuple[int, int] = (2, 3)
    embedding: int = 64
    families: int = 8


@dataclass(frozen=True)
class Condition:
    """What is known of bases, each (N,).

    Root mean square errors for pixels in [-1, 1], how many times smaller the bases were coded, and
    numbers of their families, see `FAMILIES`.
    """

    level: Tensor
    scale: Tensor
    family: Tensor


class Restorer(nn.Module):
    """``denoised = restorer(base, condition, noise, realism)``."""

    def __init__(self, config: RestorerConfig) -> None:
        super().__init__()
        self.config = config
        self.mean = Mean(config)
        self.detail = Detail(config)

    def forward(self, base: Tensor, condition: Condition, noise: Tensor, realism: Tensor) -> Tensor:
        """Return restored pictures (N, 3, H, W), float32, about [-1, 1], not clipped.

        Parameters
        ----------
        base : Tensor
            (N, 3, H, W), float32 in [-1, 1]; H and W multiples of 16.
        condition : Condition
            Of each base.
        noise : Tensor
            White, of deviation 1 (N, 3, H, W).
        realism : Tensor
            (N,) in [0, 1].
        """
        picture, features, inner = self.mean(base, condition)
        mean: Tensor = picture
        detail: Tensor = self.detail(mean, features, inner, condition, noise, realism)
        return mean + detail


class Mean(nn.Module):
    """``picture, features, inner = mean(base, condition)``."""

    window: Tensor

    def __init__(self, config: RestorerConfig) -> None:
        super().__init__()
        first, second, third = config.widths
        quarter, eighth, sixteenth = config.blocks
        self.embed_level = nn.ModuleList(NoiseLevelEmbedding(config.embedding) for _ in range(2))
        self.embed_scale = NoiseLevelEmbedding(config.embedding)
        self.embed_family = nn.Embedding(config.families, config.embedding)
        nn.init.zeros_(self.embed_family.weight)
        self.enter = nn.Conv2d(6 * STRIDE**2, first, TAPS, padding=1)
        self.quarter_in = _blocks(quarter, first, config, 2)
        self.to_eighth = nn.Conv2d(4 * first, second, 1)
        self.eighth_in = _blocks(eighth, second, config, 3)
        self.to_sixteenth = nn.Conv2d(4 * second, third, 1)
        self.sixteenth = _blocks(sixteenth, third, config, 3)
        self.from_sixteenth = nn.Conv2d(third, second, 1)
        self.eighth_out = _blocks(eighth, second, config, 3)
        self.from_eighth = nn.Conv2d(second, first, 1)
        self.quarter_out = _blocks(quarter, first, config, 2)
        self.leave = nn.Parameter(torch.zeros(3 * STRIDE**2, first, TAPS, TAPS))
        self.register_buffer("window", fading_window(), persistent=False)

    def forward(self, base: Tensor, condition: Condition) -> tuple[Tensor, Tensor, Tensor]:
        """Return the picture (N, 3, H, W) and features at 1/4 and 1/8 of the size."""
        level = condition.level[:, None, None, None]
        embedding = self.embed_scale(condition.scale) + self.embed_family(condition.family)
        for embed in self.embed_level:
            embedding = embedding + embed(condition.level)
        blurred = smooth(base)
        # in units of the error, else brightness drowns detail; logarithmic from there on: edges
        # of a fine base are a hundred times as large
        seen = torch.cat([blurred, torch.asinh((base - blurred) / level)], dim=1)
        x = self.enter(F.pixel_unshuffle(seen, STRIDE).to(self.enter.weight.dtype))
        for block in self.quarter_in:
            x = block(x, embedding)
        inner = self.to_eighth(F.pixel_unshuffle(x, 2))
        for block in self.eighth_in:
            inner = block(inner, embedding)
        innermost = self.to_sixteenth(F.pixel_unshuffle(inner, 2))
        for block in self.sixteenth:
            innermost = block(innermost, embedding)
        inner = inner + enlarged(self.from_sixteenth(innermost), 2)
        for block in self.eighth_out:
            inner = block(inner, embedding)
        x = x + enlarged(self.from_eighth(inner), 2)
        for block in self.quarter_out:
            x = block(x, embedding)
        kernel = faded_kernel(self.leave, self.window)
        added = F.pixel_shuffle(F.conv2d(x, kernel.to(x.dtype), padding=1), STRIDE)
        return base + level * added.float(), x, inner


class Detail(DetailDecoder):
    """What is added to the mean: ``detail(picture, features, inner, condition, noise, realism)``."""

    def __init__(self, config: RestorerConfig) -> None:
        super().__init__(
            *config.widths[:2],
            widths=config.detail_widths,
            blocks=config.detail_blocks,
            embedding=config.embedding,
        )
        self.embed_level = NoiseLevelEmbedding(config.embedding)
        self.embed_scale = NoiseLevelEmbedding(config.embedding)
        self.embed_family = nn.Embedding(config.families, config.embedding)
        nn.init.zeros_(self.embed_family.weight)

    def forward(
        self,
        picture: Tensor,
        features: Tensor,
        inner: Tensor,
        condition: Condition,
        noise: Tensor,
        realism: Tensor,
    ) -> Tensor:
        """Return detail (N, 3, H, W), float32; see `Restorer` and `DetailDecoder.draw`."""
        embedding = self.embed_level(condition.level) + self.embed_scale(condition.scale)
        embedding = embedding + self.embed_family(condition.family)
        return self.draw(picture, features, inner, embedding, condition.level, noise, realism)


def _blocks(count: int, width: int, config: RestorerConfig, expansion: int) -> nn.ModuleList:
    return modulated_blocks(count, width, config.embedding, expansion=expansion)
