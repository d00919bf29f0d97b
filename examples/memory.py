"""Resident memory over many decodes of random sizes: does it grow, and how far.

    python examples/memory.py --decodes 5000

Writes as many files of ``relay``, of random width and height, decodes each once in this process, and
prints resident memory along the way, its slope over the second half, in KiB a decode, and its peak.
Other codecs by ``--backend``.  Linux only: it reads /proc/self/statm.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from PIL import Image

import diffc

_MIB = 1 << 20


def resident() -> int:
    """Return the bytes of this process that are in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def write(path: str, size: tuple[int, int], backend: str) -> None:
    """Write a file of a picture of a size; in another process, for what encoding takes."""
    noise = Image.effect_noise((max(2, size[0] // 16), max(2, size[1] // 16)), 90).resize(size)
    picture = Image.merge(
        "RGB", (noise, noise.rotate(180), Image.linear_gradient("L").resize(size))
    )
    diffc.save(picture, path, backend=backend, quality=5)


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--decodes", type=int, default=5000)
    parser.add_argument("--sides", type=int, nargs=2, default=(16, 512), metavar=("LOW", "HIGH"))
    parser.add_argument("--backend", default="relay")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    rng = random.Random(args.seed)
    sizes = [(rng.randint(*args.sides), rng.randint(*args.sides)) for _ in range(args.decodes)]
    with tempfile.TemporaryDirectory() as folder:
        paths = [f"{folder}/{number}.diffc" for number in range(len(sizes))]
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            list(pool.map(write, paths, sizes, [args.backend] * len(sizes), chunksize=50))
        found = []
        step = max(1, len(paths) // 20)
        for number, path in enumerate(paths):
            with Image.open(path) as image:
                image.load()
            found.append(resident())
            if number % step == 0:
                print(f"after {number + 1:5} decodes: {found[-1] / _MIB:7.1f} MiB", flush=True)
    half = found[len(found) // 2 :]
    slope = statistics.linear_regression(range(len(half)), half).slope
    print(f"{len(found)} decodes of {len(set(sizes))} sizes by {args.backend}")
    print(f"slope over the second half: {slope / 1024:.2f} KiB a decode")
    print(
        f"highest: {max(found) / _MIB:.1f} MiB, {max(found) / _MIB - found[0] / _MIB:.1f} above the first"
    )


if __name__ == "__main__":
    main()
