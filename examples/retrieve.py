"""Is a decoded picture still recognised? Look for its original among all originals, by features.

    python examples/retrieve.py photos/ --codec perco --target-size 153 --perceptual-weights vgg.safetensors

Features after VGG-19's conv3_1 are averaged over the whole picture (their means and deviations), so
that where something stands does not help; the nearest original by cosine similarity is the answer.
No codec of diffc was trained with these features.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

import diffc
from diffc.bench.perceptual import PerceptualDistance


def described(picture: Image.Image, network: PerceptualDistance) -> NDArray[np.float64]:
    """Return 512 numbers that say what textures and shapes a picture has, wherever they are."""
    features = network.last_features(picture).double().flatten(1).numpy()
    return np.concatenate([features.mean(1), features.std(1)])


def main() -> int:
    """Print how often the original is found first, and among the first three."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--codec", default="perco")
    parser.add_argument("--target-size", type=int, nargs="+", default=[153])
    parser.add_argument("--perceptual-weights", type=Path, required=True)
    options = parser.parse_args()
    network = PerceptualDistance(options.perceptual_weights)
    photos = []
    for path in sorted(options.photos.glob("*.png")):
        with Image.open(path) as image:
            photos.append(image.convert("RGB"))
    originals = np.stack([described(photo, network) for photo in tqdm(photos, "originals")])
    center, spread = originals.mean(0), originals.std(0)
    print("| codec | bytes | first | among the first 3 | photos | by chance |")
    print("|---|---:|---:|---:|---:|---:|")
    for size in options.target_size:
        ranks = []
        for index, photo in enumerate(tqdm(photos, f"{size} bytes")):
            data = diffc.encode(photo, backend=options.codec, target_size=size)
            found = described(diffc.decode(data), network)
            one, all_ = (found - center) / spread, (originals - center) / spread
            similar = all_ @ one / np.linalg.norm(all_, axis=1)
            ranks.append(int((similar > similar[index]).sum()))
        first, third = (sum(rank < count for rank in ranks) for count in (1, 3))
        print(f"| {options.codec} | {size} | {first} | {third} | {len(ranks)} | 1 |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
