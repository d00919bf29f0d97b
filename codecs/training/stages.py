"""The stages of a run, each resumable in its own folder."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional as F

from diffc.codecs.perco.control import TokenControl
from diffc.codecs.perco.tokeniser import TokenNetwork
from diffc.codecs.perco.training import TokenStage
from diffc.codecs.perco.training_distil import DistilStage
from diffc.codecs.perco.training_index import IndexStage
from diffc.codecs.perco.training_index_network import IndexConfig, IndexNetwork
from diffc.codecs.relay.model import restoring_weights
from diffc.codecs.relay.network import RestoringNetwork
from diffc.codecs.relay.training import RelayStage
from diffc.codecs.relay.training_bases import BASES, Pair, PairCrops, encode_bases, pairs
from diffc.codecs.relay.training_texture import TextureStage
from diffc.codecs.shared.latents.denoiser import LatentDenoiser
from diffc.codecs.shared.latents.patch_transform import PATCH, PatchTransform, principal_components
from diffc.codecs.shared.latents.synthesis import Synthesis
from diffc.codecs.training.denoiser_stage import DenoiserStage
from diffc.codecs.training.learner import averaged_weights
from diffc.codecs.training.loop import CHECKPOINT, LoopSettings, run
from diffc.codecs.training.presets import Preset, StageSettings
from diffc.codecs.training.shards import Crops, photos
from diffc.codecs.training.synthesis_stage import SynthesisStage


@dataclass
class Run:
    """One training run.

    Parameters
    ----------
    folder : Path
        Holds ``basis.safetensors`` and a folder for each stage.
    shards : list of Path
        What `diffc.codecs.training.shards.pack` wrote.
    preset : Preset
        Sizes and lengths.
    device : str
        ``cpu`` or ``cuda``.
    deadline : float
        `time.monotonic` at which to stop and write a checkpoint.
    """

    folder: Path
    shards: list[Path]
    preset: Preset
    device: str
    deadline: float

    @cached_property
    def pictures(self) -> list[Tensor]:
        """All photos, decoded, at full and half size."""
        return list(photos(self.shards))

    def crops(self, size: int, stage: int) -> Crops:
        """Return a source of crops with a seed of its own for each stage."""
        generator = torch.Generator().manual_seed(1000 * stage + self.preset.seed)
        return Crops(self.pictures, size, generator)

    def basis(self) -> tuple[PatchTransform, Tensor]:
        """Find the principal components once, and load them after that."""
        path = self.folder / "basis.safetensors"
        if not path.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            crops = self.crops(self.preset.basis_crop, 0)
            batches = [crops.batch(16) for _ in range(self.preset.basis_crops // 16)]
            patches = torch.cat([F.unfold(batch, PATCH, stride=PATCH) for batch in batches])
            rows = patches.permute(0, 2, 1).reshape(-1, 3 * PATCH**2)
            basis, std = principal_components(rows, self.preset.basis_channels)
            save_file({"basis": basis, "std": std}, path)
        found = load_file(path)
        transform = PatchTransform(self.preset.basis_channels)
        transform.get_buffer("basis").copy_(found["basis"])
        return transform, found["std"]

    def train_denoiser(self) -> bool:
        """Go on with the denoiser; return whether it is done."""
        transform, std = self.basis()
        settings = self.preset.denoiser
        torch.manual_seed(self.preset.seed)
        stage = DenoiserStage(
            transform,
            std,
            self.crops(settings.crop, 1),
            config=self.preset.denoiser_network,
            batch=settings.batch,
            learning_rate=settings.learning_rate,
            device=self.device,
        )
        return run(stage, self.folder / "denoiser", self._loop(settings))

    def train_synthesis(self, perceptual_weights: Path) -> bool:
        """Go on with the synthesis network; return whether it is done."""
        transform, _ = self.basis()
        settings = self.preset.synthesis
        torch.manual_seed(self.preset.seed)
        stage = SynthesisStage(
            transform,
            self.denoiser(),
            self.crops(settings.crop, 2),
            config=self.preset.synthesis_network,
            losses=self.preset.losses,
            perceptual_weights=perceptual_weights,
            batch=settings.batch,
            learning_rate=settings.learning_rate,
            device=self.device,
        )
        return run(stage, self.folder / "synthesis", self._loop(settings))

    def train_relay(self, perceptual_weights: Path, start: Path | None = None) -> bool:
        """Go on with the restoring network; return whether it is done.

        A new run begins with the weights of the model folder ``start``, else with random ones.
        """
        settings = self.preset.relay
        generator = torch.Generator().manual_seed(3000 + self.preset.seed)
        torch.manual_seed(self.preset.seed)
        stage = RelayStage(
            PairCrops(self._pairs(), settings.crop, generator),
            config=self.preset.relay_network,
            losses=self.preset.relay_losses,
            perceptual_weights=perceptual_weights,
            batch=settings.batch,
            learning_rate=settings.learning_rate,
            device=self.device,
            start=None if start is None else restoring_weights(start),
        )
        return run(stage, self.folder / "relay", self._loop(settings))

    def _pairs(self) -> list[Pair]:
        path, full_size = self.folder / BASES, (1.0,)
        if not path.exists():
            encode_bases(
                photos(self.shards, scales=full_size),
                path,
                variants=self.preset.base_variants,
                seed=self.preset.seed,
            )
        return pairs(photos(self.shards, scales=full_size), path)

    def train_texture(self) -> bool:
        """Go on with the restoring network's deviations; return whether it is done."""
        settings = self.preset.texture
        generator = torch.Generator().manual_seed(4000 + self.preset.seed)
        torch.manual_seed(self.preset.seed)
        stage = TextureStage(
            PairCrops(self._pairs(), settings.crop, generator),
            self.restoring("relay"),
            batch=settings.batch,
            learning_rate=settings.learning_rate,
            device=self.device,
        )
        return run(stage, self.folder / "texture", self._loop(settings))

    def train_tokens(self) -> bool:
        """Go on with the image tokens; return whether it is done."""
        transform, _ = self.basis()
        settings = self.preset.tokens
        torch.manual_seed(self.preset.seed)
        stage = TokenStage(
            transform,
            self.denoiser(),
            self.synthesis(),
            self.crops(settings.crop, 5),
            config=self.preset.token_network,
            control=self.preset.token_control,
            losses=self.preset.token_losses,
            batch=settings.batch,
            learning_rate=settings.learning_rate,
            device=self.device,
        )
        return run(stage, self.folder / "tokens", self._loop(settings))

    def train_distil(self, perceptual_weights: Path) -> bool:
        """Go on with decoding in few steps; return whether it is done."""
        settings = self.preset.distil
        torch.manual_seed(self.preset.seed)
        stage = DistilStage(
            self.denoiser(),
            self.synthesis(),
            *self.tokens(),
            self.crops(settings.crop, 7),
            losses=self.preset.distil_losses,
            perceptual_weights=perceptual_weights,
            batch=settings.batch,
            learning_rate=settings.learning_rate,
            device=self.device,
        )
        return run(stage, self.folder / "distil", self._loop(settings))

    def train_index(self) -> bool:
        """Go on with the index model; return whether it is done."""
        transform, std = self.basis()
        settings = self.preset.index
        torch.manual_seed(self.preset.seed)
        stage = IndexStage(
            transform,
            std,
            self.tokens()[0],
            self.crops(settings.crop, 6),
            config=IndexConfig(),
            batch=settings.batch,
            learning_rate=settings.learning_rate,
            device=self.device,
        )
        return run(stage, self.folder / "index", self._loop(settings))

    def index(self) -> IndexNetwork:
        """Load the averaged index model of the latest checkpoint."""
        network = IndexNetwork(list(self.tokens()[0].codebooks), IndexConfig())
        network.load_state_dict(
            averaged_weights(load_file(self.folder / "index" / CHECKPOINT), "index")
        )
        return network

    def tokens(self) -> tuple[TokenNetwork, TokenControl]:
        """Load the averaged token networks of the latest checkpoint."""
        network = TokenNetwork(self.preset.token_network)
        control = TokenControl(
            self.preset.token_control, self.preset.token_network, self.preset.denoiser_network
        )
        checkpoint = load_file(self.folder / "tokens" / CHECKPOINT)
        network.load_state_dict(averaged_weights(checkpoint, "tokens", "tokens."))
        control.load_state_dict(averaged_weights(checkpoint, "tokens", "control."))
        return network, control

    def control(self) -> TokenControl:
        """Load the averaged conditions of the latest checkpoint of the distil stage."""
        _, control = self.tokens()
        checkpoint = load_file(self.folder / "distil" / CHECKPOINT)
        control.load_state_dict(averaged_weights(checkpoint, "control"))
        return control

    def restoring(self, stage: str) -> RestoringNetwork:
        """Load the averaged restoring network of the latest checkpoint of a stage."""
        network = RestoringNetwork(self.preset.relay_network)
        path = self.folder / stage / CHECKPOINT
        network.load_state_dict(averaged_weights(load_file(path), "restoring"))
        return network

    def denoiser(self) -> LatentDenoiser:
        """Load the averaged denoiser of the latest checkpoint."""
        network = LatentDenoiser(self.preset.denoiser_network)
        path = self.folder / "denoiser" / CHECKPOINT
        network.load_state_dict(averaged_weights(load_file(path), "denoiser"))
        return network

    def synthesis(self) -> Synthesis:
        """Load the averaged synthesis network of the latest checkpoint."""
        network = Synthesis(self.preset.synthesis_network)
        path = self.folder / "synthesis" / CHECKPOINT
        network.load_state_dict(averaged_weights(load_file(path), "synthesis"))
        return network

    def _loop(self, settings: StageSettings) -> LoopSettings:
        left = self.deadline - time.monotonic()
        return LoopSettings(
            steps=settings.steps, warmup=min(200, settings.steps // 10), time_limit=left
        )
