"""Counts how many bases ``relay`` codes until one fits the target, and what stays unused.

    python examples/count_encodes.py FOLDER

For each rate: encodes of the search and slow ones of what is kept, on average and at most, and the part of
the target that is left over.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

from PIL import Image

from diffc.codecs.relay.rate_search import ROUGH, UNUSED, Trials, fit, refine_base
from diffc.codecs.shared.base_pictures.av1_picture import FAST, Av1Coder
from diffc.codecs.shared.base_pictures.coders import BaseCoder, base_coder

# what the file has besides the base
_OVERHEAD = 26


class Counting:
    """A coder that counts its encodes."""

    def __init__(self, coder: BaseCoder) -> None:
        self.name, self.identifier = coder.name, coder.identifier
        self.qualities, self.longest_side = coder.qualities, coder.longest_side
        self.decode = coder.decode
        self.coder, self.count = coder, 0

    def encode(self, picture: Image.Image, quality: int) -> bytes:
        """Code a picture, and count that."""
        self.count += 1
        return self.coder.encode(picture, quality)


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
    coder = Counting(base_coder(options.base))
    fast = Counting(Av1Coder(speed=FAST)) if options.base == "av1" else coder
    for bpp in options.bpp:
        at_rate, slow, unused = [], [], []
        for photo in photos:
            target = int(bpp * photo.width * photo.height / 8)
            room = target - _OVERHEAD
            before, slow_before = fast.count, coder.count
            trials = Trials(fast, photo)
            found = fit(trials, room, UNUSED if coder is fast else ROUGH)
            if found is not None:
                kept = refine_base(trials, coder, *found, room)
                unused.append(1 - (len(kept) + _OVERHEAD) / target)
            at_rate.append(fast.count - before)
            slow.append(0 if coder is fast else coder.count - slow_before)
        counts += map(sum, zip(at_rate, slow, strict=True))
        print(
            f"{bpp:g} bpp: {statistics.mean(at_rate):.2f} encodes and {statistics.mean(slow):.2f} slow "
            f"ones, at most {max(at_rate)} and {max(slow)}; {len(unused)} of {len(photos)} photos "
            f"fit, {100 * statistics.mean(unused or [0]):.1f} % unused",
            flush=True,
        )
    print(f"all: {statistics.mean(counts):.2f} encodes, at most {max(counts)}")


if __name__ == "__main__":
    main()
