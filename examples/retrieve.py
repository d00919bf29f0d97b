"""Is a decoded picture still recognised? Look for its original among all originals, by features.

    python examples/retrieve.py photos/ --codec perco --target-size 153

Features after VGG-19's conv3_1 are averaged over cells of the picture (their means and deviations):
with one cell, where something stands does not help, with 4x4 it does.  The nearest original by cosine
similarity is the answer.  No codec of diffc was trained with these features.
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
from diffc.bench.measures.perceptual import PerceptualNetwork


def described(picture: Image.Image, network: PerceptualNetwork, cells: int) -> NDArray[np.float64]:
    """Return 512 numbers for each of cells x cells parts of a picture."""
    features = network.last_features(picture).double().numpy()
    parts = [
        part.reshape(len(part), -1)
        for rows in np.array_split(features, cells, axis=1)
        for part in np.array_split(rows, cells, axis=2)
    ]
    return np.concatenate([value for part in parts for value in (part.mean(1), part.std(1))])


def main() -> int:
    """Print how often the original is found first, and among the first three."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--codec", default="perco")
    parser.add_argument("--target-size", type=int, nargs="+", default=[153])
    parser.add_argument("--perceptual-weights", type=Path)
    options = parser.parse_args()
    network = PerceptualNetwork(options.perceptual_weights)
    photos = []
    for path in sorted(options.photos.glob("*.png")):
        with Image.open(path) as image:
            photo = image.convert("RGB")
            # one shape for all, so that cells correspond
            photos.append(photo if photo.width > photo.height else photo.rotate(90, expand=True))
    print("| codec | bytes | cells | first | among the first 3 | photos | by chance |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for size in options.target_size:
        decoded = [
            diffc.decode(diffc.encode(photo, backend=options.codec, target_size=size))
            for photo in tqdm(photos, f"{size} bytes")
        ]
        for cells in (1, 4):
            originals, found = (
                np.stack([described(each, network, cells) for each in tqdm(pictures, "features")])
                for pictures in (photos, decoded)
            )
            center, spread = originals.mean(0), originals.std(0)
            originals, found = (originals - center) / spread, (found - center) / spread
            originals /= np.linalg.norm(originals, axis=1, keepdims=True)
            similar = found @ originals.T
            ranks = (similar > similar.diagonal()[:, None]).sum(1)
            first, third = (int((ranks < count).sum()) for count in (1, 3))
            grid = f"{cells}x{cells}"
            print(f"| {options.codec} | {size} | {grid} | {first} | {third} | {len(ranks)} | 1 |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
