"""Train the restoring network: its mean by squared error, its detail by what photographs are like."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from diffc.codecs.relay.network import Condition, Restorer, RestorerConfig
from diffc.codecs.relay.training_data import DegradedCrops
from diffc.codecs.shared.networks.blocks import to_device
from diffc.codecs.training.detail_losses import DetailJudge, DetailLosses, random_realism
from diffc.codecs.training.learner import Learner


class RestorerStage:
    """Photographs from bases of all families, at all rates, as natural as asked."""

    def __init__(
        self,
        crops: DegradedCrops,
        *,
        config: RestorerConfig,
        losses: DetailLosses,
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
        self.judge = DetailJudge(losses, perceptual_weights, device)
        self.network = network
        self.learners = {
            "detail": Learner(network.detail, learning_rate=learning_rate),
            "mean": Learner(network.mean, learning_rate=learning_rate),
        }
        self.crops, self.generator = crops, crops.generator
        self.batch, self.detailed, self.device = batch, detailed, device
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
        realism = random_realism(self.detailed, self.generator).to(self.device)
        # the mean is that of least squared error, whatever the detail would make of its features
        picture, features, inner = (x[few].detach() for x in (mean, features, inner))
        noise = self._normal(photo)
        with torch.autocast(self.device, torch.bfloat16):
            made = picture + self.network.detail(
                picture, features, inner, condition, noise, realism
            )
        pixels = made.detach().requires_grad_()
        loss, figures = self.judge.compare(pixels, photo, realism, self.generator)
        (slope,) = torch.autograd.grad(loss, pixels)
        for learner in self.learners.values():
            learner.optimiser.zero_grad(set_to_none=True)
        ((made * slope).sum() + error).backward()
        for learner in self.learners.values():
            learner.advance(index, scale)
        return {"error": float(error.detach()), **figures}

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
