"""Try every codec on a GPU: whether it decodes what the CPU does, how fast, and with how much memory.

    python examples/gpu_check.py

Prints tables; the exit status is 1 if something that is promised does not hold.  Takes less than
8 minutes: what there is no time for is named.  ``--device cpu --small`` runs the same program with
small pictures and networks on any machine.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFilter
from random_models import SMALL, STABLE_DIFFUSION, write_perco, write_pipeline

import diffc
from diffc.codecs.cod.config import CodConfig
from diffc.codecs.shared.latents import models as latent_models
from diffc.models.loaded import release_models
from diffc.noise.streams import Purpose, random_normals, random_signs, random_words

LEAST_PSNR = 30.0
"""Between two devices' pictures of one file: far below what rounding does, far above another walk."""
_SHAPES = {"512x512": (512, 512), "1080p": (1920, 1080)}
_SMALL_SHAPES = {"64x64": (64, 64), "96x72": (96, 72)}


@dataclass(frozen=True)
class Case:
    """A codec with a model and options."""

    codec: str
    model: Path | None = None
    options: dict[str, Any] = field(default_factory=dict)

    def encode(self, image: Image.Image, device: str) -> bytes:
        """Code a picture on a device."""
        where = {} if self.model is None else {"model": self.model}
        return diffc.encode(image, backend=self.codec, device=device, **where, **self.options)

    def decode(self, data: bytes, device: str) -> Image.Image:
        """Decode a file on a device."""
        with diffc.decoding(device=device, model=self.model):
            return diffc.decode(data)


class Clock:
    """Milliseconds and memory of work on a device.

    Parameters
    ----------
    device : str
        Of torch; on a GPU CUDA's events are read, else the time of all processor cores together, which
        other work on the machine does not add to.
    """

    def __init__(self, device: str) -> None:
        self.device = device
        self.cuda = device.startswith("cuda")

    def measure(self, work: Callable[[], object], times: int = 1) -> float:
        """Return the median of a few calls, in milliseconds."""
        return float(np.median([self._once(work) for _ in range(times)]))

    def _once(self, work: Callable[[], object]) -> float:
        if not self.cuda:
            started = time.process_time()
            work()
            return 1000 * (time.process_time() - started)
        with torch.cuda.device(self.device):
            first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            torch.cuda.synchronize()
            first.record()
            work()
            last.record()
            torch.cuda.synchronize()
        return float(first.elapsed_time(last))

    def forget(self) -> None:
        """Let go of all models, and measure memory from here on."""
        release_models()
        if self.cuda:
            torch.cuda.reset_peak_memory_stats(self.device)

    def memory(self) -> str:
        """Say what was allocated at most since `forget`; without a GPU, what the process ever had."""
        if self.cuda:
            return f"{torch.cuda.max_memory_allocated(self.device) / 2**30:.2f} GiB"
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return f"{peak * (1 if sys.platform == 'darwin' else 1024) / 2**30:.2f} GiB of the process"


