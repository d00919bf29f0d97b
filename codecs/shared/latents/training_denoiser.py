"""Train the latent denoiser."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from diffc.codecs.shared.diffusion.samplers import add_noise
from diffc.codecs.shared.latents.denoiser import DenoiserConfig, LatentDenoiser
from diffc.codecs.shared.latents.patch_transform import PatchTransform
from diffc.codecs.shared.networks.blocks import to_device
from diffc.codecs.training.learner import Learner
from diffc.codecs.training.photos import Crops

SIGMA_MIN, SIGMA_MAX = 0.05, 80.0


def sample_sigma(count: int, generator: torch.Generator) -> Tensor:
    """Draw noise levels, log-uniform; seven in ten from the range where pictures take shape."""
    uniform = torch.rand(count, generator=generator)
    focus = torch.rand(count, generator=generator) < 0.7
    high = torch.where(focus, torch.tensor(6.0), torch.tensor(SIGMA_MAX))
    return torch.exp(math.log(SIGMA_MIN) + uniform * (high / SIGMA_MIN).log())


def relative_error(estimate: Tensor, clean: Tensor, sigma: Tensor, variance: Tensor) -> Tensor:
    """Return squared error over that of the per-channel Wiener estimate, (N,).

    The sum over channels of error / sigma^2 is the rate that the walk pays at this noise level
    (the integral of the minimum mean square error over the signal-to-noise ratio), so channels
    stand in it with their natural weights; dividing by Wiener's error makes noise levels equal.
    """
    noise = sigma.square()[:, None]
    wiener = (variance * noise / (variance + noise)).sum(1)
    return (estimate - clean).square().mean((2, 3)).sum(1) / wiener


class DenoiserStage:
    """Unconditional denoising of patch-transform latents at random noise levels."""

    def __init__(
        self,
        transform: PatchTransform,
        channel_std: Tensor,
        crops: Crops,
        *,
        config: DenoiserConfig,
        batch: int,
        learning_rate: float,
        device: str,
    ) -> None:
        self.transform = transform.to(device)
        network = LatentDenoiser(config)
        network.channel_std.copy_(channel_std)
        self.learners = {
            "denoiser": Learner(to_device(network, device), learning_rate=learning_rate)
        }
        self.generator = crops.generator
        self.crops = crops
        self.batch = batch
        self.device = device
        self.fixed = crops.batch(6)

    def step(self, index: int, scale: float) -> dict[str, float]:
        """Update on one batch of crops."""
        learner = self.learners["denoiser"]
        clean = self.transform.analyse(self.crops.batch(self.batch).to(self.device))
        sigma = sample_sigma(self.batch, self.generator)
        noise = torch.randn(clean.shape, generator=self.generator).to(self.device)
        noisy = add_noise(clean, noise, sigma.to(self.device))
        with torch.autocast(self.device, torch.bfloat16):
            estimate = learner.module(noisy, sigma.to(self.device))
        variance = learner.averaged.get_buffer("channel_std").square()[None]
        error = relative_error(estimate, clean, sigma.to(self.device), variance)
        loss = error.mean()
        error = error.detach()
        learner.update(loss, index, scale)
        bands = {"low": (0.05, 0.3), "middle": (0.3, 2.0), "high": (2.0, SIGMA_MAX)}
        figures = {"loss": float(error.mean())}
        for name, (start, end) in bands.items():
            inside = ((sigma >= start) & (sigma < end)).to(self.device)
            # an empty band repeats the batch's mean, so that averages over the log stay defined
            figures[name] = float(error[inside].mean()) if inside.any() else figures["loss"]
        return figures

    @torch.no_grad()
    def picture(self) -> Tensor:
        """Show photos (top row) and their estimates at falling noise levels below."""
        clean = self.transform.analyse(self.fixed.to(self.device))
        noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
        rows = [self.fixed]
        for level in (4.0, 2.0, 1.0, 0.5, 0.25):
            sigma = torch.full((len(clean),), level, device=self.device)
            noisy = add_noise(clean, noise.to(self.device), level)
            estimate = self.learners["denoiser"].averaged(noisy, sigma)
            rows.append(self.transform.synthesise(estimate).cpu())
        return torch.cat([torch.cat(list(row), dim=2) for row in rows], dim=1)
