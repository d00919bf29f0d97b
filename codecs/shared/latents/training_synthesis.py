"""Train the synthesis on estimates: its mean by squared error, its detail by what photographs are like."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from diffc.codecs.shared.latents.synthesis import (
    DetailConfig,
    Synthesis,
    SynthesisDetail,
    expected_error,
)
from diffc.codecs.shared.latents.training_estimates import EstimateCrops
from diffc.codecs.shared.networks.blocks import to_device
from diffc.codecs.training.detail_losses import DetailJudge, DetailLosses, random_realism
from diffc.codecs.training.learner import Learner


class SynthesisStage:
    """Photographs from estimates of their latents, as natural as asked.

    Parameters
    ----------
    synthesis : Synthesis
        To begin with; its transform stays as it is.
    crops : EstimateCrops
        Photos and estimates.
    config : DetailConfig
        Of the network for detail.
    losses : DetailLosses
        Of the detail.
    perceptual_weights : Path
        Of their network.
    batch, detailed : int
        Crops a step, and how many of them have detail drawn and judged.
    learning_rate : float
        Of both networks.
    device : str
        Where they are trained.
    start : mapping, optional
        Weights of the detail to begin with.
    """

    def __init__(
        self,
        synthesis: Synthesis,
        crops: EstimateCrops,
        *,
        config: DetailConfig,
        losses: DetailLosses,
        perceptual_weights: Path,
        batch: int,
        detailed: int,
        learning_rate: float,
        device: str,
        start: Mapping[str, Tensor] | None = None,
    ) -> None:
        detail = SynthesisDetail(config, synthesis.config)
        if start is not None:
            detail.load_state_dict(start)
        self.judge = DetailJudge(losses, perceptual_weights, device)
        self.learners = {
            "synthesis": Learner(to_device(synthesis, device), learning_rate=learning_rate),
            "detail": Learner(to_device(detail, device), learning_rate=learning_rate),
        }
        self.crops, self.generator = crops, crops.generator
        self.batch, self.detailed, self.device = batch, detailed, device
        self.fixed = crops.batch(8)

    def step(self, index: int, scale: float) -> dict[str, float]:
        """Do one update."""
        batch = self.crops.batch(self.batch).to(self.device)
        synthesis, detail = (self.learners[name].module for name in ("synthesis", "detail"))
        with torch.autocast(self.device, torch.bfloat16):
            mean, features, inner = synthesis(batch.latent, batch.sigma)
        level = expected_error(batch.sigma)[:, None, None, None]
        error = ((mean - batch.photo) / level).square().mean()
        few = slice(0, self.detailed)
        photo, sigma = batch.photo[few], batch.sigma[few]
        realism = random_realism(self.detailed, self.generator).to(self.device)
        # the mean is that of least squared error, whatever the detail would make of its features
        picture, features, inner = (x[few].detach() for x in (mean, features, inner))
        noise = torch.randn(photo.shape, generator=self.generator).to(self.device)
        with torch.autocast(self.device, torch.bfloat16):
            made = picture + detail(picture, features, inner, sigma, noise, realism)
        pixels = made.detach().requires_grad_()
        loss, figures = self.judge.compare(pixels, photo, realism, self.generator)
        (slope,) = torch.autograd.grad(loss, pixels)
        for learner in self.learners.values():
            learner.optimiser.zero_grad(set_to_none=True)
        ((made * slope).sum() + error).backward()
        for learner in self.learners.values():
            learner.advance(index, scale)
        return {"error": float(error.detach()), **figures}

    @torch.no_grad()
    def picture(self) -> Tensor:
        """Show photos, what their latents say, the mean, and two realisms."""
        batch = self.fixed.to(self.device)
        synthesis, detail = (self.learners[name].averaged for name in ("synthesis", "detail"))
        assert isinstance(synthesis, Synthesis)
        generator = torch.Generator().manual_seed(1)
        noise = torch.randn(batch.photo.shape, generator=generator).to(self.device)
        rows = [batch.photo, synthesis.transform.synthesise(batch.latent)]
        with torch.autocast(self.device, torch.bfloat16):
            mean, features, inner = synthesis(batch.latent, batch.sigma)
            rows.append(mean)
            for realism in (0.5, 1.0):
                strength = torch.full((len(mean),), realism, device=self.device)
                rows.append(mean + detail(mean, features, inner, batch.sigma, noise, strength))
        return torch.cat([torch.cat(list(row), dim=2) for row in rows], dim=1).cpu()
