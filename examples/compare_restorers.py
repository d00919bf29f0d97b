"""Compare ways to restore JPEGs: `diffc.restore`, and what OpenCV has for it.

    python examples/compare_restorers.py PHOTOS [--qualities 5 10 20 40] [--photos 4] [--grey]

Photos are coded by Pillow (libjpeg's tables, 4:2:0), shown as they are, restored at realism 0, by
default and at realism 1, and filtered by OpenCV's bilateral filter and non-local means, each with that of several
strengths which has the best PSNR: a choice that takes the original, and that `diffc.restore` does not
have.  Prints PSNR, PSNR-B (of the luma), VGG-19 distance (means over photos) and patch distance.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

import diffc
from diffc.bench.measures.available import Measurer
from diffc.bench.measures.blocking import psnr_b
from diffc.bench.measures.patch_distance import paired_patch_distance
from diffc.bench.measures.published import psnr

PATCHES = "patch_distance"


def bilateral(pixels: np.ndarray) -> Iterator[np.ndarray]:
    """Yield what bilateral filters of several strengths make."""
    for sigma in (10, 20, 35, 55):
        for space in (1.5, 3):
            yield cv2.bilateralFilter(pixels, 0, sigma, space)


def non_local_means(pixels: np.ndarray) -> Iterator[np.ndarray]:
    """Yield what non-local means of several strengths makes."""
    for strength in (3, 6, 10):
        if pixels.ndim == 2:
            yield cv2.fastNlMeansDenoising(pixels, None, strength)
        else:
            yield cv2.fastNlMeansDenoisingColored(pixels, None, strength, strength)


def best(
    filters: Callable[[np.ndarray], Iterator[np.ndarray]], shown: Image.Image, photo: Image.Image
) -> Image.Image:
    """Return the filtered picture that is nearest to the photo."""
    made = [Image.fromarray(each) for each in filters(np.asarray(shown))]
    return max(made, key=lambda each: psnr(photo.convert("RGB"), each.convert("RGB")))


def restored(photo: Image.Image, quality: int) -> dict[str, Image.Image]:
    """Return a photo's JPEG and what it becomes, by the way's name."""
    buffer = io.BytesIO()
    photo.save(buffer, "JPEG", quality=quality)
    data = buffer.getvalue()
    with Image.open(io.BytesIO(data)) as image:
        shown = image.convert(photo.mode)
    return {
        "JPEG": shown,
        "bilateral": best(bilateral, shown, photo),
        "non-local means": best(non_local_means, shown, photo),
        "realism 0": diffc.restore(data, realism=0),
        "default": diffc.restore(data),
        "realism 1": diffc.restore(data, realism=1),
    }


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--qualities", type=int, nargs="+", default=[5, 10, 20, 40])
    parser.add_argument("--photos", type=int, help="how many, evenly chosen (default: all)")
    parser.add_argument("--grey", action="store_true", help="of photos without colour")
    args = parser.parse_args()
    paths = sorted(p for p in args.folder.iterdir() if p.suffix.lower() in (".png", ".jpg"))
    if args.photos:
        paths = paths[:: max(1, len(paths) // args.photos)][: args.photos]
    measurer = Measurer()
    photos = [Image.open(path).convert("L" if args.grey else "RGB") for path in paths]
    patches = [measurer.patch_features(photo.convert("RGB"))[PATCHES] for photo in photos]
    for quality in args.qualities:
        scores: dict[str, list[tuple[float, float, float]]] = {}
        features: dict[str, list[np.ndarray]] = {}
        for photo in photos:
            original = photo.convert("RGB")
            for name, picture in restored(photo, quality).items():
                color = picture.convert("RGB")
                values = psnr(original, color), psnr_b(original, color)
                scores.setdefault(name, []).append((*values, measurer.distance(original, color)))
                features.setdefault(name, []).append(measurer.patch_features(color)[PATCHES])
        for name, each in scores.items():
            nearness, blocks, vgg = np.array(each).mean(0)
            distance = paired_patch_distance(patches, features[name]).value
            print(
                f"quality {quality}, {name}: PSNR {nearness:.2f}, PSNR-B {blocks:.2f}, VGG-19 "
                f"{vgg:.4f}, patch distance {distance:.4f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
