"""Losses of networks that draw detail: true place by place, and natural in its local statistics."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from diffc.codecs.shared.networks.blocks import to_device
from diffc.codecs.training.local_statistics import (
    band_distortion,
    band_kernels,
    band_power,
    feature_distortion,
)
from diffc.codecs.training.perceptual import PerceptualDistance, apply_view, random_view

# positions of each depth of the perceptual network, at 1, 1/2, 1/4 and 1/8 of the size
_WINDOWS = (16, 8, 8, 4)


@dataclass(frozen=True)
class DetailLosses:
    """Weights of the losses of detail.

    ``pixel`` (L1), ``coarse`` (L1 of 1/8-size means, which holds colours) and ``perceptual``
    (features place by place) count at every realism; ``features`` and ``bands`` (local statistics)
    in proportion to it.
    """

    pixel: float = 1.0
    coarse: float = 2.0
    perceptual: float = 0.5
    features: float = 2.0
    bands: float = 2.0


class DetailJudge:
    """Compares pictures with photographs by `DetailLosses`."""

    def __init__(self, losses: DetailLosses, perceptual_weights: Path, device: str) -> None:
        self.losses, self.device = losses, device
        self.distance = to_device(PerceptualDistance(perceptual_weights), device)
        self.kernels = band_kernels(device)

    def compare(
        self, pixels: Tensor, photo: Tensor, realism: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        """Return the loss, and its parts for the log.

        Parameters
        ----------
        pixels, photo : Tensor
            (N, 3, H, W), about [-1, 1].
        realism : Tensor
            That was asked for (N,), in [0, 1].
        generator : torch.Generator
            On the CPU; of the view.
        """
        weights = self.losses
        pixel = (pixels - photo).abs().mean()
        coarse = F.avg_pool2d(pixels - photo, 8).abs().mean()
        view = random_view(photo, generator)
        with torch.autocast(self.device, torch.bfloat16):
            ours = self.distance.features(apply_view(pixels, view))
            with torch.no_grad():
                theirs = self.distance.features(apply_view(photo, view))
        perceptual = self.distance.between(ours, theirs).mean()
        figures = {"pixel": pixel, "coarse": coarse, "perceptual": perceptual}
        loss = weights.pixel * pixel + weights.coarse * coarse + weights.perceptual * perceptual
        if weights.features:
            figures["features"] = (realism * feature_distortion(ours, theirs, _WINDOWS)).mean()
            loss = loss + weights.features * figures["features"]
        if weights.bands:
            with torch.no_grad():
                powers = band_power(photo, self.kernels)
            figures["bands"] = (
                realism * band_distortion(band_power(pixels, self.kernels), powers)
            ).mean()
            loss = loss + weights.bands * figures["bands"]
        return loss, {name: float(value.detach()) for name, value in figures.items()}


def random_realism(count: int, generator: torch.Generator) -> Tensor:
    """Draw realism (N,): uniform, and full realism for half of them, where most has to be learned."""
    realism, chance = torch.rand((2, count), generator=generator)
    return torch.where(chance < 0.5, 1.0, realism)
