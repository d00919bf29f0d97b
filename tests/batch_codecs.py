"""Codecs for tests of batches, and what workers are told before they start; importable by name."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from codecs_for_tests import BitPlanes
from torch import Tensor

import diffc
from diffc.codec import Coded, DecodeOptions, Encoded, Picture, Progress, Rate, Traits, no_progress
from diffc.models.loaded import loaded

LOG = "DIFFC_TEST_LOG"


def register() -> None:
    """Make the codecs known: what a batch calls in every worker."""
    diffc.register_codec("logged", LoggedCodec, clobber=True)
    diffc.register_codec("gathering", GatheringCodec, clobber=True)


@dataclass(frozen=True)
class LoggedCodec(BitPlanes):
    """Bit planes of a model that leaves a line when it is read; dies of red pictures."""

    name = "logged"

    def encode(self, picture: Picture, rate: Rate, progress: Progress = no_progress) -> Encoded:
        loaded("logged", _read)
        red, green, _ = picture.pixels[:, 0, 0].tolist()
        if red == 1 and green == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(0.1)
        return super().encode(picture, rate, progress)


@dataclass(frozen=True)
class GatheringCodec(BitPlanes):
    """Bit planes; notes how many files it is given to decode at a time."""

    name = "gathering"
    traits = Traits(generative=False)
    sizes: ClassVar[list[int]] = []

    @classmethod
    def decode_batch(cls, coded: Sequence[Coded], options: DecodeOptions) -> list[Tensor]:
        cls.sizes.append(len(coded))
        return super().decode_batch(coded, options)


def _read() -> object:
    with Path(os.environ[LOG]).open("a") as file:
        file.write(f"{os.getpid()} {os.environ.get('OMP_NUM_THREADS')}\n")
    return object()


SCRIPT = """
import sys
import batch_codecs
from diffc import batch

if __name__ == "__main__":
    batch_codecs.register()
    batch.run(
        "encode", sys.argv[1], sys.argv[2], backend="logged", quality=50,
        initializer=batch_codecs.register, executor=batch.Processes(1),
    )
"""


def fail() -> None:
    """Raise, as a worker's start may."""
    raise RuntimeError("no such luck")
