"""The synthesis half of the embedded autoencoder: a latent estimate to pixels.

The patch transform's adjoint gives the picture that the latent holds; one network makes of it the
picture of least squared error, a second one draws the detail that such a picture lacks.  Both are
told the noise level that the bits ended at, because an estimate from a noisier latent is smoother,
and most of the work stands at 1/16 and 1/8 of the size.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diffc.codecs.shared.latents.patch_transform import PatchTransform
from diffc.codecs.shared.networks.blocks import NoiseLevelEmbedding, modulated_blocks
from diffc.codecs.shared.networks.detail import DetailDecoder
from diffc.codecs.shared.networks.windows import STRIDE, faded_kernel, fading_window


@dataclass(frozen=True)
class SynthesisConfig:
    """Sizes of a `Synthesis` network: channels and blocks at 1/16, 1/8 and 1/4 of the size.

    With ``windows`` the pixels of its last features overlap and fade, so that they show no grid.
    """

    channels: int = 128
    widths: tuple[int, int, int] = (224, 128, 48)
    blocks: tuple[int, int, int] = (3, 3, 2)
    embedding: int = 64
    smoothing: int = 12
    windows: bool = False


@dataclass(frozen=True)
class DetailConfig:
    """Sizes of a `SynthesisDetail`: channels at 1/8, 1/4, 1/2 and 1 of the size, blocks at the first two."""

    widths: tuple[int, int, int, int] = (96, 64, 24, 20)
    blocks: tuple[int, int] = (2, 3)
    embedding: int = 64


class Synthesis(nn.Module):
    """The picture of least squared error, from a latent estimate."""

    channel_std: Tensor
    window: Tensor

    def __init__(self, config: SynthesisConfig) -> None:
        super().__init__()
        self.config = config
        self.transform = PatchTransform(config.channels)
        self.register_buffer("channel_std", torch.ones(config.channels))
        self.embed = NoiseLevelEmbedding(config.embedding)
        first, second, third = config.widths
        self.enter = nn.Conv2d(config.channels, first, 3, padding=1)
        self.sixteenth = modulated_blocks(config.blocks[0], first, config.embedding)
        self.to_eighth = nn.ConvTranspose2d(first, second, 2, stride=2)
        self.eighth = modulated_blocks(config.blocks[1], second, config.embedding)
        self.to_quarter = nn.ConvTranspose2d(second, third, 2, stride=2)
        self.from_pixels = nn.Conv2d(48, third, 1)
        self.quarter = modulated_blocks(config.blocks[2], third, config.embedding)
        self.leave = nn.Conv2d(third, 48, 3, padding=1)
        self.register_buffer("window", fading_window(), persistent=False)
        # two small full-resolution layers take away the grid that a pixel shuffle leaves
        self.smooth_in = nn.Conv2d(3, config.smoothing, 5, padding=2)
        self.smooth_out = nn.Conv2d(config.smoothing, 3, 3, padding=1)
        # the untrained network is the linear transform alone
        for parameter in (*self.leave.parameters(), *self.smooth_out.parameters()):
            nn.init.zeros_(parameter)

    def forward(self, latent: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return pixels, and features at 1/4 and 1/8 of their size.

        Parameters
        ----------
        latent : Tensor
            Estimate of the clean latent (N, channels, h, w), float32.
        sigma : Tensor
            Noise levels (N,) that the bits ended at, float32, > 0.

        Returns
        -------
        tuple of Tensor
            Pixels (N, 3, 16 h, 16 w), float32, about [-1, 1], not clipped; features.
        """
        linear = self.transform.synthesise(latent)
        dtype = self.enter.weight.dtype
        embedding = self.embed(sigma)
        scaled = latent / self.channel_std[None, :, None, None]
        features = self.enter(scaled.to(dtype))
        for block in self.sixteenth:
            features = block(features, embedding)
        inner = self.to_eighth(features)
        for block in self.eighth:
            inner = block(inner, embedding)
        features = self.to_quarter(inner)
        features = features + self.from_pixels(F.pixel_unshuffle(linear, 4).to(dtype))
        for block in self.quarter:
            features = block(features, embedding)
        if self.config.windows:
            kernel = faded_kernel(self.leave.weight.float(), self.window)
            added = F.conv2d(features, kernel.to(dtype), padding=1)
        else:
            added = self.leave(features)
        pixels = linear + F.pixel_shuffle(added, STRIDE).float()
        smoothing: Tensor = self.smooth_out(F.silu(self.smooth_in(pixels.to(dtype))))
        return pixels + smoothing.float(), features, inner


class SynthesisDetail(DetailDecoder):
    """What is added to `Synthesis`: ``detail(picture, features, inner, sigma, noise, realism)``."""

    def __init__(self, config: DetailConfig, synthesis: SynthesisConfig) -> None:
        _, inner, features = synthesis.widths
        super().__init__(
            features,
            inner,
            widths=config.widths,
            blocks=config.blocks,
            embedding=config.embedding,
        )
        self.config = config
        self.embed_level = NoiseLevelEmbedding(config.embedding)

    def forward(
        self,
        picture: Tensor,
        features: Tensor,
        inner: Tensor,
        sigma: Tensor,
        noise: Tensor,
        realism: Tensor,
    ) -> Tensor:
        """Return detail (N, 3, H, W), float32; ``sigma`` is that of `Synthesis`, see `DetailDecoder.draw`."""
        embedding = self.embed_level(sigma)
        level = expected_error(sigma)
        return self.draw(picture, features, inner, embedding, level, noise, realism)


def expected_error(sigma: Tensor) -> Tensor:
    """Return the root mean square error, about, of pixels in [-1, 1] when bits end at a noise level.

    A fit to coded photographs from 0.02 to 0.4 bits per pixel.
    """
    return 0.13 * sigma**0.28
