"""The index model while it is trained: its integers as real numbers that are rounded on the way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from diffc.codecs.perco.index_contexts import STAGES, neighbours, slots
from diffc.codecs.perco.index_model import LARGEST, SHIFT
from diffc.codecs.perco.integer_frequencies import STEP

# a weight of 1 as an integer; a code or feature of 1, which is half of the largest
_WEIGHT, _UNIT = 1 << SHIFT, (LARGEST + 1) // 2


@dataclass(frozen=True)
class IndexConfig:
    """Sizes of the index model.

    Parameters
    ----------
    code : int
        Components of a token's code vector.
    hidden : int
        Features of the first layer.
    coarse_vector, vector : int
        Components of the second layer, for the coarse grid and the others; more than ``code``.
    """

    code: int = 8
    hidden: int = 48
    coarse_vector: int = 16
    vector: int = 24


class _Grid(nn.Module):
    """The layers of one grid."""

    def __init__(self, grid: int, codebook: Tensor, axes: Tensor, config: IndexConfig) -> None:
        super().__init__()
        words, hidden = len(codebook), config.hidden
        vector = config.vector if grid else config.coarse_vector
        inputs = slots(grid) * config.code
        self.codes = nn.Parameter(_codes(codebook, axes, config.code))
        self.enter = nn.Parameter(torch.randn(inputs, hidden) * inputs**-0.5)
        self.enter_bias = nn.Parameter(torch.full((STAGES, hidden), 0.5))
        self.middle = nn.Parameter(torch.randn(hidden, vector) * hidden**-0.5)
        self.middle_bias = nn.Parameter(torch.zeros(vector))
        self.extra = nn.Parameter(0.2 * torch.randn(words, vector - config.code))
        self.bias = nn.Parameter(torch.zeros(words))


class IndexNetwork(nn.Module):
    """Scores of tokens, those that `integers` gives to `diffc.codecs.perco.index_model.IndexModel`.

    Parameters
    ----------
    codebooks : sequence of Tensor
        Of the grids, in coding order, (words, length): words that are near each other begin with
        code vectors that are.
    config : IndexConfig
        Sizes.
    """

    def __init__(self, codebooks: Sequence[Tensor], config: IndexConfig) -> None:
        super().__init__()
        self.config = config
        # codes of all fine grids are added up, so they share their axes
        axes = [_axes(book) for book in codebooks[:3]]
        self.grids = nn.ModuleList(
            _Grid(i, book.float(), axes[min(i, 2)], config) for i, book in enumerate(codebooks)
        )

    def forward(self, contexts: Tensor, grid: int, stage: int) -> Tensor:
        """Return scores in bits, (n, words); see `IndexModel.scores`."""
        layers = self._layers(grid)
        inputs = layers.codes.new_zeros(len(contexts), slots(grid), self.config.code)
        for tokens, neighbour in zip(contexts.unbind(1), neighbours(grid, stage), strict=True):
            codes = _rounded(self._layers(neighbour.grid).codes, _UNIT)
            known = nn.functional.pad(codes, (0, 0, 0, 1))[tokens]
            place = torch.full((1,), neighbour.slot)
            inputs = inputs.index_add(1, place, known[:, None])
        features = inputs.flatten(1) @ _rounded(layers.enter, _WEIGHT)
        features = features + _rounded(layers.enter_bias[stage], _WEIGHT * _UNIT, wide=True)
        features = _shifted(features).clamp(0, LARGEST)
        vectors = features @ _rounded(layers.middle, _WEIGHT)
        vectors = vectors + _rounded(layers.middle_bias, _WEIGHT * _UNIT, wide=True)
        vectors = _shifted(vectors).clamp(-LARGEST, LARGEST)
        words = torch.cat([layers.codes, layers.extra], dim=1)
        scores = _shifted(vectors @ _rounded(words, _UNIT).T)
        made: Tensor = (scores + _rounded(layers.bias, STEP, wide=True)) / STEP
        return made

    @torch.no_grad()
    def start(self, counts: Sequence[Tensor]) -> None:
        """Begin with how often each word is used at all, a row of counts above 0 for each grid."""
        for i, found in enumerate(counts):
            self._layers(i).bias.copy_((found / found.max()).log2())

    @torch.no_grad()
    def integers(self) -> dict[str, Tensor]:
        """Return the weights of an `diffc.codecs.perco.index_model.IndexModel`."""
        found: dict[str, Tensor] = {}
        for i in range(len(self.grids)):
            layers = self._layers(i)
            for name, scale in (
                ("codes", _UNIT),
                ("enter", _WEIGHT),
                ("middle", _WEIGHT),
                ("extra", _UNIT),
            ):
                found[f"{name}.{i}"] = _rounded(getattr(layers, name), scale).to(torch.int8)
            for name, scale in (
                ("enter_bias", _WEIGHT * _UNIT),
                ("middle_bias", _WEIGHT * _UNIT),
                ("bias", STEP),
            ):
                value = _rounded(getattr(layers, name), scale, wide=True)
                found[f"{name}.{i}"] = value.to(torch.int16)
        return {name: value.cpu().contiguous() for name, value in found.items()}

    def _layers(self, grid: int) -> _Grid:
        layers = self.grids[grid]
        assert isinstance(layers, _Grid)
        return layers


def _axes(codebook: Tensor) -> Tensor:
    """Return the principal axes of a codebook (length, axes), scaled to a first deviation of 1."""
    centred = codebook.float() - codebook.float().mean(0)
    _, spread, axes = torch.linalg.svd(centred, full_matrices=False)
    scaled: Tensor = axes.T * (len(codebook) ** 0.5 / spread[0].clamp_min(1e-6))
    return scaled


def _codes(codebook: Tensor, axes: Tensor, length: int) -> Tensor:
    found = (codebook - codebook.mean(0)) @ axes[:, :length]
    codes = 0.1 * torch.randn(len(codebook), length)
    codes[:, : found.shape[1]] = 0.7 * found
    return codes


def _rounded(weights: Tensor, scale: int, *, wide: bool = False) -> Tensor:
    """Return the nearest integers of ``scale`` times weights, with the gradient of no rounding."""
    largest = (1 << 15) - 1 if wide else LARGEST
    scaled = (weights * scale).clamp(-largest, largest)
    rounded: Tensor = scaled + (scaled.round() - scaled).detach()
    return rounded


def _shifted(sums: Tensor) -> Tensor:
    """Do what the integer model does after each layer, with the gradient of no rounding."""
    scaled = sums / (1 << SHIFT)
    return scaled + ((scaled + 0.5).floor() - scaled).detach()
