"""The network of the relay codec: a photograph from its base picture and a noisy state.

Beside the picture it estimates how strong the detail is that the picture lacks; see
`diffc.codecs.relay.texture`.

It works in pixels, there is no autoencoder to limit quality: windows of 12x12 at steps of 4 go
in and out.  A grid is not left to training to avoid: windows that go out overlap, fade at their
borders and add up evenly, and features are enlarged bilinearly.
Parameters and work stand mostly at 1/8 and 1/16 of the size.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diffc.codecs.relay.texture import BANDS
from diffc.codecs.shared.networks.blocks import NoiseLevelEmbedding, modulated_blocks

STRIDE, TAPS = 4, 3
# logarithms of deviations over the base's error: where they start, and how far they may go
_USUAL, _LEAST, _MOST = -1.0, -6.0, 2.0
# pixels of the means that a smooth base is made of, and what is left of the noise
_SMOOTH, _FAINT = 8, 0.2


@dataclass(frozen=True)
class RestoringConfig:
    """Channels and blocks at 1/4 (each way), 1/8 (each way) and 1/16 of the size.

    With ``unit_detail`` the network sees the base's detail in units of its error, beside a smooth
    base, and faint noise.  Else the base's brightness and the noise drown the detail, and the
    network learns next to nothing: after equal training the gain is a quarter.
    """

    widths: tuple[int, int, int] = (96, 176, 320)
    blocks: tuple[int, int, int] = (2, 3, 5)
    embedding: int = 96
    texture_blocks: int = 2
    unit_detail: bool = False


class RestoringNetwork(nn.Module):
    """``z0hat = network(state, ratio, base, level, scale)``."""

    window: Tensor

    def __init__(self, config: RestoringConfig) -> None:
        super().__init__()
        self.config = config
        first, second, third = config.widths
        quarter, eighth, sixteenth = config.blocks
        self.embed_ratio = NoiseLevelEmbedding(config.embedding)
        self.embed_level = NoiseLevelEmbedding(config.embedding)
        self.embed_scale = NoiseLevelEmbedding(config.embedding)
        channels = 9 if config.unit_detail else 6
        self.enter = nn.Conv2d(channels * STRIDE**2, first, TAPS, padding=1)
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
        self.register_buffer("window", _fading_window(), persistent=False)
        self.texture = _blocks(config.texture_blocks, first, config, 2)
        self.deviation = nn.Conv2d(first, BANDS, 1)
        nn.init.zeros_(self.deviation.weight)
        nn.init.constant_(self.deviation.bias, _USUAL)  # type: ignore[arg-type]

    def forward(
        self, state: Tensor, ratio: Tensor, base: Tensor, level: Tensor, scale: Tensor
    ) -> Tensor:
        """Return the restored picture (N, 3, H, W), float32, about [-1, 1], not clipped.

        The arguments are those of `estimate`.
        """
        features, _ = self.features(state, ratio, base, level, scale)
        return self.picture(features, base, level)

    def estimate(
        self, state: Tensor, ratio: Tensor, base: Tensor, level: Tensor, scale: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the restored picture, and the deviations of what it lacks (N, BANDS, H, W).

        Parameters
        ----------
        state, base : Tensor
            y_n and z_c (N, 3, H, W), float32, in [-1, 1] but for the noise; H and W multiples of
            16.
        ratio, level, scale : Tensor
            r_n, the root mean square error of the base, and how many times smaller it was coded,
            each (N,), float32, > 0.
        """
        features, embedding = self.features(state, ratio, base, level, scale)
        deviation = self.missing(features, embedding, level)
        return self.picture(features, base, level), deviation

    def features(
        self, state: Tensor, ratio: Tensor, base: Tensor, level: Tensor, scale: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return what `picture` and `missing` start from, and the levels' embedding."""
        embedding = self.embed_ratio(ratio) + self.embed_level(level) + self.embed_scale(scale)
        seen = self._seen(base, (state - base) / level[:, None, None, None], level)
        x = self.enter(F.pixel_unshuffle(seen, STRIDE).to(self.enter.weight.dtype))
        for block in self.quarter_in:
            x = block(x, embedding)
        inner = self.to_eighth(F.pixel_unshuffle(x, 2))
        for block in self.eighth_in:
            inner = block(inner, embedding)
        innermost = self.to_sixteenth(F.pixel_unshuffle(inner, 2))
        for block in self.sixteenth:
            innermost = block(innermost, embedding)
        inner = inner + _doubled(self.from_sixteenth(innermost))
        for block in self.eighth_out:
            inner = block(inner, embedding)
        x = x + _doubled(self.from_eighth(inner))
        for block in self.quarter_out:
            x = block(x, embedding)
        return x, embedding

    def _seen(self, base: Tensor, noise: Tensor, level: Tensor) -> Tensor:
        """Return what enters, all of it about as large as 1."""
        if not self.config.unit_detail:
            return torch.cat([base, noise], dim=1)
        smooth = F.interpolate(
            F.avg_pool2d(base, _SMOOTH), scale_factor=_SMOOTH, mode="bilinear", align_corners=False
        )
        # logarithmic from the error on: edges of a fine base are a hundred times as large
        detail = torch.asinh((base - smooth) / level[:, None, None, None])
        return torch.cat([smooth, detail, _FAINT * noise], dim=1)

    def picture(self, features: Tensor, base: Tensor, level: Tensor) -> Tensor:
        """Add to the base what the features say."""
        kernel = self._kernel().to(features.dtype)
        added = F.pixel_shuffle(F.conv2d(features, kernel, padding=1), STRIDE)
        # the base's error is the natural size of what has to be added
        return base + level[:, None, None, None] * added.float()

    def missing(self, features: Tensor, embedding: Tensor, level: Tensor) -> Tensor:
        """Return the deviations of missing detail in bands, float32 (N, BANDS, H, W)."""
        for block in self.texture:
            features = block(features, embedding)
        logarithm = self.deviation(features).float().clamp(_LEAST, _MOST)
        large = F.interpolate(logarithm, scale_factor=STRIDE, mode="bilinear", align_corners=False)
        return level[:, None, None, None] * large.exp()

    def _kernel(self) -> Tensor:
        """Return the outgoing windows, faded, and even: a constant feature adds a constant."""
        faded = self.leave * self.window
        sums = faded.sum((2, 3)).reshape(3, STRIDE**2, -1)
        excess = (sums - sums.mean(1, keepdim=True)).reshape(len(faded), -1, 1, 1)
        return faded - excess * self.window / self.window.sum((2, 3), keepdim=True)


def _doubled(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def _blocks(count: int, width: int, config: RestoringConfig, expansion: int) -> nn.ModuleList:
    return modulated_blocks(count, width, config.embedding, expansion=expansion)


def _fading_window() -> Tensor:
    """Return the factors (48, 1, 3, 3) that make the outgoing windows fade at their borders.

    A feature at a position of the 1/4 grid reaches the 12x12 pixels around it.  The output pixel
    ``i`` of its own cell takes tap ``k`` from the cell ``k - 1`` cells away, in whose window it
    lies at 4 (2 - k) + i.
    """
    size = STRIDE * TAPS
    fade = torch.sin(torch.pi * (torch.arange(size) + 0.5) / size).square()
    line = torch.stack([fade[STRIDE * (2 - k) : STRIDE * (3 - k)] for k in range(TAPS)], dim=1)
    plane = line[:, None, :, None] * line[None, :, None, :]
    return plane.reshape(1, STRIDE**2, TAPS, TAPS).repeat(3, 1, 1, 1).reshape(-1, 1, TAPS, TAPS)
