"""Train the restoring network: combined noise first, then through the unrolled decoding steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from diffc.codecs.relay.diffusion import forward
from diffc.codecs.relay.network import RestoringConfig, RestoringNetwork
from diffc.codecs.relay.training_bases import PairCrops
from diffc.codecs.shared.diffusion.samplers import add_noise, sample_ddim
from diffc.codecs.shared.diffusion.schedules import linear_sigmas
from diffc.codecs.shared.networks.blocks import to_device
from diffc.codecs.training.discriminators import (
    FeatureDiscriminator,
    PatchDiscriminator,
    discriminator_loss,
    generator_loss,
)
from diffc.codecs.training.learner import Learner
from diffc.codecs.training.perceptual import PerceptualDistance, apply_view, random_view

# depths of the features that PerceptualDistance compares at which they are judged
JUDGED = (1, 2, 3)


@dataclass(frozen=True)
class RelayLosses:
    """Weights of the losses, and the updates from which on they apply.

    Before ``unrolled_from`` the network learns the combined noise at the start; after it, the
    unrolled steps count: ``pixel`` (L1), ``coarse`` (L1 of 1/8-size means, which holds colours),
    ``perceptual``, and from ``adversarial_from`` on both discriminators, whose weight rises over
    ``ramp`` updates.  ``blur`` is the noise added to both pictures before they are compared.
    ``one_step`` is how often there is one unrolled step, else there are two, which take twice the
    time.
    """

    pixel: float = 1.0
    coarse: float = 1.0
    perceptual: float = 0.5
    adversarial: float = 0.05
    unrolled_from: int = 800
    adversarial_from: int = 1200
    ramp: int = 300
    blur: float = 0.03
    one_step: float = 0.5


class RelayStage:
    """Photographs from base pictures of AV1, at all rates at once."""

    def __init__(
        self,
        crops: PairCrops,
        *,
        config: RestoringConfig,
        losses: RelayLosses,
        perceptual_weights: Path,
        batch: int,
        learning_rate: float,
        device: str,
        start: Mapping[str, Tensor] | None = None,
    ) -> None:
        network = RestoringNetwork(config)
        if start is not None:
            network.load_state_dict(start)
        to_device(network, device)
        self.distance = to_device(PerceptualDistance(perceptual_weights), device)
        judged = [self.distance.channels()[depth] for depth in JUDGED]
        betas = (0.5, 0.9)
        self.learners = {
            "restoring": Learner(network, learning_rate=learning_rate),
            "pixels": Learner(
                to_device(PatchDiscriminator(), device), learning_rate=learning_rate, betas=betas
            ),
            "features": Learner(
                to_device(FeatureDiscriminator(judged), device),
                learning_rate=learning_rate,
                betas=betas,
            ),
        }
        self.crops, self.generator = crops, crops.generator
        self.losses, self.batch, self.device = losses, batch, device
        self.fixed = crops.batch(6)

    def step(self, index: int, scale: float) -> dict[str, float]:
        """Do one update."""
        photo, base, level, smaller = (x.to(self.device) for x in self.crops.batch(self.batch))
        if index < self.losses.unrolled_from:
            return self._denoise(photo, base, level, smaller, index, scale)
        chance = float(torch.rand(1, generator=self.generator))
        steps = 1 if chance < self.losses.one_step else 2
        noise = self._normal(photo)
        network = self.learners["restoring"].module
        with torch.autocast(self.device, torch.bfloat16):
            restored = sample_ddim(
                lambda x, sigma: network(x, sigma, base, level, smaller),
                add_noise(base, noise, level),
                [*linear_sigmas(level, steps), 0.0],
            )
        # gradients of the losses meet at the restored pixels
        pixels = restored.detach().requires_grad_()
        loss, figures = self._losses(pixels, photo, base, index, scale)
        (slope,) = torch.autograd.grad(loss, pixels)
        self.learners["restoring"].update((restored * slope).sum(), index, scale)
        return figures

    def _denoise(
        self, photo: Tensor, base: Tensor, level: Tensor, smaller: Tensor, index: int, scale: float
    ) -> dict[str, float]:
        """Predict the clean picture, which is the combined noise by another name.

        At the start ratio: states at smaller ones hold some of the photo, those of decoding do not.
        """
        ratio = level
        state = forward(photo, base, self._normal(photo), ratio, level)
        network = self.learners["restoring"].module
        with torch.autocast(self.device, torch.bfloat16):
            restored = network(state, ratio, base, level, smaller)
        error = (restored - photo) / level[:, None, None, None]
        loss = error.square().mean()
        self.learners["restoring"].update(loss, index, scale)
        return {"combined": float(loss.detach())}

    def _losses(
        self, pixels: Tensor, photo: Tensor, base: Tensor, index: int, scale: float
    ) -> tuple[Tensor, dict[str, float]]:
        weights = self.losses
        pixel = (pixels - photo).abs().mean()
        coarse = F.avg_pool2d(pixels - photo, 8).abs().mean()
        view = random_view(photo, self.generator)
        # a little noise on both hides the faint patterns that a small network learns to exploit
        blur = weights.blur * self._normal(photo)
        with torch.autocast(self.device, torch.bfloat16):
            ours = self.distance.features(apply_view(pixels + blur, view))
            with torch.no_grad():
                theirs = self.distance.features(apply_view(photo + blur, view))
        perceptual = self.distance.between(ours, theirs).mean()
        loss = weights.pixel * pixel + weights.coarse * coarse + weights.perceptual * perceptual
        figures = {
            "pixel": float(pixel.detach()),
            "coarse": float(coarse.detach()),
            "perceptual": float(perceptual.detach()),
        }
        if index < weights.adversarial_from or weights.adversarial <= 0:
            return loss, figures
        judged = [ours[depth] for depth in JUDGED]
        truth = [theirs[depth] for depth in JUDGED]
        # shifted, or the judge's strides would hide a grid of the same period
        photo, pixels, base = (x[:, :, view[0], view[1]] for x in (photo, pixels, base))
        by_pixels, by_features = self.learners["pixels"].module, self.learners["features"].module
        with torch.autocast(self.device, torch.bfloat16):
            for judge in (by_pixels, by_features):
                judge.requires_grad_(False)
            fooled = generator_loss(by_pixels(pixels, base))
            convinced = generator_loss(by_features(judged))
            for judge in (by_pixels, by_features):
                judge.requires_grad_(True)
            scores = by_pixels(torch.cat([photo, pixels.detach()]), torch.cat([base, base]))
            both = [torch.cat([a, b.detach()]) for a, b in zip(truth, judged, strict=True)]
            feature_scores = by_features(both)
        pixel_judge = discriminator_loss(*scores.chunk(2))
        feature_judge = discriminator_loss(*feature_scores.chunk(2))
        self.learners["pixels"].update(pixel_judge, index, scale)
        self.learners["features"].update(feature_judge, index, scale)
        # judges that have learned nothing yet would lead astray
        trust = min(1.0, (index - weights.adversarial_from + 1) / weights.ramp)
        loss = loss + trust * weights.adversarial * (fooled + convinced)
        figures |= {
            "fooled": float(fooled.detach()),
            "convinced": float(convinced.detach()),
            "pixel_judge": float(pixel_judge.detach()),
            "feature_judge": float(feature_judge.detach()),
        }
        return loss, figures

    def _normal(self, like: Tensor) -> Tensor:
        return torch.randn(like.shape, generator=self.generator).to(self.device)

    @torch.no_grad()
    def picture(self) -> Tensor:
        """Show photos, their bases, and what one and two steps make of them."""
        photo, base, level, smaller = (x.to(self.device) for x in self.fixed)
        rows = [photo.cpu(), base.cpu()]
        state = self.generator.get_state()
        network = self.learners["restoring"].averaged
        for steps in (1, 2):
            made = sample_ddim(
                lambda x, sigma: network(x, sigma, base, level, smaller),
                add_noise(base, self._normal(photo), level),
                [*linear_sigmas(level, steps), 0.0],
            )
            rows.append(made.cpu())
        self.generator.set_state(state)
        return torch.cat([torch.cat(list(row), dim=2) for row in rows], dim=1)
