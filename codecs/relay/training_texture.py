"""Train the restoring network's deviations, on what its pictures lack; the rest stays as it is."""

from __future__ import annotations

import torch
from torch import Tensor

from diffc.codecs.relay.network import RestoringNetwork
from diffc.codecs.relay.texture import bands, likelihood_loss, luma, texture
from diffc.codecs.relay.training_bases import PairCrops
from diffc.codecs.shared.diffusion.samplers import add_noise, sample_ddim
from diffc.codecs.shared.diffusion.schedules import linear_sigmas
from diffc.codecs.shared.networks.blocks import to_device
from diffc.codecs.training.learner import Learner


class TextureStage:
    """Standard deviations of missing detail, by maximum likelihood."""

    def __init__(
        self,
        crops: PairCrops,
        network: RestoringNetwork,
        *,
        batch: int,
        learning_rate: float,
        device: str,
    ) -> None:
        to_device(network, device).requires_grad_(False)
        for part in (network.texture, network.deviation):
            part.requires_grad_(True)
        self.learners = {"restoring": Learner(network, learning_rate=learning_rate)}
        self.crops, self.generator = crops, crops.generator
        self.batch, self.device = batch, device
        self.fixed = crops.batch(6)

    def step(self, index: int, scale: float) -> dict[str, float]:
        """Do one update."""
        photo, base, level, smaller = (x.to(self.device) for x in self.crops.batch(self.batch))
        network = self.learners["restoring"].module
        steps = 1 + int(torch.randint(2, (1,), generator=self.generator))
        with torch.autocast(self.device, torch.bfloat16):
            picture, deviation = self._estimate(network, base, level, smaller, steps)
        unit = level[:, None, None, None]
        loss = likelihood_loss((photo - picture) / unit, deviation / unit)
        self.learners["restoring"].update(loss, index, scale)
        with torch.no_grad():
            found = bands(luma(photo - picture)).square().mean((2, 3)).sqrt()
            ratio = (deviation.square().mean((2, 3)).sqrt() / found).mean()
        return {"likelihood": float(loss.detach()), "strength": float(ratio)}

    def _estimate(
        self, network: torch.nn.Module, base: Tensor, level: Tensor, smaller: Tensor, steps: int
    ) -> tuple[Tensor, Tensor]:
        """Go through the steps, and keep the last one's deviations."""
        assert isinstance(network, RestoringNetwork)
        last: list[Tensor] = []

        def denoise(x: Tensor, sigma: Tensor) -> Tensor:
            with torch.no_grad():
                features, embedding = network.features(x, sigma, base, level, smaller)
                picture = network.picture(features, base, level)
            last[:] = [network.missing(features, embedding.detach(), level)]
            return picture

        noise = torch.randn(base.shape, generator=self.generator).to(self.device)
        start = add_noise(base, noise, level)
        return sample_ddim(denoise, start, [*linear_sigmas(level, steps), 0.0]), last[0]

    @torch.no_grad()
    def picture(self) -> Tensor:
        """Show photos, their bases, what is restored, and that with half of the texture."""
        photo, base, level, smaller = (x.to(self.device) for x in self.fixed)
        state = self.generator.get_state()
        network = self.learners["restoring"].averaged
        picture, deviation = self._estimate(network, base, level, smaller, 2)
        noise = torch.randn(photo[:, :1].shape, generator=self.generator).to(self.device)
        textured = picture + 0.5 * texture(noise, deviation)
        self.generator.set_state(state)
        rows = [photo.cpu(), base.cpu(), picture.cpu(), textured.cpu()]
        return torch.cat([torch.cat(list(row), dim=2) for row in rows], dim=1)
