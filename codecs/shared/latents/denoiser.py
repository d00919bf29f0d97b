"""The embedded denoiser: a two-level convolutional network on the 1/16 latent.

``x0hat = network(x, sigma)`` with ``x = x0 + sigma * noise`` (variance-exploding form).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from diffc.codecs.shared.diffusion.feature_reuse import FeatureReuse
from diffc.codecs.shared.networks.blocks import NoiseLevelEmbedding, modulated_blocks


@dataclass(frozen=True)
class Control:
    """What a codec tells a denoiser besides the noisy latent.

    Parameters
    ----------
    embedding : Tensor
        Added to the noise level's features, (N, embedding).
    before, inside, after : sequence of Tensor
        Added to the features that enter each block: (N, width, h, w) for those before and after
        the inner level, (N, inner_width, h / 2, w / 2) for those inside, or None for nothing.
    """

    embedding: Tensor
    before: Sequence[Tensor | None]
    inside: Sequence[Tensor | None]
    after: Sequence[Tensor | None]


@dataclass(frozen=True)
class DenoiserConfig:
    """Sizes of a `LatentDenoiser`; all are counts of channels or of blocks."""

    channels: int = 128
    width: int = 256
    inner_width: int = 384
    outer_blocks: int = 3
    inner_blocks: int = 4
    embedding: int = 64
    condition_channels: int = 0


class LatentDenoiser(nn.Module):
    """Estimate the clean latent from a noisy one.

    Around the network stands the per-channel form of EDM's preconditioning (arXiv 2206.00364,
    table 1): with the variance lambda_c of channel c in place of sigma_data^2, the skip path alone
    is the Wiener estimate, and the network learns what neighbours and other channels add to it.

    Parameters
    ----------
    config : DenoiserConfig
        Sizes.  ``condition_channels`` > 0 adds an input of that many channels at the latent's size;
        it enters through a convolution that starts at zero, and may be left out in any call.
    """

    channel_std: Tensor

    def __init__(self, config: DenoiserConfig) -> None:
        super().__init__()
        self.config = config
        outer, inner = config.width, config.inner_width
        self.register_buffer("channel_std", torch.ones(config.channels))
        self.embed = NoiseLevelEmbedding(config.embedding)
        self.enter = nn.Conv2d(config.channels, outer, 3, padding=1)
        self.condition: nn.Conv2d | None = None
        if config.condition_channels:
            self.condition = nn.Conv2d(config.condition_channels, outer, 1, bias=False)
            nn.init.zeros_(self.condition.weight)
        self.before = modulated_blocks(config.outer_blocks, outer, config.embedding)
        self.down = nn.Conv2d(outer, inner, 2, stride=2)
        self.inside = modulated_blocks(config.inner_blocks, inner, config.embedding)
        self.up = nn.ConvTranspose2d(inner, outer, 2, stride=2)
        self.after = modulated_blocks(config.outer_blocks, outer, config.embedding)
        self.leave = nn.Conv2d(outer, config.channels, 1)
        nn.init.zeros_(self.leave.weight)

    def forward(
        self,
        x: Tensor,
        sigma: Tensor,
        condition: Tensor | None = None,
        control: Control | None = None,
        reuse: FeatureReuse | None = None,
    ) -> Tensor:
        """Return x0hat, float32, of the shape of ``x``.

        Parameters
        ----------
        x : Tensor
            Noisy latent (N, channels, h, w), float32; h and w are even.
        sigma : Tensor
            Noise levels (N,), float32, > 0.
        condition : Tensor, optional
            Features (N, condition_channels, h, w); None is the unconditional estimate.
        control : Control, optional
            Of a network beside this one; None is the unconditional estimate.
        reuse : FeatureReuse, optional
            Of the walk that this evaluation is part of; the inner level's features are kept.
        """
        variance = self.channel_std.square()[None, :, None, None]
        noise = sigma.square()[:, None, None, None]
        c_in = torch.rsqrt(variance + noise)
        c_skip = variance / (variance + noise)
        c_out = (variance * noise).sqrt() * c_in
        return c_skip * x + c_out * self._network(c_in * x, sigma, condition, control, reuse)

    def _network(
        self,
        x: Tensor,
        sigma: Tensor,
        condition: Tensor | None,
        control: Control | None,
        reuse: FeatureReuse | None,
    ) -> Tensor:
        dtype = self.enter.weight.dtype
        embedding = self.embed(sigma)
        if control is not None:
            embedding = embedding + control.embedding
        features = self.enter(x.to(dtype))
        if condition is not None:
            if self.condition is None:
                raise ValueError("this denoiser has no condition input: leave condition out")
            features = features + self.condition(condition.to(dtype))
        features = _through(
            self.before, features, embedding, None if control is None else control.before
        )

        def inner() -> Tensor:
            added = None if control is None else control.inside
            made: Tensor = self.up(_through(self.inside, self.down(features), embedding, added))
            return made

        features = features + (inner() if reuse is None else reuse.features(inner))
        features = _through(
            self.after, features, embedding, None if control is None else control.after
        )
        predicted: Tensor = self.leave(features)
        return predicted.float()


def _through(
    blocks: nn.ModuleList,
    features: Tensor,
    embedding: Tensor,
    added: Sequence[Tensor | None] | None,
) -> Tensor:
    for block, extra in zip(blocks, added or [None] * len(blocks), strict=True):
        if extra is not None:
            features = features + extra
        features = block(features, embedding)
    return features
