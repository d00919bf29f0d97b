"""Compare bases of relay with what is made of them: a nearer mean, a more natural default.

    python examples/compare_bases.py PHOTOS --bases av1 jpeg webp --bpp 0.05 0.1 0.2 [--photos 4]

Prints for each base and rate: the scales that were chosen; PSNR (dB, mean) of the base, enlarged as the
decoder does, and of what relay shows at realism 0 and by default; the least gain of a photo at
realism 0; and the patch distances of the three from the photos.
"""

from __future__ import annotations

import argparse
import io
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image

import diffc
from diffc.bench.measures.available import Measurer
from diffc.bench.measures.patch_distance import paired_patch_distance
from diffc.bench.measures.published import psnr
from diffc.codecs.relay.codec import SCALES
from diffc.codecs.relay.rate_search import base_size
from diffc.container.layout import MAGIC
from diffc.pictures.reading import open_picture

SHOWN = {"base": None, "realism 0": 0.0, "default": 0.5}
PATCHES = "patch_distance"


def base_of(data: bytes) -> Image.Image:
    """Return the base of a file, as it is before it is enlarged."""
    inside = diffc.extract(data)
    if inside.startswith(MAGIC):
        return diffc.decode(inside).convert("RGB")
    with open_picture(io.BytesIO(inside), inside[:16]) as image:
        return image.convert("RGB")


def shown(data: bytes, size: tuple[int, int]) -> tuple[str, list[Image.Image]]:
    """Return the scale of a file, and the pictures of `SHOWN`."""
    base = base_of(data)
    # a HEIC file shows whole blocks
    sizes = {f"{each:g}": base_size(size, each) for each in SCALES}
    scale = next(name for name, each in sizes.items() if np.less_equal(each, base.size).all())
    base = base.crop((0, 0, *sizes[scale]))
    enlarged = base.resize(size, Image.Resampling.BICUBIC)
    return scale, [enlarged, diffc.decode(data, realism=0).convert("RGB"), diffc.decode(data)]


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--bases", nargs="+", default=["av1", "jpeg", "webp"])
    parser.add_argument("--bpp", type=float, nargs="+", default=[0.05, 0.1, 0.2])
    parser.add_argument("--photos", type=int, help="how many, evenly chosen (default: all)")
    parser.add_argument("--scale", type=float, help="of all bases (default: the rate's)")
    args = parser.parse_args()
    paths = sorted(p for p in args.folder.iterdir() if p.suffix.lower() in (".png", ".jpg"))
    if args.photos:
        paths = paths[:: max(1, len(paths) // args.photos)][: args.photos]
    photos = [Image.open(path).convert("RGB") for path in paths]
    measures = Measurer()
    patches = [measures.patch_features(photo)[PATCHES] for photo in photos]
    for base in args.bases:
        for bpp in args.bpp:
            scales: Counter[str] = Counter()
            ratios, found = [], []
            features: list[list[np.ndarray]] = [[] for _ in SHOWN]
            try:
                for photo in photos:
                    data = diffc.encode(
                        photo, backend="relay", base=base, bpp=bpp, scale=args.scale
                    )
                    scale, pictures = shown(data, photo.size)
                    scales[scale] += 1
                    found.append([psnr(photo, each) for each in pictures])
                    for kept, each in zip(features, pictures, strict=True):
                        kept.append(measures.patch_features(each)[PATCHES])
                    ratios.append(8 * len(data) / (photo.width * photo.height))
            except ValueError as error:
                print(f"{base} at {bpp:g} bpp: {error}")
                continue
            gains = np.array(found)
            distances = [paired_patch_distance(patches, each).value for each in features]
            print(
                f"{base} at {np.mean(ratios):.3f} bpp (scales {dict(scales)}): PSNR "
                + ", ".join(f"{k} {v:.2f}" for k, v in zip(SHOWN, gains.mean(0), strict=True))
                + f", least gain {(gains[:, 1] - gains[:, 0]).min():+.2f}; patch distance "
                + ", ".join(f"{k} {v:.4f}" for k, v in zip(SHOWN, distances, strict=True)),
                flush=True,
            )


if __name__ == "__main__":
    main()
