"""Counts how many bases ``relay`` codes until one fits the target, and what stays unused.

    python examples/count_encodes.py FOLDER

For each rate: encodes of a photo, on average and at most; what they take, in encodes of the size of
the photo, for time goes with pixels; and the part of the target that is left over.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

from PIL import Image

from diffc.codecs.base_pictures import base_coder
from diffc.codecs.base_search import Trials, fit

# what the file has besides the base
_OVERHEAD = 26


def main() -> None:
    """Print a line for each rate."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pattern", default="*.png")
    parser.add_argument("--base", choices=["av1", "hevc"], default="av1")
    parser.add_argument("--bpp", type=float, nargs="+", default=[0.03, 0.05, 0.1, 0.15, 0.25])
    options = parser.parse_args()
    photos = []
    for path in sorted(options.folder.glob(options.pattern)):
        with Image.open(path) as image:
            photos.append(image.convert("RGB"))
    if not photos:
        parser.error(f"{options.folder} has no {options.pattern}: name another folder")
    counts: list[int] = []
    for bpp in options.bpp:
        at_rate, work, unused = [], [], []
        for photo in photos:
            target = int(bpp * photo.width * photo.height / 8)
            trials = Trials(base_coder(options.base), photo)
            found = fit(trials, target - _OVERHEAD)
            at_rate.append(len(trials.made))
            work.append(sum(scale**-2 for scale, _ in trials.made))
            if found is not None:
                unused.append(1 - (trials.length(*found) + _OVERHEAD) / target)
        counts += at_rate
        print(
            f"{bpp:g} bpp: {statistics.mean(at_rate):.2f} encodes, at most {max(at_rate)}, as "
            f"{statistics.mean(work):.2f} of the whole photo; {len(unused)} of {len(photos)} photos "
            f"fit, {100 * statistics.mean(unused or [0]):.1f} % unused",
            flush=True,
        )
    print(f"all: {statistics.mean(counts):.2f} encodes, at most {max(counts)}")


if __name__ == "__main__":
    main()
