"""Seconds and memory of ``ddcm`` with a network of Stable Diffusion 2.1's size, whatever its weights.

    python examples/time_diffusers.py --steps 20 30

Writes a pipeline's directory with random weights (2.1 GB, in a temporary folder), reads it as any
model is read, and times one evaluation of the denoiser and the autoencoder both ways.  What a whole
picture takes is extrapolated from that, unless ``--whole`` codes one.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from random_models import write_pipeline

import diffc
from diffc.codecs.shared.stable_diffusion import pipeline


@dataclass(frozen=True)
class Seconds:
    """What one call takes: time that passes, and time of all processor cores together."""

    passed: float
    processor: float

    def __str__(self) -> str:
        """Say both."""
        return f"{self.passed:.2f} s ({self.processor:.2f} s of processor time)"

    def __add__(self, other: Seconds) -> Seconds:
        """Return both calls together."""
        return Seconds(self.passed + other.passed, self.processor + other.processor)

    def __mul__(self, times: int) -> Seconds:
        """Return so many calls together."""
        return Seconds(self.passed * times, self.processor * times)


def seconds(work: Callable[[], object], device: str, times: int) -> Seconds:
    """Return what one call takes, after one that warms up."""
    work()
    started, busy = now(device), time.process_time()
    for _ in range(times):
        work()
    return Seconds((now(device) - started) / times, (time.process_time() - busy) / times)


def now(device: str) -> float:
    """Return the time at which all work given to a device is done."""
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
    return time.perf_counter()


def memory(device: str) -> str:
    """Say what was used at most so far."""
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (
        1 if sys.platform == "darwin" else 1024
    )
    text = f"{used / 2**30:.2f} GiB of the process"
    if device.startswith("cuda"):
        text += f", {torch.cuda.max_memory_allocated(device) / 2**30:.2f} GiB of the device"
    return text


@torch.inference_mode()
def main() -> None:
    """Print memory and seconds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=512, help="of the picture, in pixels")
    parser.add_argument("--steps", type=int, nargs="+", default=[20, 30])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--times", type=int, default=2, help="evaluations to average over")
    parser.add_argument("--whole", action="store_true", help="code a picture as well")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for name, count in write_pipeline(folder).items():
            print(f"{name}: {count / 1e6:.0f} million parameters")
        print(f"written: {memory(options.device)} at most")
        measure(folder, options)


def measure(folder: Path, options: argparse.Namespace) -> None:
    """Print what reading the directory and coding with it take."""
    started = now(options.device)
    model = pipeline.load(folder, options.device)
    print(f"read in {now(options.device) - started:.1f} s: {memory(options.device)} at most")
    pixels = torch.rand(1, 3, options.side, options.side, device=options.device)
    analysed = seconds(lambda: model.analyse(pixels), options.device, 1)
    latent = model.analyse(pixels)
    level = torch.tensor([model.sigmas[500]], dtype=torch.float32, device=latent.device)
    step = seconds(lambda: model.denoiser(latent, level), options.device, options.times)
    print(f"one evaluation of the denoiser: {step}; {memory(options.device)} at most")
    synthesised = seconds(
        lambda: model.synthesise(latent, model.sigmas[0], 0.0, 0), options.device, 1
    )
    print(f"autoencoder: {analysed} to the latent, {synthesised} to pixels")
    print(f"{options.side}x{options.side}: {memory(options.device)} at most")
    for steps in options.steps:
        print(f"T = {steps}, extrapolated: encoding at most {step * steps + analysed}")
        print(f"T = {steps}, extrapolated: decoding {step * steps + synthesised}")
        if options.whole:
            whole(folder, options, steps)


def whole(folder: Path, options: argparse.Namespace, steps: int) -> None:
    """Code a picture and print how long it took."""
    ramp = Image.linear_gradient("L").resize((options.side, options.side))
    image = Image.merge("RGB", (ramp, ramp.rotate(90), ramp.rotate(180)))
    started = now(options.device)
    data = diffc.encode(
        image,
        backend="ddcm",
        model=folder,
        steps=steps,
        target_size=2000,
        device=options.device,
    )
    between = now(options.device)
    diffc.decode(data, model=folder, device=options.device)
    print(
        f"T = {steps}, measured with {len(data)} bytes: encoding {between - started:.2f} s, "
        f"decoding {now(options.device) - between:.2f} s"
    )


if __name__ == "__main__":
    main()
