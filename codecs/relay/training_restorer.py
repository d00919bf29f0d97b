"""Train the restoring network: its mean by squared error, its detail by what photographs are like."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from diffc.codecs.relay.network import Condition, Restorer, RestorerConfig
from diffc.codecs.relay.training_data import DegradedCrops
from diffc.codecs.shared.networks.blocks import to_device
from diffc.codecs.training.learner import Learner
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
class RestorerLosses:
    """Weights of the losses of the detail.

    ``pixel`` (L1), ``coarse`` (L1 of 1/8-size means, which holds colours) and ``perceptual``
    (features place by place) count at every realism; ``features`` and ``bands`` (local statistics)
    in proportion to it.
    """

    pixel: float = 1.0
    coarse: float = 2.0
    perceptual: float = 0.5
    features: float = 2.0
    bands: float = 2.0


class RestorerStage:
    """Photographs from bases of all families, at all rates, as natural as asked."""

    def __init__(
        self,
        crops: DegradedCrops,
        *,
        config: RestorerConfig,
        losses: RestorerLosses,
        perceptual_weights: Path,
        batch: int,
        detailed: int,
        learning_rate: float,
        device: str,
        start: Mapping[str, Tensor] | None = None,
    ) -> None:
        network = Restorer(config)
        if start is not None:
            network.load_state_dict(start)
        to_device(network, device)
        self.distance = to_device(PerceptualDistance(perceptual_weights), device)
        self.kernels = band_kernels(device)
        self.network = network
        self.learners = {
            "detail": Learner(network.detail, learning_rate=learning_rate),
            "mean": Learner(network.mean, learning_rate=learning_rate),
        }
        self.crops, self.generator = crops, crops.generator
        self.losses, self.batch, self.detailed, self.device = losses, batch, detailed, device
        self.fixed = crops.batch(8)

    def step(self, index: int, scale: float) -> dict[str, float]:
        """Do one update."""
        batch = self.crops.batch(self.batch).to(self.device)
        condition = batch.condition
        with torch.autocast(self.device, torch.bfloat16):
            mean, features, inner = self.network.mean(batch.base, condition)
        error = ((mean - batch.photo) / condition.level[:, None, None, None]).square().mean()
        few = slice(0, self.detailed)
        photo = batch.photo[few]
        condition = Condition(condition.level[few], condition.scale[few], condition.family[few])
        # half of them at full realism, where most has to be learned
        realism, chance = torch.rand((2, self.detailed), generator=self.generator)
        realism = torch.where(chance < 0.5, 1.0, realism).to(self.device)
        # the mean is that of least squared error, whatever the detail would make of its features
        picture, features, inner = (x[few].detach() for x in (mean, features, inner))
        noise = self._normal(photo)
        with torch.autocast(self.device, torch.bfloat16):
            made = picture + self.network.detail(
                picture, features, inner, condition, noise, realism
            )
        pixels = made.detach().requires_grad_()
        loss, figures = self._losses(pixels, photo, realism)
        (slope,) = torch.autograd.grad(loss, pixels)
        for learner in self.learners.values():
            learner.optimiser.zero_grad(set_to_none=True)
        ((made * slope).sum() + error).backward()
        for learner in self.learners.values():
            learner.advance(index, scale)
        return {"error": float(error.detach()), **figures}

    def _losses(
        self, pixels: Tensor, photo: Tensor, realism: Tensor
    ) -> tuple[Tensor, dict[str, float]]:
        weights = self.losses
        pixel = (pixels - photo).abs().mean()
        coarse = F.avg_pool2d(pixels - photo, 8).abs().mean()
        view = random_view(photo, self.generator)
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

    def _normal(self, like: Tensor) -> Tensor:
        return torch.randn(like.shape, generator=self.generator).to(self.device)

    @torch.no_grad()
    def picture(self) -> Tensor:
        """Show photos, their bases, the mean, and two realisms."""
        batch = self.fixed.to(self.device)
        mean_network, detail_network = (self.learners[x].averaged for x in ("mean", "detail"))
        generator = torch.Generator().manual_seed(1)
        noise = torch.randn(batch.photo.shape, generator=generator).to(self.device)
        with torch.autocast(self.device, torch.bfloat16):
            mean, features, inner = mean_network(batch.base, batch.condition)
            rows = [batch.photo, batch.base, mean]
            for realism in (0.5, 1.0):
                strength = torch.full((len(mean),), realism, device=self.device)
                detail = detail_network(mean, features, inner, batch.condition, noise, strength)
                rows.append(mean + detail)
        return torch.cat([torch.cat(list(row), dim=2) for row in rows], dim=1).cpu()
