"""Train the synthesis network on what the trained denoiser estimates at random noise levels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from diffc.codecs.shared.diffusion.samplers import add_noise
from diffc.codecs.shared.latents.denoiser import LatentDenoiser
from diffc.codecs.shared.latents.patch_transform import PatchTransform
from diffc.codecs.shared.latents.synthesis import Synthesis, SynthesisConfig
from diffc.codecs.shared.networks.blocks import to_device
from diffc.codecs.training.discriminators import (
    PatchDiscriminator,
    discriminator_loss,
    generator_loss,
)
from diffc.codecs.training.learner import Learner
from diffc.codecs.training.perceptual import PerceptualDistance, apply_view, random_view
from diffc.codecs.training.photos import Crops

SIGMA_MIN, SIGMA_MAX = 0.08, 4.0


@dataclass(frozen=True)
class SynthesisLosses:
    """Weights of the losses; the adversarial one joins after ``adversarial_from`` updates."""

    pixel: float = 1.0
    perceptual: float = 0.5
    adversarial: float = 0.01
    adversarial_from: int = 2000


class SynthesisStage:
    """Pixels from denoised latents: L1, a perceptual distance, and a patch discriminator."""

    def __init__(
        self,
        transform: PatchTransform,
        denoiser: LatentDenoiser,
        crops: Crops,
        *,
        config: SynthesisConfig,
        losses: SynthesisLosses,
        perceptual_weights: Path,
        batch: int,
        learning_rate: float,
        device: str,
    ) -> None:
        network = Synthesis(config)
        network.transform.load_state_dict(transform.state_dict())
        network.channel_std.copy_(denoiser.channel_std)
        discriminator = to_device(PatchDiscriminator(), device)
        self.learners = {
            "synthesis": Learner(to_device(network, device), learning_rate=learning_rate),
            "discriminator": Learner(discriminator, learning_rate=learning_rate, betas=(0.5, 0.9)),
        }
        self.transform = network.transform
        self.denoiser = to_device(denoiser, device).eval().requires_grad_(False)
        self.distance = to_device(PerceptualDistance(perceptual_weights), device)
        self.crops, self.generator = crops, crops.generator
        self.losses, self.batch, self.device = losses, batch, device
        self.fixed = crops.batch(6)

    def step(self, index: int, scale: float) -> dict[str, float]:
        """Update the network and, once it has joined, the discriminator."""
        real = self.crops.batch(self.batch).to(self.device, memory_format=torch.channels_last)
        uniform = torch.rand(self.batch, generator=self.generator)
        sigma = SIGMA_MIN * torch.exp(uniform * math.log(SIGMA_MAX / SIGMA_MIN)).to(self.device)
        learner, judge = self.learners["synthesis"], self.learners["discriminator"]
        view = random_view(real, self.generator)
        with torch.autocast(self.device, torch.bfloat16):
            estimate = self._estimate(real, sigma)
            linear = self.transform.synthesise(estimate).float()
            restored = learner.module(estimate, sigma)
            perceptual = self.distance(apply_view(restored, view), apply_view(real, view)).mean()
        pixel = (restored - real).abs().mean()
        loss = self.losses.pixel * pixel + self.losses.perceptual * perceptual
        figures = {"pixel": float(pixel.detach()), "perceptual": float(perceptual.detach())}
        if index >= self.losses.adversarial_from and self.losses.adversarial > 0:
            judge.module.requires_grad_(False)
            with torch.autocast(self.device, torch.bfloat16):
                fooled = generator_loss(judge.module(restored, linear))
            loss = loss + self.losses.adversarial * fooled
            judge.module.requires_grad_(True)
            with torch.autocast(self.device, torch.bfloat16):
                scores = judge.module(
                    torch.cat([real, restored.detach()]), torch.cat([linear, linear])
                )
            judged = discriminator_loss(*scores.chunk(2))
            judge.update(judged, index, scale)
            figures |= {"adversarial": float(fooled.detach()), "judge": float(judged.detach())}
        learner.update(loss, index, scale)
        return figures

    @torch.no_grad()
    def _estimate(self, pixels: Tensor, sigma: Tensor) -> Tensor:
        clean = self.transform.analyse(pixels).float()
        noise = torch.randn(clean.shape, generator=self.generator).to(self.device)
        estimate: Tensor = self.denoiser(add_noise(clean, noise, sigma), sigma)
        return estimate

    @torch.no_grad()
    def picture(self) -> Tensor:
        """Show photos, and for three noise levels the linear and the learned synthesis."""
        pixels = self.fixed.to(self.device)
        rows = [self.fixed]
        state = self.generator.get_state()
        for level in (1.5, 0.6, 0.25):
            sigma = torch.full((len(pixels),), level, device=self.device)
            estimate = self._estimate(pixels, sigma)
            rows.append(self.transform.synthesise(estimate).cpu())
            rows.append(self.learners["synthesis"].averaged(estimate, sigma).cpu())
        self.generator.set_state(state)
        return torch.cat([torch.cat(list(row), dim=2) for row in rows], dim=1)
