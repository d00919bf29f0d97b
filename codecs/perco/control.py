"""Conditions of tokens for a denoiser that was trained without: features added at every block.

The denoiser keeps its weights and serves other codecs as it is; beside it stands this small network
(in the manner of ControlNet, arXiv 2302.05543), whose additions start at zero.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F

from diffc.codecs.perco.tokeniser import TokenConfig
from diffc.codecs.shared.latents.denoiser import Control, DenoiserConfig
from diffc.codecs.shared.networks.blocks import NoiseLevelEmbedding


@dataclass(frozen=True)
class ControlConfig:
    """Sizes of a `TokenControl`.

    Parameters
    ----------
    embedding, gains : int
        Features of the noise level, and of the bottleneck before the gains.
    inner_additions : int
        How many of the denoiser's inner blocks, the last ones, get additions; there they matter
        least.
    """

    embedding: int = 64
    gains: int = 8
    inner_additions: int = 2


class TokenControl(nn.Module):
    """Additions to a denoiser's features from what tokens say, weighted by the noise level."""

    def __init__(
        self, config: ControlConfig, tokens: TokenConfig, denoiser: DenoiserConfig
    ) -> None:
        super().__init__()
        self.config = config
        outer = [denoiser.width] * denoiser.outer_blocks
        widths = [*outer, *[denoiser.inner_width] * config.inner_additions, *outer]
        self._inner = slice(len(outer), len(outer) + config.inner_additions)
        self._without: list[Tensor | None] = [None] * (
            denoiser.inner_blocks - config.inner_additions
        )
        self.embed = NoiseLevelEmbedding(config.embedding)
        self.bottleneck = nn.Linear(config.embedding, config.gains)
        self.gains = nn.ModuleList(nn.Linear(config.gains, width) for width in widths)
        self.additions = nn.ModuleList(nn.Conv2d(tokens.fine_width, width, 1) for width in widths)
        self.of_picture = nn.Linear(tokens.embedding, denoiser.embedding)
        for layer in (*self.gains, *self.additions, self.of_picture):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, features: Tensor, of_picture: Tensor, sigma: Tensor) -> Control:
        """Return what to add for a noisy latent of deviation ``sigma`` (N,).

        Parameters
        ----------
        features, of_picture : Tensor
            Of a `diffc.codecs.perco.tokeniser.Condition`: its features and its embedding.
        sigma : Tensor
            Noise levels (N,).
        """
        hidden = F.silu(self.bottleneck(self.embed(sigma)))
        halved = F.avg_pool2d(features, 2)
        added: list[Tensor | None] = []
        for index, (gain, addition) in enumerate(zip(self.gains, self.additions, strict=True)):
            inside = self._inner.start <= index < self._inner.stop
            made = addition(halved if inside else features)
            added.append(made * (1 + gain(hidden))[:, :, None, None].to(made.dtype))
        return Control(
            self.of_picture(of_picture),
            added[: self._inner.start],
            [*self._without, *added[self._inner]],
            added[self._inner.stop :],
        )
