"""The training loop of every stage: resumable, seeded, logged, and stopped before a time limit."""

from __future__ import annotations

import json
import math
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from diffc.codecs.training.learner import Learner

CHECKPOINT = "checkpoint.safetensors"


class Trainee(Protocol):
    """What the loop trains."""

    learners: dict[str, Learner]
    generator: torch.Generator

    def step(self, index: int, scale: float) -> dict[str, float]:
        """Do one update at the learning rate's ``scale``; return figures for the log."""

    def picture(self) -> Tensor:
        """Return a picture to look at, float32 (3, H, W) in [-1, 1]."""


@dataclass(frozen=True)
class LoopSettings:
    """How long to train, and how often to write things down."""

    steps: int
    warmup: int = 200
    decay_from: float = 0.6
    log_every: int = 50
    checkpoint_minutes: float = 5.0
    picture_every: int = 1000
    time_limit: float = math.inf


def learning_rate_scale(step: int, settings: LoopSettings) -> float:
    """Linear warm-up, then constant, then a cosine to zero from ``decay_from`` of the steps on."""
    if step < settings.warmup:
        return (step + 1) / settings.warmup
    start = settings.decay_from * settings.steps
    if step < start:
        return 1.0
    return 0.5 + 0.5 * math.cos(math.pi * (step - start) / max(1.0, settings.steps - start))


def train(trainee: Trainee, folder: Path, settings: LoopSettings) -> bool:
    """Train until the last step or the time limit; return whether the last step was reached."""
    folder.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    first = step = restore(trainee, folder)
    written = started
    sums: dict[str, float] = {}
    while step < settings.steps:
        for name, value in trainee.step(step, learning_rate_scale(step, settings)).items():
            sums[name] = sums.get(name, 0.0) + value
        step += 1
        elapsed = time.monotonic() - started
        if step % settings.log_every == 0:
            means = {name: round(value / settings.log_every, 6) for name, value in sums.items()}
            _log(folder, {"step": step, "rate": round((step - first) / elapsed, 3), **means})
            sums = {}
        if step % settings.picture_every == 0:
            _save_picture(trainee.picture(), folder / f"step-{step:06d}.png")
        if time.monotonic() - written > 60 * settings.checkpoint_minutes:
            checkpoint(trainee, folder, step)
            written = time.monotonic()
        if elapsed > settings.time_limit:
            break
    checkpoint(trainee, folder, step)
    _save_picture(trainee.picture(), folder / f"step-{step:06d}.png")
    return step >= settings.steps


def checkpoint(trainee: Trainee, folder: Path, step: int) -> None:
    """Write the whole state into one safetensors file, replacing the former one at once."""
    tensors = {"generator": trainee.generator.get_state()}
    for name, learner in trainee.learners.items():
        tensors |= {f"{name}/{key}": value for key, value in learner.tensors().items()}
    part = folder / "checkpoint.part"
    save_file(tensors, part, metadata={"step": str(step)})
    os.replace(part, folder / CHECKPOINT)


def restore(trainee: Trainee, folder: Path) -> int:
    """Load the folder's checkpoint, if there is one; return the step to go on from."""
    path = folder / CHECKPOINT
    if not path.exists():
        return 0
    with safe_open(path, framework="pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        step = int(file.metadata()["step"])
    trainee.generator.set_state(tensors["generator"])
    for name, learner in trainee.learners.items():
        prefix = f"{name}/"
        learner.load({k[len(prefix) :]: v for k, v in tensors.items() if k.startswith(prefix)})
    return step


def _log(folder: Path, row: dict[str, float]) -> None:
    line = json.dumps(row)
    print(line, flush=True)
    with (folder / "log.jsonl").open("a") as file:
        file.write(line + "\n")


def _save_picture(picture: Tensor, path: Path) -> None:
    pixels = picture.clamp(-1, 1).add(1).mul(127.5).round().byte().permute(1, 2, 0)
    Image.fromarray(pixels.cpu().numpy()).save(path)
