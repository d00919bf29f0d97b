"""Image tokens: a latent to indices on grids at 1/64, 1/32 and 1/16 of the size, and back.

Coarse to fine, as one stream of which every prefix is a picture: a grid of tokens at 1/64, one at
1/32 that adds what the first lacks, and several at 1/16, each quantising what the one before it
left.  Three global tokens for the whole picture come first (PerCo, ICLR 2024, has a caption in
their place).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diffc.codecs.shared.networks.blocks import ChannelNorm, PlainBlock, modulated_blocks
from diffc.codecs.shared.tokens.vector_quantiser import nearest, words

GLOBAL_TOKENS = 3
STRIDES = (4, 2, 1)
"""Latent positions for each token of the coarse, the middle and the fine grids."""
MULTIPLE = 4
"""Sides of the latent are multiples of it."""


@dataclass(frozen=True)
class TokenConfig:
    """Sizes of a `TokenNetwork`.

    Parameters
    ----------
    channels : int
        Of the latent.
    fine_width, width : int
        Channels of the features at 1/16, and at 1/32 and 1/64.
    global_words, coarse_words, middle_words, fine_words : int
        Words of each codebook.
    fine_grids : int
        Codebooks at 1/16.
    global_length, coarse_length, middle_length, fine_length : int
        Components of a word.
    embedding : int
        Features of the global tokens together.
    """

    channels: int = 128
    fine_width: int = 128
    width: int = 160
    global_words: int = 256
    coarse_words: int = 1024
    middle_words: int = 256
    fine_words: int = 256
    fine_grids: int = 4
    global_length: int = 8
    coarse_length: int = 16
    middle_length: int = 12
    fine_length: int = 12
    embedding: int = 16

    @property
    def vocabularies(self) -> tuple[int, ...]:
        """Words of each grid's codebook, in coding order."""
        return (self.coarse_words, self.middle_words) + (self.fine_words,) * self.fine_grids

    @property
    def strides(self) -> tuple[int, ...]:
        """Latent positions for each token of each grid, in coding order."""
        return STRIDES[:2] + STRIDES[2:] * self.fine_grids


@dataclass(frozen=True)
class Vectors:
    """What is quantised, before it is: global (N, 3, length), and one (N, d, h, w) a resolution."""

    of_picture: Tensor
    coarse: Tensor
    middle: Tensor
    fine: Tensor


@dataclass(frozen=True)
class Tokens:
    """Indices: of the picture, int64 (N, 3), and of each grid, int64 (N, h, w), in coding order."""

    of_picture: Tensor
    grids: tuple[Tensor, ...]

    def to(self, device: str) -> Tokens:
        """Return them on a device."""
        return Tokens(self.of_picture.to(device), tuple(grid.to(device) for grid in self.grids))


@dataclass(frozen=True)
class Condition:
    """What tokens say: features at 1/16, the mean of the latent, and the picture's embedding.

    Parameters
    ----------
    features : Tensor
        (N, fine_width, h, w).
    mean : Tensor
        Estimate of the latent over its channels' deviations, (N, channels, h, w), float32.
    embedding : Tensor
        (N, embedding).
    """

    features: Tensor
    mean: Tensor
    embedding: Tensor


def _codebook(count: int, length: int) -> nn.Parameter:
    return nn.Parameter(torch.randn(count, length), requires_grad=False)


def _plain(count: int, width: int) -> nn.Sequential:
    return nn.Sequential(*(PlainBlock(width) for _ in range(count)))


def _head(width: int, length: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(width, 64, 1), nn.SiLU(), nn.Conv2d(64, length, 1), ChannelNorm()
    )


