"""Which scale of the base leads to the best picture of ``relay``?  The table behind its rule.

    python examples/compare_scales.py FOLDER

For each photo and rate the base is made at every scale with the largest quality that fits; printed
is, over photos, which scale was best by the perceptual distance, and by PSNR, against the base's
quality at that scale.  `diffc.codecs.relay.rate_search.LEAST_QUALITY` comes from it.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

import torch
from PIL import Image

import diffc
from diffc.bench.measures.perceptual import PerceptualNetwork
from diffc.bench.measures.published import psnr
from diffc.codecs.relay.bitstream import SCALES
from diffc.codecs.relay.rate_search import Trials, fit
from diffc.codecs.shared.base_pictures.av1_picture import FAST, Av1Coder

# what the file has besides the base
_OVERHEAD = 26


def main() -> None:
    """Print a line for each photo and rate, and a table of means."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pattern", default="*.png")
    parser.add_argument("--photos", type=int, default=10**6)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--bpp", type=float, nargs="+", default=[0.02, 0.03, 0.05, 0.1, 0.15, 0.25])
    parser.add_argument("--perceptual-weights", type=Path)
    parser.add_argument("--model", default="tiny")
    options = parser.parse_args()
    network = PerceptualNetwork(options.perceptual_weights, "cpu")
    paths = sorted(options.folder.glob(options.pattern))[:: options.every][: options.photos]
    if not paths:
        parser.error(f"{options.folder} has no {options.pattern}: name another folder")
    means: dict[tuple[float, float], list[tuple[float, float]]] = {}
    for path in paths:
        with Image.open(path) as image:
            photo = image.convert("RGB")
        photo.info.pop("icc_profile", None)
        for bpp in options.bpp:
            limit = int(bpp * photo.width * photo.height / 8)
            cells = []
            for scale in SCALES:
                trials = Trials(Av1Coder(speed=FAST), photo, scale)
                found = fit(trials, limit - _OVERHEAD)
                if found is None:
                    cells.append(f"{scale:g}: -")
                    continue
                data = diffc.encode(
                    photo, backend="relay", target_size=limit, scale=scale, model=options.model
                )
                made = diffc.decode(data, model=None if options.model == "tiny" else options.model)
                with torch.inference_mode():
                    far, near = network.distance(photo, made), psnr(photo, made)
                means.setdefault((bpp, scale), []).append((far, near))
                cells.append(
                    f"{scale:g}: q{trials.coder.qualities[found[1]]} {1e3 * far:.3f} {near:.2f}"
                )
            print(f"{path.stem} {bpp:g} | " + " | ".join(cells), flush=True)
    for (bpp, scale), values in sorted(means.items()):
        far, near = (statistics.mean(column) for column in zip(*values, strict=True))
        print(f"{bpp:g} bpp, 1/{scale:g}: {len(values)} photos, {1e3 * far:.3f}e-3, {near:.2f} dB")


if __name__ == "__main__":
    main()
