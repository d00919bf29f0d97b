"""What kept features and weights of a byte save, and what they cost.

    python examples/compare_acceleration.py photo.png --caches 2 3 5 --precisions int8 fp8

First, step by step, a network of Stable Diffusion 2.1's size with random weights (2 GB in a temporary
folder; ``--small`` makes it a small one): milliseconds, memory of the weights, and how far the
estimate is from the exact one.  Then, end to end, the embedded model on the pictures named: bytes,
seconds of all processor cores, and PSNR of what is decoded against the picture and against the exact walk's.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from gpu_check import Clock, psnr
from PIL import Image
from random_models import SMALL, STABLE_DIFFUSION, write_pipeline
from torch import Tensor

import diffc
from diffc.codecs.shared.latents import models as latent_models
from diffc.codecs.shared.latents.models import LatentModel
from diffc.decode_options import PRECISIONS
from diffc.models.loaded import kept_bytes, release_models

# places in the table of noise levels that a walk of 30 steps passes one after another
_PLACES = range(600, 468, -33)


def states(model: LatentModel, side: int, device: str) -> list[tuple[Tensor, Tensor]]:
    """Return states of one walk without new noise, and their levels."""
    generator = torch.Generator().manual_seed(0)
    shape = (1, model.channels, side, side)
    clean, noise = (torch.randn(shape, generator=generator).to(device) for _ in range(2))
    sigmas = [model.sigmas[place] for place in _PLACES]
    return [
        (clean + sigma * noise, torch.tensor([sigma], dtype=torch.float32, device=device))
        for sigma in sigmas
    ]


def decibels(exact: Tensor, found: Tensor) -> float:
    """Return the ratio of an estimate to its error; infinite if they are the same."""
    error = (found - exact).square().sum()
    return float(10 * (exact.square().sum() / error).log10()) if error else float("inf")


class Steps:
    """What the steps of one walk took.

    Attributes
    ----------
    whole, kept : float
        Milliseconds of the fastest step of each kind; 0 where there was none.
    worst : float
        Of the ratios of an estimate to its error, in dB, the lowest.
    made : list of Tensor
        The estimates.
    """

    def __init__(
        self,
        model: LatentModel,
        cache: int,
        walk: Sequence[tuple[Tensor, Tensor]],
        exact: Sequence[Tensor],
        clock: Clock,
    ) -> None:
        walker, made = model.walker(cache), list[Tensor]()
        times: dict[bool, list[float]] = {True: [], False: []}
        for number, (x, level) in enumerate(walk):

            def step(x: Tensor = x, level: Tensor = level) -> None:
                made.append(walker(x, level))

            took = clock.measure(step)
            times[number % cache == 0].append(took)
        self.made = made
        self.whole, self.kept = (min(times[each], default=0.0) for each in (True, False))
        self.worst = min(map(decibels, exact or made, made))


@torch.inference_mode()
def per_step(folder: Path, options: argparse.Namespace) -> None:
    """Print what a step takes, and what it is worth, for every precision and cache."""
    side = options.latent
    print(f"\nA step at a latent of {side}x{side}, device {options.device}")
    print(
        "| weights | GiB of the model | cache | ms, whole | ms, kept | ms a step | estimate, dB |"
    )
    print("|---|---|---|---|---|---|---|")
    clock = Clock(options.device)
    exact: list[Tensor] = []
    for precision in (None, *options.precisions):
        release_models()
        model = latent_models.load(folder, options.device, "", precision)
        size = kept_bytes() / 2**30
        walk = states(model, side, options.device)
        for cache in (1, *options.caches):
            found = Steps(model, cache, walk, exact, clock)
            exact = exact or found.made
            shown = f"{found.kept:.0f}" if cache > 1 else "-"
            mean = (found.whole + (cache - 1) * found.kept) / cache
            print(
                f"| {precision or 'unchanged'} | {size:.2f} | {cache} | {found.whole:.0f} | {shown} | "
                f"{mean:.0f} | {found.worst:.1f} |",
                flush=True,
            )
    print(
        "The estimate's dB are those of the worst of these steps, against unchanged weights, cache 1."
    )


def end_to_end(image: Image.Image, name: str, options: argparse.Namespace) -> None:
    """Print what the embedded model makes of a picture with every cache."""
    for codec in options.codecs:
        for bpp in options.bpp:
            exact = None
            for cache in (1, *options.caches):
                started = time.process_time()
                data = diffc.encode(
                    image, backend=codec, bpp=bpp, cache=cache, device=options.device
                )
                between = time.process_time()
                with diffc.decoding(device=options.device):
                    decoded = diffc.decode(data)
                ended = time.process_time()
                exact = decoded if exact is None else exact
                print(
                    f"| {name} | {codec} | {len(data)} | {cache} | {between - started:.1f} | "
                    f"{ended - between:.1f} | {psnr(image, decoded):.2f} | "
                    f"{psnr(exact, decoded):.2f} |",
                    flush=True,
                )


def main(arguments: Sequence[str] | None = None) -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pictures", nargs="*", type=Path, help="for the embedded model; none: none")
    parser.add_argument("--caches", type=int, nargs="*", default=[2, 3, 4])
    parser.add_argument("--precisions", nargs="*", choices=PRECISIONS, default=[])
    parser.add_argument("--codecs", nargs="+", default=["ddcm", "posterior"])
    parser.add_argument("--bpp", type=float, nargs="+", default=[0.05, 0.2])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--latent", type=int, default=64, help="side of the latent, in positions")
    parser.add_argument(
        "--small", action="store_true", help="a small network in place of the large"
    )
    parser.add_argument("--without-steps", action="store_true", help="the embedded model alone")
    options = parser.parse_args(arguments)
    if not options.without_steps:
        with tempfile.TemporaryDirectory() as place:
            write_pipeline(Path(place), SMALL if options.small else STABLE_DIFFUSION)
            per_step(Path(place), options)
            release_models()
    if options.pictures:
        print(
            "\n| picture | codec | bytes | cache | s, encoding | s, decoding | dB | dB of the exact |"
        )
        print("|---|---|---|---|---|---|---|---|")
    for path in options.pictures:
        with Image.open(path) as opened:
            end_to_end(opened.convert("RGB"), path.name, options)


if __name__ == "__main__":
    main()
