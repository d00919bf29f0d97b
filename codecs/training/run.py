"""A training run: its folder, photos and preset, and the stages that codecs offer for it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from diffc.codecs.training.learner import averaged_weights
from diffc.codecs.training.loop import CHECKPOINT, LoopSettings, Trainee, train
from diffc.codecs.training.photos import Crops, photos
from diffc.codecs.training.presets import Preset, StageSettings


@dataclass
class Run:
    """One training run.

    Parameters
    ----------
    folder : Path
        Holds the photos' shards and a folder for each stage.
    shards : list of Path
        What `diffc.codecs.training.photos.pack` wrote.
    preset : Preset
        Sizes and lengths.
    device : str
        ``cpu`` or ``cuda``.
    deadline : float
        `time.monotonic` at which to stop and write a checkpoint.
    perceptual_weights : Path, optional
        Of the network that pictures are compared with.
    paths : mapping
        By the names that stages gave, folders to write models to or to begin with.
    """

    folder: Path
    shards: list[Path]
    preset: Preset
    device: str
    deadline: float
    perceptual_weights: Path | None = None
    paths: Mapping[str, Path] = field(default_factory=dict)

    @cached_property
    def pictures(self) -> list[Tensor]:
        """All photos, decoded, at full and half size."""
        return list(photos(self.shards))

    def generator(self, stage: int, part: int = 0) -> torch.Generator:
        """Return a generator with a seed of its own for each stage, and for each part of one."""
        return torch.Generator().manual_seed(10**6 * part + 1000 * stage + self.preset.seed)

    def crops(self, size: int, stage: int, part: int = 0) -> Crops:
        """Return a source of crops, with the `generator` of the stage and part."""
        return Crops(self.pictures, size, self.generator(stage, part))

    def seed_weights(self) -> None:
        """Make what is initialised next the same in every run."""
        torch.manual_seed(self.preset.seed)

    def train(self, trainee: Trainee, name: str, settings: StageSettings) -> bool:
        """Go on with a stage in its folder; return whether it is done."""
        left = self.deadline - time.monotonic()
        loop = LoopSettings(
            steps=settings.steps, warmup=min(200, settings.steps // 10), time_limit=left
        )
        return train(trainee, self.folder / name, loop)

    def averaged(self, stage: str, learner: str, part: str = "") -> dict[str, Tensor]:
        """Return a learner's averaged weights, or those of a part, at a stage's last checkpoint."""
        return averaged_weights(load_file(self.folder / stage / CHECKPOINT), learner, part)

    def perceptual(self) -> Path:
        """Return the file of perceptual weights.

        Raises
        ------
        ValueError
            If there is none; stages say beforehand that they need it.
        """
        if self.perceptual_weights is None:
            raise ValueError("this stage needs --perceptual-weights: name the file")
        return self.perceptual_weights

    def export_folder(self, name: str) -> Path:
        """Return where a model is written: the path of that name, else in the run's folder."""
        return self.paths.get(name, self.folder / name)


@dataclass(frozen=True)
class TrainingStage:
    """A stage that a codec's module ``training`` offers in its tuple ``STAGES``.

    Parameters
    ----------
    name : str
        Also of its folder in the run's.
    run : callable
        Train or write a model; return whether it is done.
    tables : mapping
        Names of the preset's tables that it reads, and the dataclasses of their settings.
    needs : tuple of str
        Stages that come before it.
    perceptual : bool
        Whether it needs perceptual weights.
    writes : str
        Name of the model folder that it writes, if it does; also of the option that says where.
    begins_with : str
        Name of the option for a model folder whose weights it begins with, if it can.
    """

    name: str
    run: Callable[[Run], bool]
    tables: Mapping[str, type] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    perceptual: bool = False
    writes: str = ""
    begins_with: str = ""


def in_order(stages: Mapping[str, TrainingStage]) -> list[TrainingStage]:
    """Return stages so that each comes after those that it needs, else as they are given.

    Raises
    ------
    ValueError
        If one needs a stage that there is none of, or two need each other.
    """
    left, ordered = dict(stages), dict[str, TrainingStage]()
    while left:
        ready = next(
            (each for each in left.values() if all(n in ordered for n in each.needs)), None
        )
        if ready is None:
            missing = {name: each.needs for name, each in left.items()}
            raise ValueError(f"stages wait for others that never come: {missing}")
        ordered[ready.name] = left.pop(ready.name)
    return list(ordered.values())
