"""Train image tokens together with the conditions of a denoiser that keeps its weights."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from diffc.codecs.perco.control import ControlConfig, TokenControl
from diffc.codecs.perco.tokeniser import TokenConfig, TokenNetwork, Tokens, Vectors
from diffc.codecs.perco.training_codebooks import CodebookAverage
from diffc.codecs.perco.training_prefixes import random_prefixes
from diffc.codecs.shared.diffusion.samplers import add_noise, sample_ddim
from diffc.codecs.shared.diffusion.schedules import edm_sigmas
from diffc.codecs.shared.latents.denoiser import LatentDenoiser
from diffc.codecs.shared.latents.patch_transform import PatchTransform
from diffc.codecs.shared.latents.synthesis import Synthesis
from diffc.codecs.shared.latents.training_denoiser import relative_error
from diffc.codecs.shared.networks.blocks import to_device
from diffc.codecs.shared.tokens.vector_quantiser import words
from diffc.codecs.training.learner import Learner
from diffc.codecs.training.photos import Crops

SIGMA_MIN, SIGMA_MAX = 0.15, 40.0


@dataclass(frozen=True)
class TokenLosses:
    """Weights of the losses.

    Parameters
    ----------
    mean : float
        Of the mean's error, with channels weighed as at noise ``mean_level``.
    commitment : float
        Of what quantisation takes away.
    prefixes : sequence of float
        How often a batch's item ends in each grid of tokens.
    """

    mean: float = 0.5
    mean_level: float = 1.5
    commitment: float = 0.1
    prefixes: tuple[float, ...] = (0.3, 0.25, 0.15, 0.1, 0.1, 0.1)


class TokenModules(nn.Module):
    """All that this stage trains or keeps: networks, and the codebooks' running averages."""

    def __init__(self, tokens: TokenNetwork, control: TokenControl) -> None:
        super().__init__()
        self.tokens, self.control = tokens, control
        books = [*tokens.global_codebooks, *tokens.codebooks]
        self.averages = nn.ModuleList(CodebookAverage(book) for book in books)


