"""Restore JPEGs and code them again: how many blocks have other coefficients than the file's.

    python examples/recode.py PHOTOS [--qualities 5 10 20 40] [--realism 0.5]

Prints for each quality: PSNR of the JPEGs, of what was restored with and without being moved into the
cells of the coefficients, and of all blocks how many came back otherwise, among them those with values
at black or white.
"""

from __future__ import annotations

import argparse
import io
import math
from pathlib import Path

import numpy as np
from PIL import Image

import diffc
from diffc.codecs.shared.base_pictures.jpeg_file import (
    Component,
    read_coefficients,
    read_jpeg_header,
)


def components(data: bytes) -> list[Component]:
    """Return a file's coefficients."""
    return read_coefficients(data, read_jpeg_header(data))


def psnr(first: Image.Image, second: Image.Image) -> float:
    """Return the PSNR in dB."""
    one, two = (np.asarray(each, np.float64) for each in (first, second))
    return 10 * math.log10(255**2 / float(np.square(one - two).mean()))


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--qualities", type=int, nargs="+", default=[5, 10, 20, 40])
    parser.add_argument("--realism", type=float, default=0.5)
    args = parser.parse_args()
    paths = sorted(p for p in args.folder.iterdir() if p.suffix.lower() in (".png", ".jpg"))
    for quality in args.qualities:
        found = []
        for path in paths:
            photo = Image.open(path).convert("RGB")
            buffer = io.BytesIO()
            photo.save(buffer, "JPEG", quality=quality)
            data = buffer.getvalue()
            decoded = Image.open(io.BytesIO(data))
            made = diffc.restore(data, realism=args.realism)
            free = diffc.restore(data, realism=args.realism, consistent=False)
            again = io.BytesIO()
            made.save(again, "JPEG", qtables=decoded.quantization, subsampling=2)
            pairs = list(zip(components(again.getvalue()), components(data), strict=True))
            other = sum(int((a.levels != b.levels).any((2, 3)).sum()) for a, b in pairs)
            blocks = sum(b.certain.size for _, b in pairs)
            pixels = np.asarray(made)
            cut = float(((pixels == 0) | (pixels == 255)).mean())
            scores = [psnr(photo, each) for each in (decoded.convert("RGB"), free, made)]
            found.append((*scores, other, blocks, cut))
        *scores, other, blocks, cut = np.array(found).sum(0)
        before, free_, moved = (each / len(found) for each in scores)
        print(
            f"quality {quality}: {before:.2f} dB, restored {free_:.2f}, consistent {moved:.2f}; "
            f"{int(other)} of {int(blocks)} blocks differ; {cut / len(found):.2%} of values are cut"
        )


if __name__ == "__main__":
    main()
