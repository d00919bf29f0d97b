"""Two measures on VGG-19 as far as conv3_1, and its features for the patch distance.

The perceptual distance compares place by place: features after conv1_2, conv2_2 and conv3_1 are
normalised to unit length over the channels; their squared difference is averaged over channels and
positions, and over the three layers.  It is neither LPIPS nor DISTS, which look deeper and were fitted
to people's judgements, and rises with any texture, right or wrong.

The texture-structure distance has the form of DISTS (Ding, Ma, Wang and Simoncelli, "Image quality
assessment: unifying structure and texture similarity", 2020): of each channel of these layers, not
normalised, it compares the mean over the picture, which tells textures apart, and the covariance with
the original's.  DISTS looks two stages deeper, pools otherwise and has fitted weights; here all weigh
the same, so the two numbers do not compare.

They are measures, not losses: nothing of the project is trained on this network.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from diffc.bench.measures.published import full_precision
from diffc.models.vgg import read_vgg, vgg_features

# names, and the channels that go in and come out
SHAPES = {
    "conv0": (3, 3),
    "conv1_1": (3, 64),
    "conv1_2": (64, 64),
    "conv2_1": (64, 128),
    "conv2_2": (128, 128),
    "conv3_1": (128, 256),
}
LAYERS = ("conv1_1", "conv1_2", "pool", "conv2_1", "conv2_2", "pool", "conv3_1")
EMBEDDED = "vgg19_conv3_1.safetensors"
COMPARED = {"conv1_2": 1, "conv2_2": 2, "conv3_1": 4}
"""Layers that are compared, and how many pixels apart their positions are."""
SMALLEST_SIDE = 8
"""Pixels; below, the last layer has too few positions for its reflected border."""

# two pixels at each of the scales 1 and 2 and one at 4 reach 10 pixels far; tiles start on a
# multiple of 4, where the pooling does
_MARGIN = 12
# keeps the widest layer of a tile near 30 MB, for the processor's caches as well
_TILE_ROWS, _TILE_COLUMNS = 256, 384
# features of larger pictures are not kept: 450 bytes a pixel
_KEPT_PIXELS = 2**20

# keeps a quotient of two nothings at 1, as in DISTS
_NOTHING = 1e-6

Features = tuple[Tensor, ...]


class PerceptualNetwork:
    """Distances between two pictures, and the features behind them.

    The features of the last two pictures that were compared are kept if they are small, so that
    comparing many pictures with one original computes the original's once.

    Parameters
    ----------
    path : Path, optional
        A safetensors file: weights and biases of ``conv0`` (1x1, input normalisation), ``conv1_1``,
        ``conv1_2``, ``conv2_1``, ``conv2_2`` and ``conv3_1`` (3x3), as float or as
        `diffc.models.byte_weights` makes them; that of the package if left out.
    device : str
        A torch device.

    Raises
    ------
    OSError
        If the file is missing or holds anything else.
    """

    def __init__(self, path: Path | None = None, device: str = "cpu") -> None:
        self._device = device
        self._weights = {
            name: value.to(device, torch.float32).contiguous(memory_format=torch.channels_last)
            if value.ndim == 4
            else value.to(device, torch.float32)
            for name, value in read_weights(path).items()
        }
        self._kept: list[tuple[NDArray[np.uint8], list[Features]]] = []

    def distance(self, original: Image.Image, decoded: Image.Image) -> float:
        """Return the perceptual distance of two RGB pictures of one size, 0 for equal ones.

        Raises
        ------
        ValueError
            If they are not RGB, of one size, or have a side below `SMALLEST_SIDE`.
        """
        sums = np.zeros(len(COMPARED))
        elements = np.zeros(len(COMPARED))
        with torch.inference_mode():
            for pair in self._pairs(original, decoded):
                for depth, (ours, theirs) in enumerate(pair):
                    difference = (_unit(ours) - _unit(theirs)).square_()
                    # millions of terms, in an order that depends on the number of threads
                    sums[depth] += float(difference.sum(dtype=torch.float64))
                    elements[depth] += difference.numel()
        return float((sums / elements).mean())

    def texture_structure(self, original: Image.Image, decoded: Image.Image) -> float:
        """Return the texture-structure distance of two RGB pictures of one size, 0 for equal ones.

        Of each channel the texture term is (2 m m' + c) / (m^2 + m'^2 + c) of the means, the structure
        term (2 cov + c) / (var + var' + c); the distance is 1 less the mean of the two over channels,
        and over the three layers.

        Raises
        ------
        ValueError
            As `distance`.
        """
        shifts: list[Tensor] = []
        moments: list[Tensor] = []
        elements = [0] * len(COMPARED)
        with torch.inference_mode():
            for pair in self._pairs(original, decoded):
                for depth, (x, y) in enumerate(pair):
                    if depth == len(shifts):
                        # sums of squares far from 0 would lose a small variance
                        shifts.append(x.mean((0, 2, 3), keepdim=True))
                        moments.append(torch.zeros(5, x.shape[1], dtype=torch.float64))
                    x, y = x - shifts[depth], y - shifts[depth]
                    products = (x, y, x * x, y * y, x * y)
                    added = [each.sum((0, 2, 3), dtype=torch.float64) for each in products]
                    moments[depth] += torch.stack(added).cpu()
                    elements[depth] += x.shape[2] * x.shape[3]
        similar = []
        for shift, total, count in zip(shifts, moments, elements, strict=True):
            x, y, xx, yy, xy = total / count
            variances = xx - x.square() + yy - y.square()
            structure = (2 * (xy - x * y) + _NOTHING) / (variances + _NOTHING)
            x, y = (each + shift.flatten().cpu() for each in (x, y))
            texture = (2 * x * y + _NOTHING) / (x.square() + y.square() + _NOTHING)
            similar.append(float((texture + structure).mean()) / 2)
        return 1 - sum(similar) / len(similar)

    def _pairs(
        self, original: Image.Image, decoded: Image.Image
    ) -> Iterator[Iterator[tuple[Tensor, Tensor]]]:
        """Yield the two pictures' features, tile by tile and layer by layer."""
        pixels = [_pixels(each) for each in (original, decoded)]
        if pixels[0].shape != pixels[1].shape:
            raise ValueError(
                f"both pictures have one size, not {original.size} and {decoded.size}: "
                "decode to the original's size"
            )
        for ours, theirs in zip(*map(self._features, pixels), strict=True):
            yield zip(ours, theirs, strict=True)

    def last_features(self, picture: Image.Image) -> Tensor:
        """Return the features after conv3_1, of unit length over the channels.

        Parameters
        ----------
        picture : Image
            RGB, sides of at least `SMALLEST_SIDE`.

        Returns
        -------
        Tensor
            float32 (256, height // 4, width // 4), on the CPU.
        """
        pixels = _pixels(picture)
        rows, columns = (side // COMPARED["conv3_1"] for side in pixels.shape[:2])
        found = torch.empty(SHAPES["conv3_1"][1], rows, columns)
        with torch.inference_mode():
            tiles = self._features(pixels, keep=False)
            for (top, left), features in zip(_corners(pixels), tiles, strict=True):
                last = _unit(features[-1])[0].cpu()
                top, left = top // COMPARED["conv3_1"], left // COMPARED["conv3_1"]
                found[:, top : top + last.shape[1], left : left + last.shape[2]] = last
        return found

    def _features(self, pixels: NDArray[np.uint8], *, keep: bool = True) -> Iterator[Features]:
        """Yield features, tile by tile, without the tiles' margins."""
        for index, (kept, tiles) in enumerate(self._kept):
            if np.array_equal(kept, pixels):
                self._kept.append(self._kept.pop(index))
                yield from tiles
                return
        small = keep and pixels.shape[0] * pixels.shape[1] <= _KEPT_PIXELS
        tiles = []
        for corner in _corners(pixels):
            features = self._tile(pixels, corner)
            if small:
                tiles.append(features)
            yield features
        if small:
            self._kept = [*self._kept[-1:], (pixels, tiles)]

    def _tile(self, pixels: NDArray[np.uint8], corner: tuple[int, int]) -> Features:
        top, left = corner
        bottom = min(top + _TILE_ROWS, pixels.shape[0])
        right = min(left + _TILE_COLUMNS, pixels.shape[1])
        first_row, first_column = max(top - _MARGIN, 0), max(left - _MARGIN, 0)
        part = pixels[first_row : bottom + _MARGIN, first_column : right + _MARGIN]
        inside = []
        for scale, x in zip(COMPARED.values(), self._network(part), strict=True):
            rows = slice((top - first_row) // scale, bottom // scale - first_row // scale)
            columns = slice((left - first_column) // scale, right // scale - first_column // scale)
            inside.append(x[:, :, rows, columns])
        return tuple(inside)

    def _network(self, part: NDArray[np.uint8]) -> list[Tensor]:
        """Return the features of pixels (rows, columns, 3) after each of the layers compared."""
        # a view in channels-last order, as the convolutions like it
        x = torch.from_numpy(part.copy()).to(self._device)[None].permute(0, 3, 1, 2)
        with full_precision():
            return vgg_features(x.float() / 255, self._weights, LAYERS, COMPARED)


def _unit(features: Tensor) -> Tensor:
    return F.normalize(features, dim=1, eps=1e-10)


def weights_sha256(path: Path | None = None) -> str:
    """Return the SHA-256 of a file, hexadecimal; that of the package's weights if none is named."""
    data = path.read_bytes() if path is not None else (files(__package__) / EMBEDDED).read_bytes()
    return hashlib.sha256(data).hexdigest()


def read_weights(path: Path | None) -> dict[str, Tensor]:
    """Read and check the network's weights, those of the package if no file is named.

    Raises
    ------
    OSError
        If the file is missing, no safetensors file, or has other names or shapes.
    """
    if path is None:
        with as_file(files(__package__) / EMBEDDED) as embedded:
            return read_weights(embedded)
    weights = read_vgg(path)
    expected: dict[str, tuple[int, ...]] = {}
    for name, (inputs, outputs) in SHAPES.items():
        side = 1 if name == "conv0" else 3
        expected[f"{name}.weight"] = (outputs, inputs, side, side)
        expected[f"{name}.bias"] = (outputs,)
    found = {name: tuple(value.shape) for name, value in weights.items()}
    for name in sorted(expected.keys() | found.keys()):
        if expected.get(name) != found.get(name):
            raise OSError(
                f"perceptual weights have {name} of shape {expected.get(name)}, "
                f"not {found.get(name)} as in {path.name}: name the VGG-19 file up to conv3_1"
            )
    return weights


def _pixels(picture: Image.Image) -> NDArray[np.uint8]:
    if picture.mode != "RGB" or min(picture.size) < SMALLEST_SIDE:
        raise ValueError(
            f"pictures are RGB and at least {SMALLEST_SIDE} pixels a side, not {picture.mode} "
            f"{picture.width}x{picture.height}: convert it, or leave this measure out"
        )
    return np.asarray(picture)


def _corners(pixels: NDArray[np.uint8]) -> list[tuple[int, int]]:
    rows, columns = pixels.shape[:2]
    return [
        (top, left)
        for top in range(0, rows, _TILE_ROWS)
        for left in range(0, columns, _TILE_COLUMNS)
    ]
