"""Codebooks that follow the vectors assigned to them, with unused words revived."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_DECAY = 0.99
# a word used less than this share of the mean is put where a vector of the batch lies
_DEAD = 0.1
_REVIVE_EVERY = 20


class CodebookAverage(nn.Module):
    """Running counts and sums of the vectors of each word (VQ-VAE, arXiv 1711.00937, appendix A.1).

    Parameters
    ----------
    codebook : nn.Parameter
        (words, d), without gradients; changed in place.
    """

    counts: Tensor
    sums: Tensor

    def __init__(self, codebook: nn.Parameter) -> None:
        super().__init__()
        self.register_buffer("counts", torch.zeros(len(codebook)))
        self.register_buffer("sums", torch.zeros_like(codebook))

    @torch.no_grad()
    def update(
        self,
        codebook: nn.Parameter,
        vectors: Tensor,
        indices: Tensor,
        step: int,
        generator: torch.Generator,
    ) -> float:
        """Move the words towards their vectors; return the perplexity of the words' use.

        Parameters
        ----------
        codebook : nn.Parameter
            The one of construction.
        vectors : Tensor
            (n, d), float32.
        indices : Tensor
            (n,).
        """
        count = torch.zeros_like(self.counts).index_add_(
            0, indices, torch.ones(len(indices), device=vectors.device)
        )
        total = torch.zeros_like(self.sums).index_add_(0, indices, vectors)
        self.counts.lerp_(count, 1 - _DECAY)
        self.sums.lerp_(total, 1 - _DECAY)
        used = self.counts > 1e-6
        codebook[used] = self.sums[used] / self.counts[used, None]
        if step % _REVIVE_EVERY == 0:
            self._revive(codebook, vectors, generator)
        share = self.counts / self.counts.sum()
        return float(torch.exp(-(share * share.clamp_min(1e-12).log()).sum()))

    def _revive(self, codebook: nn.Parameter, vectors: Tensor, generator: torch.Generator) -> None:
        mean = len(vectors) / len(codebook)
        dead = (self.counts < _DEAD * mean).nonzero()[:, 0]
        chosen = torch.randint(len(vectors), (len(dead),), generator=generator)
        noise = 0.05 * torch.randn(len(dead), vectors.shape[1], generator=generator)
        codebook[dead] = vectors[chosen.to(vectors.device)] + noise.to(vectors.device)
        self.counts[dead] = mean
        self.sums[dead] = mean * codebook[dead]
