"""Train the conditions of image tokens once more, through the few steps of decoding to pixels."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from diffc.codecs.perco.control import TokenControl
from diffc.codecs.perco.decoder import DEFAULT_STEPS, LAST_LEVEL, decoding_levels
from diffc.codecs.perco.tokeniser import Condition, TokenNetwork
from diffc.codecs.perco.training_prefixes import random_prefixes
from diffc.codecs.shared.diffusion.denoisers import Denoiser
from diffc.codecs.shared.diffusion.samplers import add_noise, sample_ddim
from diffc.codecs.shared.latents.denoiser import LatentDenoiser
from diffc.codecs.shared.latents.synthesis import Synthesis
from diffc.codecs.shared.latents.training_denoiser import relative_error
from diffc.codecs.shared.networks.blocks import to_device
from diffc.codecs.training.learner import Learner
from diffc.codecs.training.perceptual import PerceptualDistance, compare_drawings
from diffc.codecs.training.photos import Crops

# of denoising: the first of the default steps start below the one and end above the other
SIGMA_MIN, SIGMA_MAX = 0.6, 10.0


@dataclass(frozen=True)
class DistilLosses:
    """Weights of the losses, and how often which number of steps is unrolled.

    Parameters
    ----------
    latent : float
        Of the latent's squared error, as a share of its variance.
    pixel, coarse : float
        Of the mean absolute error, and of that of 8x8 means, which holds colours.
    perceptual, spread : float
        Of the distance of features from the photograph's, and which part of the distance between
        two drawings is taken off: 1 is the energy score, 0 makes all drawings alike.
    denoising : float
        Of denoising at noise above that of the last two steps, which unrolling does not train.
    teacher : float
        Of a single step's distance from what the first weights draw in the default steps.
    one_step : float
        How often one step is unrolled, else the default number.
    prefixes : sequence of float
        How often a picture's tokens end in each grid.
    """

    latent: float = 0.1
    pixel: float = 1.0
    coarse: float = 1.0
    perceptual: float = 1.0
    spread: float = 0.2
    denoising: float = 0.3
    teacher: float = 0.3
    one_step: float = 0.5
    prefixes: tuple[float, ...] = (0.3, 0.25, 0.15, 0.1, 0.1, 0.1)


class DistilStage:
    """Drawing in one step and in several; tokens, denoiser and synthesis keep their weights."""

    def __init__(
        self,
        denoiser: LatentDenoiser,
        synthesis: Synthesis,
        tokens: TokenNetwork,
        control: TokenControl,
        crops: Crops,
        *,
        losses: DistilLosses,
        perceptual_weights: Path,
        batch: int,
        learning_rate: float,
        device: str,
    ) -> None:
        self.denoiser = to_device(denoiser, device).eval().requires_grad_(False)
        self.synthesis = to_device(synthesis, device).eval().requires_grad_(False)
        self.tokens = to_device(tokens, device).eval().requires_grad_(False)
        self.transform = self.synthesis.transform
        self.teacher = to_device(copy.deepcopy(control), device).eval().requires_grad_(False)
        # few updates: a long average would remember the first weights
        learner = Learner(to_device(control, device), learning_rate=learning_rate, average=0.995)
        self.learners = {"control": learner}
        self.distance = to_device(PerceptualDistance(perceptual_weights), device)
        self.crops, self.generator = crops, crops.generator
        self.losses, self.batch, self.device = losses, batch, device
        self.std = denoiser.channel_std.to(device)[None, :, None, None]
        self.fixed = crops.batch(6)

    def step(self, index: int, scale: float) -> dict[str, float]:
        """Draw each photo of a batch twice, from different noise, and update."""
        weights = self.losses
        photo = self.crops.batch(self.batch).to(self.device, memory_format=torch.channels_last)
        clean = self.transform.analyse(photo)
        condition, shares = self._condition(clean)
        chance = float(torch.rand(1, generator=self.generator))
        steps = 1 if chance < weights.one_step else DEFAULT_STEPS
        twice = Condition(
            condition.features.repeat(2, 1, 1, 1),
            condition.mean.repeat(2, 1, 1, 1),
            condition.embedding.repeat(2, 1),
        )
        noise = self._normal(twice.mean)
        control = self.learners["control"].module
        assert isinstance(control, TokenControl)
        made, level = self._draw(control, twice, shares * 2, noise, steps)
        with torch.autocast(self.device, torch.bfloat16):
            pixels, _, _ = self.synthesis(made, level)
        apart = pixels - photo.repeat(2, 1, 1, 1)
        pixel, coarse = apart.abs().mean(), F.avg_pool2d(apart, 8).abs().mean()
        latent = (made - clean.repeat(2, 1, 1, 1)).square().mean() / self.std.square().mean()
        perceptual, spread = compare_drawings(self.distance, pixels, photo, self.generator)
        loss = weights.latent * latent + weights.pixel * pixel + weights.coarse * coarse
        loss = loss + weights.perceptual * (perceptual - 0.5 * weights.spread * spread)
        figures = {"perceptual": perceptual, "spread": spread, "pixel": pixel, "coarse": coarse}
        figures = {f"{name}{steps}": value for name, value in figures.items()}
        if steps == 1 and weights.teacher > 0:
            with torch.no_grad():
                drawn, _ = self._draw(
                    self.teacher, condition, shares, noise[: self.batch], DEFAULT_STEPS
                )
            # so that fine channels, which hold textures, count as well
            weight = 1 / (self.std.square() + LAST_LEVEL**2)
            teacher = ((made[: self.batch] - drawn).square() * weight).mean()
            loss = loss + weights.teacher * teacher
            figures["teacher1"] = teacher
        if steps > 1:
            figures["denoising"] = self._denoising(control, condition, clean)
            loss = loss + weights.denoising * figures["denoising"]
        self.learners["control"].update(loss, index, scale)
        return {name: float(value.detach()) for name, value in figures.items()}

    @torch.no_grad()
    def _condition(self, clean: Tensor) -> tuple[Condition, list[float]]:
        """Return what random prefixes say, and their tokens for each position of the latent."""
        scaled = (clean / self.std).contiguous(memory_format=torch.channels_last)
        with torch.autocast(self.device, torch.bfloat16):
            _, tokens = self.tokens.analyse(scaled)
            present = random_prefixes(tokens, self.losses.prefixes, self.generator)
            condition = self.tokens.synthesise(tokens, present)
        counts = torch.stack([each.sum((1, 2)) for each in present]).sum(0)
        return condition, (counts / present[-1][0].numel()).tolist()

    def _draw(
        self,
        control: TokenControl,
        condition: Condition,
        shares: Sequence[float],
        noise: Tensor,
        steps: int,
    ) -> tuple[Tensor, Tensor]:
        """Return the latents that decoding ends with and the noise levels of their last step.

        Gradients go through the last two steps at most.
        """
        rows = [decoding_levels(share, steps) for share in shares]
        sigmas = list(torch.tensor(rows, device=self.device).T)
        denoiser = self._denoiser(control, condition)
        x = add_noise(condition.mean * self.std, noise, sigmas[0])
        first = max(0, steps - 2)
        with torch.no_grad():
            x = sample_ddim(denoiser, x, sigmas[: first + 1])
        return sample_ddim(denoiser, x, [*sigmas[first:], 0.0]), sigmas[-1]

    def _denoiser(self, control: TokenControl, condition: Condition) -> Denoiser:
        def denoise(x: Tensor, sigma: Tensor) -> Tensor:
            with torch.autocast(self.device, torch.bfloat16):
                added = control(condition.features, condition.embedding, sigma)
                made: Tensor = self.denoiser(x, sigma, control=added)
            return made

        return denoise

    def _denoising(self, control: TokenControl, condition: Condition, clean: Tensor) -> Tensor:
        """Return the error at random noise levels, relative to that of a Wiener filter."""
        uniform = torch.rand(len(clean), generator=self.generator)
        sigma = (SIGMA_MIN * torch.exp(uniform * math.log(SIGMA_MAX / SIGMA_MIN))).to(self.device)
        noisy = add_noise(clean, self._normal(clean), sigma)
        estimate = self._denoiser(control, condition)(noisy, sigma)
        return relative_error(estimate, clean, sigma, self.std.square()[:, :, 0, 0]).mean()

    def _normal(self, like: Tensor) -> Tensor:
        return torch.randn(like.shape, generator=self.generator).to(self.device)

    @torch.no_grad()
    def picture(self) -> Tensor:
        """Show photos, and for three prefixes each one step and the default steps."""
        photo = self.fixed.to(self.device)
        clean = self.transform.analyse(photo)
        noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
        control = self.learners["control"].averaged
        assert isinstance(control, TokenControl)
        with torch.autocast(self.device, torch.bfloat16):
            _, tokens = self.tokens.analyse(clean / self.std)
        rows = [self.fixed]
        for grids in (1, 2, len(tokens.grids)):
            present = [
                torch.full(grid.shape, index < grids, device=self.device)
                for index, grid in enumerate(tokens.grids)
            ]
            with torch.autocast(self.device, torch.bfloat16):
                condition = self.tokens.synthesise(tokens, present)
            count = sum(grid[0].numel() for grid in tokens.grids[:grids])
            shares = [count / tokens.grids[-1][0].numel()] * len(photo)
            for steps in (1, DEFAULT_STEPS):
                made, level = self._draw(control, condition, shares, noise.to(self.device), steps)
                with torch.autocast(self.device, torch.bfloat16):
                    rows.append(self.synthesis(made, level)[0].float().cpu())
        return torch.cat([torch.cat(list(row), dim=2) for row in rows], dim=1)