class TokenStage:
    """Tokens and control, for denoising at random noise levels with random prefixes of the tokens."""

    def __init__(
        self,
        transform: PatchTransform,
        denoiser: LatentDenoiser,
        synthesis: Synthesis,
        crops: Crops,
        *,
        config: TokenConfig,
        control: ControlConfig,
        losses: TokenLosses,
        batch: int,
        learning_rate: float,
        device: str,
    ) -> None:
        self.transform = transform.to(device)
        self.denoiser = to_device(denoiser, device).eval().requires_grad_(False)
        self.synthesis = to_device(synthesis, device).eval().requires_grad_(False)
        tokens = TokenNetwork(config)
        modules = TokenModules(tokens, TokenControl(control, config, denoiser.config))
        learner = Learner(to_device(modules, device), learning_rate=learning_rate)
        self.learners = {"tokens": learner}
        self.crops, self.generator = crops, crops.generator
        self.losses, self.batch, self.device = losses, batch, device
        self.std = denoiser.channel_std.to(device)
        self.fixed = crops.batch(6)

    def step(self, index: int, scale: float) -> dict[str, float]:
        """Update on one batch of crops."""
        modules = self._modules(self.learners["tokens"].module)
        clean = self.transform.analyse(self.crops.batch(self.batch).to(self.device))
        sigma = self._sigma()
        noise = torch.randn(clean.shape, generator=self.generator).to(self.device)
        noisy = add_noise(clean, noise, sigma)
        scaled = clean / self.std[None, :, None, None]
        with torch.autocast(self.device, torch.bfloat16):
            vectors, tokens = modules.tokens.analyse(scaled)
            present = random_prefixes(tokens, self.losses.prefixes, self.generator)
            condition = modules.tokens.synthesise(tokens, present, vectors)
            control = modules.control(condition.features, condition.embedding, sigma)
            estimate = self.denoiser(noisy, sigma, control=control)
        variance = self.std.square()[None]
        denoising = relative_error(estimate, clean, sigma, variance).mean()
        level = torch.full_like(sigma, self.losses.mean_level)
        # as a share of what the mean leaves open without tokens: channels count by their rate
        error = (condition.mean - scaled).square().mean((2, 3)) * variance
        weight = 1 / (variance + level.square()[:, None])
        mean = ((error * weight).sum(1) / (variance * weight).sum(1)).mean()
        commitment = self._commitment(modules.tokens, vectors, tokens)
        loss = denoising + self.losses.mean * mean + self.losses.commitment * commitment
        self.learners["tokens"].update(loss, index, scale)
        figures = {
            "denoising": float(denoising.detach()),
            "mean": float(mean.detach()),
            "commitment": float(commitment.detach()),
        }
        return figures | self._follow(modules, vectors, tokens, index)

    def _sigma(self) -> Tensor:
        uniform = torch.rand(self.batch, generator=self.generator)
        return (SIGMA_MIN * torch.exp(uniform * math.log(SIGMA_MAX / SIGMA_MIN))).to(self.device)

    def _commitment(self, network: TokenNetwork, vectors: Vectors, tokens: Tokens) -> Tensor:
        found = [words(tokens.grids[i], network.codebooks[i]) for i in range(len(tokens.grids))]
        fine = torch.stack(found[2:]).sum(0)
        pairs = ((vectors.coarse, found[0]), (vectors.middle, found[1]), (vectors.fine, fine))
        loss = torch.stack([(v - w.detach()).square().mean() for v, w in pairs]).sum()
        books = enumerate(network.global_codebooks)
        global_words = torch.stack([book[tokens.of_picture[:, i]] for i, book in books], dim=1)
        return loss + (vectors.of_picture - global_words.detach()).square().mean()

    @torch.no_grad()
    def _follow(
        self, modules: TokenModules, vectors: Vectors, tokens: Tokens, step: int
    ) -> dict[str, float]:
        """Move the codebooks; return the perplexity of each grid's."""
        network = modules.tokens
        averages = [module for module in modules.averages if isinstance(module, CodebookAverage)]
        for i, book in enumerate(network.global_codebooks):
            found, chosen = vectors.of_picture[:, i], tokens.of_picture[:, i]
            averages[i].update(book, found, chosen, step, self.generator)
        figures = {}
        rest = vectors.fine.detach()
        offset = len(network.global_codebooks)
        for i, book in enumerate(network.codebooks):
            source = (vectors.coarse, vectors.middle)[i] if i < 2 else rest
            word = words(tokens.grids[i], book)
            flat = source.detach().permute(0, 2, 3, 1).flatten(0, 2)
            figures[f"used{i}"] = averages[offset + i].update(
                book, flat, tokens.grids[i].flatten(), step, self.generator
            )
            if i >= 2:
                rest = rest - word
        return figures

    def _modules(self, module: nn.Module) -> TokenModules:
        assert isinstance(module, TokenModules)
        return module

    @torch.no_grad()
    def picture(self) -> Tensor:
        """Show photos, then for the first, the first two, and all grids: the mean, and a sample."""
        modules = self._modules(self.learners["tokens"].averaged)
        clean = self.transform.analyse(self.fixed.to(self.device))
        start = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
        rows = [self.fixed]
        std = self.std[None, :, None, None]
        for grids in (1, 2, 3, 6):
            with torch.autocast(self.device, torch.bfloat16):
                _, tokens = modules.tokens.analyse(clean / std)
                present = [
                    torch.full(grid.shape, i < grids, device=self.device)
                    for i, grid in enumerate(tokens.grids)
                ]
                condition = modules.tokens.synthesise(tokens, present)

                def denoise(x: Tensor, sigma: Tensor) -> Tensor:
                    control = modules.control(condition.features, condition.embedding, sigma)  # noqa: B023
                    made: Tensor = self.denoiser(x, sigma, control=control)
                    return made

                sigmas = edm_sigmas(SIGMA_MAX, SIGMA_MIN, 12)
                made = sample_ddim(denoise, sigmas[0] * start.to(self.device), [*sigmas, 0.0])
                level = torch.full((len(made),), sigmas[-1], device=self.device)
                rows.append(self.transform.synthesise(condition.mean * std).cpu())
                rows.append(self.synthesis(made, level)[0].float().cpu())
        return torch.cat([torch.cat(list(row), dim=2) for row in rows], dim=1)
