"""The stage that trains a model of CompressAI's layers for a rate, and writes its folder.

The loss is the papers' (Ballé et al., arXiv 1802.01436): bits of a pixel, plus the trade-off times the
squared error for values of 0 to 255.  Offered where CompressAI is installed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn

from diffc.codecs.compressai.config import CLASSES, ZooConfig
from diffc.codecs.compressai.convert import write_model
from diffc.codecs.compressai.package import new_network
from diffc.codecs.training.learner import Learner
from diffc.codecs.training.photos import Crops
from diffc.codecs.training.presets import StageSettings
from diffc.codecs.training.run import Run, TrainingStage

NAME, MODEL = "compressai", "compressai-model"
# how many times faster than the network its quantiles are learned, which no bits depend on before
# the tables are made
_QUANTILES_RATE = 10


@dataclass(frozen=True)
class ZooSettings(StageSettings):
    """Of the stage ``compressai``.

    ``architecture`` is a name of ``compressai.zoo.image_models`` of fixed rate, ``channels`` and
    ``latent_channels`` are N and M of the papers, and ``trade_off`` is lambda: 0.0018 for the lowest
    rate of CompressAI's own models, 0.18 for the highest.
    """

    architecture: str
    channels: int
    latent_channels: int
    trade_off: float

    @property
    def config(self) -> ZooConfig:
        """What the network is made by.

        Raises
        ------
        ValueError
            If the architecture is none that this stage trains.
        """
        known = [name for name in CLASSES if not name.endswith("-vbr")]
        if self.architecture not in known:
            raise ValueError(
                f"[{NAME}] of the preset trains {', '.join(known)}, not {self.architecture!r}: write "
                "one of these"
            )
        return ZooConfig(self.architecture, self.channels, self.latent_channels)


class _Quantiles(nn.Module):
    """A copy of the ends of the hyper-latent's distribution, which the tables are as long as."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.values = nn.Parameter(network.entropy_bottleneck.quantiles.detach().clone())


class RateDistortionStage:
    """Bits and squared error, at one trade-off."""

    def __init__(self, crops: Crops, settings: ZooSettings, device: str) -> None:
        network = new_network(settings.config).train().requires_grad_(True).to(device)
        self.network = network
        rate = settings.learning_rate
        self.learners = {
            "network": Learner(network, learning_rate=rate, weight_decay=0),
            "quantiles": Learner(
                _Quantiles(network), learning_rate=_QUANTILES_RATE * rate, weight_decay=0
            ),
        }
        self.crops, self.generator, self.device = crops, crops.generator, device
        self.settings = settings
        self.fixed = crops.batch(8)

    def step(self, index: int, scale: float) -> dict[str, float]:
        """Do one update."""
        photos = self._unit(self.crops.batch(self.settings.batch))
        # the noise that stands for rounding is torch's own; resumed runs go on alike
        with torch.random.fork_rng(devices=[] if self.device == "cpu" else None):
            torch.manual_seed(int(torch.randint(1 << 62, (1,), generator=self.generator)))
            made = self.network(photos)
        bits = sum(-each.log2().sum() for each in made["likelihoods"].values())
        bpp = bits / (photos.shape[0] * photos.shape[2] * photos.shape[3])
        error = (made["x_hat"] - photos).square().mean()
        loss = bpp + self.settings.trade_off * 255**2 * error
        self.learners["network"].update(loss, index, scale)
        self._learn_quantiles(index, scale)
        lost = max(float(error.detach()), 1e-10)
        return {"bpp": float(bpp.detach()), "psnr": -10 * math.log10(lost)}

    def _learn_quantiles(self, index: int, scale: float) -> None:
        """Take a step of their own, for the loss above does not depend on them."""
        learner, held = self.learners["quantiles"], self.network.entropy_bottleneck.quantiles
        (learner.module.values.grad,) = torch.autograd.grad(self.network.aux_loss(), held)
        learner.advance(index, scale)
        with torch.no_grad():
            held.copy_(learner.module.values)

    def _unit(self, crops: Tensor) -> Tensor:
        return crops.to(self.device).add(1).div(2)

    @torch.no_grad()
    def picture(self) -> Tensor:
        """Show photos, and what the averaged network makes of them."""
        photos = self._unit(self.fixed)
        network = self.learners["network"].averaged.eval()
        made = network(photos)["x_hat"].clamp(0, 1)
        rows = [torch.cat(list(each), dim=2) for each in (photos, made)]
        return torch.cat(rows, dim=1).mul(2).sub(1).cpu()


def _train(run: Run) -> bool:
    settings = run.preset.settings(NAME, ZooSettings)
    run.seed_weights()
    stage = RateDistortionStage(run.crops(settings.crop, 8), settings, run.device)
    return run.train(stage, NAME, settings)


def _export(run: Run) -> bool:
    settings = run.preset.settings(NAME, ZooSettings)
    weights = {name: each.cpu() for name, each in run.averaged(NAME, "network").items()}
    write_model(weights, {"architecture": settings.architecture}, run.export_folder(MODEL))
    return True


STAGES: tuple[TrainingStage, ...] = (
    TrainingStage(NAME, _train, {NAME: ZooSettings}),
    TrainingStage(f"export-{NAME}", _export, {NAME: ZooSettings}, needs=(NAME,), writes=MODEL),
)
if find_spec("compressai") is None:
    STAGES = ()