class TokenNetwork(nn.Module):
    """Analysis, codebooks, and synthesis of what a denoiser is conditioned on."""

    def __init__(self, config: TokenConfig) -> None:
        super().__init__()
        self.config = config
        fine, width = config.fine_width, config.width
        self.global_codebooks = nn.ParameterList(
            _codebook(config.global_words, config.global_length) for _ in range(GLOBAL_TOKENS)
        )
        self.codebooks = nn.ParameterList(
            [
                _codebook(config.coarse_words, config.coarse_length),
                _codebook(config.middle_words, config.middle_length),
                *(
                    _codebook(config.fine_words, config.fine_length)
                    for _ in range(config.fine_grids)
                ),
            ]
        )
        # analysis
        self.enter = nn.Conv2d(config.channels, fine, 1)
        self.analyse_fine = _plain(2, fine)
        self.to_middle = nn.Conv2d(fine, width, 2, stride=2)
        self.analyse_middle = _plain(2, width)
        self.to_coarse = nn.Conv2d(width, width, 2, stride=2)
        self.analyse_coarse = _plain(2, width)
        self.head_global = nn.Linear(width, GLOBAL_TOKENS * config.global_length)
        self.head_coarse = _head(width, config.coarse_length)
        self.head_middle = _head(2 * width, config.middle_length)
        self.head_fine = _head(2 * fine, config.fine_length)
        # synthesis
        self.embed_global = nn.Linear(GLOBAL_TOKENS * config.global_length, config.embedding)
        lengths = [config.coarse_length, config.middle_length]
        lengths += [config.fine_length] * config.fine_grids
        # what stands for a token that is not there
        self.absent = nn.ParameterList(nn.Parameter(torch.zeros(length)) for length in lengths)
        self.embed_coarse = nn.Conv2d(config.coarse_length, width, 1)
        self.embed_middle = nn.Conv2d(config.middle_length, width, 1)
        self.embed_fine = nn.Conv2d(config.fine_length, fine, 1)
        self.coarse = modulated_blocks(2, width, config.embedding, expansion=2)
        self.up_middle = nn.ConvTranspose2d(width, width, 2, stride=2)
        self.middle = modulated_blocks(2, width, config.embedding, expansion=2)
        self.up_fine = nn.ConvTranspose2d(width, fine, 2, stride=2)
        self.fine = modulated_blocks(2, fine, config.embedding, expansion=2)
        self.mean = nn.Conv2d(fine, config.channels, 1)
        nn.init.zeros_(self.mean.weight)

    def analyse(self, scaled: Tensor) -> tuple[Vectors, Tokens]:
        """Return what is quantised, and the indices.

        Parameters
        ----------
        scaled : Tensor
            The latent over its channels' deviations (N, channels, h, w); sides are multiples of
            `MULTIPLE`.
        """
        dtype = self.enter.weight.dtype
        fine = self.analyse_fine(self.enter(scaled.to(dtype)))
        middle = self.analyse_middle(self.to_middle(fine))
        coarse = self.analyse_coarse(self.to_coarse(middle))
        pooled = self.head_global(coarse.float().mean((2, 3)))
        of_picture = pooled.float().unflatten(1, (GLOBAL_TOKENS, -1))
        of_picture = of_picture * torch.rsqrt(of_picture.square().mean(2, keepdim=True) + 1e-6)
        global_tokens = torch.stack(
            [
                nearest(of_picture[:, i, :, None, None], book)[:, 0, 0]
                for i, book in enumerate(self.global_codebooks)
            ],
            dim=1,
        )
        embedding = self.embedding(self._straight_global(of_picture, global_tokens))

        first = self.head_coarse(coarse).float()
        indices = [nearest(first, self.codebooks[0])]
        known = self._coarse(_straight(first, words(indices[0], self.codebooks[0])), embedding)
        second = self.head_middle(torch.cat([middle, known], 1)).float()
        indices.append(nearest(second, self.codebooks[1]))
        known = self._middle(
            known, _straight(second, words(indices[1], self.codebooks[1])), embedding
        )
        third = self.head_fine(torch.cat([fine, known], 1)).float()
        rest = third.detach()
        for book in list(self.codebooks)[2:]:
            indices.append(nearest(rest, book))
            rest = rest - words(indices[-1], book)
        return Vectors(of_picture, first, second, third), Tokens(global_tokens, tuple(indices))

    def synthesise(
        self,
        tokens: Tokens,
        present: Sequence[Tensor],
        vectors: Vectors | None = None,
    ) -> Condition:
        """Return what tokens say.

        Parameters
        ----------
        tokens : Tokens
            Indices.
        present : sequence of Tensor
            Which of each grid's tokens are there, bool (N, h, w).
        vectors : Vectors, optional
            For training: gradients go to them as if nothing had been quantised.
        """
        global_words = torch.stack(
            [book[tokens.of_picture[:, i]] for i, book in enumerate(self.global_codebooks)], dim=1
        )
        if vectors is not None:
            global_words = _straight(vectors.of_picture, global_words)
        embedding = self.embedding(global_words)
        found = []
        for index, (grid, there) in enumerate(zip(tokens.grids, present, strict=True)):
            word = words(grid, self.codebooks[index])
            source = None
            if vectors is not None:
                source = (
                    (vectors.coarse, vectors.middle, vectors.fine)[index] if index < 3 else None
                )
            if source is not None:
                word = _straight(source, word)
            absent = self.absent[index][None, :, None, None]
            found.append(torch.where(there[:, None], word, absent))
        known = self._coarse(found[0], embedding)
        known = self._middle(known, found[1], embedding)
        fine = torch.stack(found[2:]).sum(0)
        features = known + self.embed_fine(fine.to(known.dtype))
        for block in self.fine:
            features = block(features, embedding)
        return Condition(features, self.mean(features).float(), embedding)

    def embedding(self, global_words: Tensor) -> Tensor:
        """Return the picture's features (N, embedding) of its words (N, 3, length)."""
        features: Tensor = F.silu(self.embed_global(global_words.flatten(1)))
        return features

    def _straight_global(self, vectors: Tensor, tokens: Tensor) -> Tensor:
        found = [book[tokens[:, i]] for i, book in enumerate(self.global_codebooks)]
        return _straight(vectors, torch.stack(found, dim=1))

    def _coarse(self, word: Tensor, embedding: Tensor) -> Tensor:
        features = self.embed_coarse(word.to(self.embed_coarse.weight.dtype))
        for block in self.coarse:
            features = block(features, embedding)
        up: Tensor = self.up_middle(features)
        return up

    def _middle(self, known: Tensor, word: Tensor, embedding: Tensor) -> Tensor:
        features = known + self.embed_middle(word.to(known.dtype))
        for block in self.middle:
            features = block(features, embedding)
        up: Tensor = self.up_fine(features)
        return up


def _straight(vectors: Tensor, quantised: Tensor) -> Tensor:
    """Return the quantised vectors, with the gradient of the others (straight-through)."""
    if not vectors.requires_grad:
        return quantised
    return vectors + (quantised - vectors).detach()