def scene(size: tuple[int, int]) -> Image.Image:
    """Draw a picture with edges, gradients and texture of every scale; always the same one."""
    width, height = size
    numbers = np.random.default_rng(0)
    texture = np.zeros((height, width, 3), np.float32)
    for cell in (2, 4, 8, 16, 32):
        coarse = numbers.standard_normal((-(-height // cell), -(-width // cell), 3))
        texture += coarse.repeat(cell, 0).repeat(cell, 1)[:height, :width] * cell / 4
    ramp = np.linspace(60, 190, width, dtype=np.float32)[None, :, None]
    image = Image.fromarray((texture * 3 + ramp).clip(0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    draw.ellipse((width // 5, height // 6, width // 2, height // 2), fill=(190, 60, 50))
    draw.rectangle((width // 2, height // 2, width * 7 // 8, height * 7 // 8), fill=(40, 90, 180))
    return image.filter(ImageFilter.GaussianBlur(1))


def psnr(first: Image.Image, second: Image.Image) -> float:
    """Return the ratio of signal to noise of two pictures in dB; infinite if they are the same."""
    difference = np.asarray(first, np.float64) - np.asarray(second, np.float64)
    error = float(np.mean(difference**2))
    return float("inf") if error == 0 else float(10 * np.log10(255**2 / error))


class Check:
    """One run of the program.

    Parameters
    ----------
    device : str
        What is compared with the CPU.
    small : bool
        Whether pictures and networks are small.
    minutes : float
        After which nothing more is begun.
    """

    def __init__(self, device: str, *, small: bool, minutes: float) -> None:
        self.device, self.small, self.clock = device, small, Clock(device)
        self.shapes = _SMALL_SHAPES if small else _SHAPES
        self.ends = time.monotonic() + 60 * minutes
        self.failed: list[str] = []

    def in_time(self, what: str) -> bool:
        """Return whether there is time for something, else say that it is left out."""
        if time.monotonic() < self.ends:
            return True
        print(f"{what}: left out, for the time is used up")
        return False

    def require(self, holds: bool, sentence: str) -> None:
        """Note what is promised and does not hold."""
        if not holds:
            self.failed.append(sentence)

    def machine(self) -> None:
        """Print where this runs."""
        print(f"torch {torch.__version__}, diffc {diffc.__version__}, device {self.device}")
        if self.clock.cuda:
            found = torch.cuda.get_device_properties(self.device)
            print(
                f"{found.name}, {found.total_memory / 2**30:.0f} GiB, compute capability "
                f"{found.major}.{found.minor}, CUDA {torch.version.cuda}, TF32 in convolutions: "
                f"{torch.backends.cudnn.allow_tf32}, in products: "
                f"{torch.backends.cuda.matmul.allow_tf32}"
            )

    def noise(self) -> None:
        """Compare the portable generator's numbers, which have to be the same to the bit."""
        indices = torch.arange(7)
        for name, draw in (
            ("words", random_words),
            ("signs", random_signs),
            ("normals", random_normals),
        ):
            here, there = (
                draw(5, Purpose.FILL, 3, indices, 1000, place).cpu()
                for place in ("cpu", self.device)
            )
            same = torch.equal(here, there)
            print(f"portable noise, {name}: {'the same' if same else 'OTHERS'} on both devices")
            self.require(same, f"the portable generator's {name} are others on {self.device}")

    def agreement(self, cases: Sequence[Case]) -> None:
        """Print what both devices make of one picture and of each other's files."""
        name, size = next(iter(self.shapes.items()))
        image = scene(size)
        print(f"\nBoth devices, {name}; PSNR in dB of the device's picture against the CPU's")
        print("| codec | bytes, CPU | bytes, device | same file | CPU's file | device's file |")
        print("|---|---|---|---|---|---|")
        for case in cases:
            if not self.in_time(case.codec):
                continue
            self.clock.forget()
            here = case.encode(image, "cpu")
            there = case.encode(image, self.device)
            again = case.encode(image, self.device)
            self.require(
                there == again, f"{case.codec} codes one picture in two ways on {self.device}"
            )
            found = [
                psnr(case.decode(data, "cpu"), case.decode(data, self.device))
                for data in (here, there)
            ]
            same = "yes" if here == there else "no"
            print(
                f"| {case.codec} | {len(here)} | {len(there)} | {same} | {found[0]:.1f} | "
                f"{found[1]:.1f} |",
                flush=True,
            )
            for each in found:
                self.require(
                    each >= LEAST_PSNR,
                    f"{case.codec} decodes to other pictures on {self.device}: {each:.1f} dB",
                )
        print("A file's bytes are promised to be the same on one device, not on two.")

    def speed(self, cases: Sequence[Case]) -> None:
        """Print milliseconds and memory."""
        print("\nMilliseconds, once warm, with all that the processor does; memory at most")
        print("| codec | picture | encoding | decoding | memory |")
        print("|---|---|---|---|---|")
        for case in cases:
            for name, size in self.shapes.items():
                if self.in_time(f"{case.codec}, {name}"):
                    coding, decoding = self._times(case, scene(size))
                    print(
                        f"| {case.codec} | {name} | {coding:.0f} | {decoding:.0f} | "
                        f"{self.clock.memory()} |",
                        flush=True,
                    )

    def _times(self, case: Case, image: Image.Image) -> tuple[float, float]:
        """Return the milliseconds of encoding and decoding, once all is read and warm."""
        self.clock.forget()
        data = case.encode(image, self.device)
        case.decode(data, self.device)
        coding = self.clock.measure(lambda: case.encode(image, self.device))
        return coding, self.clock.measure(lambda: case.decode(data, self.device), 3)

    def large_network(self, folder: Path, walks: Sequence[int]) -> None:
        """Print what ``ddcm`` takes with a network of Stable Diffusion's size."""
        if not self.in_time("ddcm with a large network"):
            return
        counts = write_pipeline(folder, SMALL if self.small else STABLE_DIFFUSION)
        sizes = ", ".join(f"{name} {count / 1e6:.0f} M" for name, count in counts.items())
        name, size = next(iter(self.shapes.items()))
        image = scene(size)
        print(f"\nddcm with random weights ({sizes} parameters), {name}")
        self.clock.forget()
        model = latent_models.load(folder, self.device, "")
        print(f"in memory once read: {self.clock.memory()}")
        with torch.inference_mode():
            pixels = torch.rand(1, 3, *size[::-1], device=self.device)
            latent = model.analyse(pixels)
            level = torch.tensor([model.sigmas[500]], dtype=torch.float32, device=self.device)
            model.denoiser(latent, level)
            step = self.clock.measure(lambda: model.denoiser(latent, level), 5)
            model.synthesise(latent, model.sigmas[0], 1.0, 0)
            ways = [
                self.clock.measure(work, 3)
                for work in (
                    lambda: model.analyse(pixels),
                    lambda: model.synthesise(latent, model.sigmas[0], 1.0, 0),
                )
            ]
        print(
            f"one evaluation {step:.1f} ms; to the latent {ways[0]:.1f} ms, back {ways[1]:.1f} ms"
        )
        for steps in walks:
            if self.in_time(f"T = {steps}"):
                self._walk(Case("ddcm", folder, {"steps": steps, "quality": 100}), image)

    def _walk(self, case: Case, image: Image.Image) -> None:
        """Print a round trip, decoded twice."""
        steps, files, pictures = case.options["steps"], [], []
        coding = self.clock.measure(lambda: files.append(case.encode(image, self.device)))
        decoding = self.clock.measure(
            lambda: pictures.append(case.decode(files[0], self.device)), times=2
        )
        same = psnr(*pictures)
        print(
            f"T = {steps}: {len(files[0])} bytes, encoding {coding:.0f} ms, decoding "
            f"{decoding:.0f} ms, memory {self.clock.memory()}, one decoding against another: "
            f"{same:.1f} dB",
            flush=True,
        )
        self.require(pictures[0].size == image.size, f"T = {steps}: the picture has another size")
        self.require(same >= LEAST_PSNR, f"T = {steps}: one file decodes to two pictures")


def cases_of(folder: Path, wanted: Sequence[str], *, small: bool) -> list[Case]:
    """Return every codec that can be tried here, and say why others are not.

    Parameters
    ----------
    folder : Path
        For models of random weights.
    wanted : sequence of str
        Names; none for all.
    small : bool
        Whether networks are small, and walks are short.
    """
    from time_cod import random_model

    sizes = CodConfig()
    if small:
        sizes = replace(sizes, width=64, patch_blocks=2, pixel_blocks=1, encoder_width=32)
    random_weights: dict[str, Callable[[], Path]] = {
        "cod": lambda: random_model(folder / "cod", sizes),
        "perco-sd": lambda: _perco(folder / "perco-sd"),
    }
    found = []
    for name, info in diffc.codecs_available().items():
        if wanted and name not in wanted:
            continue
        if name in random_weights and info.installed:
            found.append(Case(name, random_weights[name]()))
        elif info.needs or not info.installed:
            print(f"{name}: left out, for it needs {info.needs or 'packages that are not here'}")
        else:
            walks = name in ("ddcm", "posterior")
            found.append(Case(name, options={"steps": 4} if small and walks else {}))
    return found


def _perco(folder: Path) -> Path:
    write_perco(folder)
    return folder


def device_from(options: argparse.Namespace) -> str:
    """Return the device to try.

    Raises
    ------
    SystemExit
        If it is one of CUDA's, and there is none.
    """
    device: str = options.device
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise SystemExit(
            f"torch {torch.__version__} finds no CUDA device here: run this on a machine with one, "
            "or try the program itself with --device cpu --small"
        )
    return device


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all checks; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda", help="torch device to compare with the CPU")
    parser.add_argument("--small", action="store_true", help="small pictures and networks")
    parser.add_argument(
        "--minutes", type=float, default=6.5, help="after which nothing more is begun"
    )
    parser.add_argument(
        "--walks", type=int, nargs="+", default=[20, 30], help="steps of the large network's walks"
    )
    parser.add_argument("--codecs", nargs="*", default=[], help="names; all if left out")
    options = parser.parse_args(arguments)
    device = device_from(options)
    check = Check(device, small=options.small, minutes=options.minutes)
    check.machine()
    check.noise()
    with tempfile.TemporaryDirectory() as place:
        torch.manual_seed(0)
        cases = cases_of(Path(place), options.codecs, small=options.small)
        check.agreement(cases)
        check.large_network(Path(place) / "pipeline", options.walks)
        check.speed(cases)
    release_models()
    for sentence in check.failed:
        print(f"DOES NOT HOLD: {sentence}")
    if not check.failed:
        print("All that is promised holds.")
    return int(bool(check.failed))


if __name__ == "__main__":
    raise SystemExit(main())
