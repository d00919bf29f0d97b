"""How far the patches of decoded pictures are, as a set, from those of the originals.

Squared maximum mean discrepancy with the cubic polynomial kernel, without bias, as in the kernel
inception distance (Binkowski, Sutherland, Arbel and Gretton, "Demystifying MMD GANs", 2018), but of
patches of photos and on VGG-19 features; it is not KID, and only numbers made by this module
compare with each other.

The features of a patch of 64x64 pixels are mean and standard deviation of the 256 channels after
conv3_1 over the patch.  The channels have unit length at each position before, and the result is
multiplied by the root of the number of dimensions.  Mean and standard deviation of unit vectors
have together unit length, so each patch is a point on a sphere on which the kernel of a patch with
itself is (1 + 1)^3: the scale depends on no data.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

Array = NDArray[np.floating[Any]]
Sums = NDArray[np.float64]

# positions of conv3_1 in 64 pixels
_SIDE = 16
# rows of kernel values at a time; with 30,000 patches they take 120 MB
_ROWS = 512


@dataclass(frozen=True)
class PatchDistance:
    """An estimate over pictures.

    Parameters
    ----------
    value : float
        Squared maximum mean discrepancy; can be slightly negative, as it has no bias.
    standard_error : float, optional
        By leaving one picture out at a time; None with fewer than three pictures.
    """

    value: float
    standard_error: float | None


def patch_features(features: Tensor) -> NDArray[np.float32]:
    """Pool features over patches.

    Patches do not overlap, but for the last of a row or column, which ends with the picture; a
    picture smaller than a patch is one.

    Parameters
    ----------
    features : Tensor
        (channels, rows, columns), of unit length over the channels, four pixels apart.

    Returns
    -------
    ndarray
        float32 (patches, 2 * channels).
    """
    import torch

    pooled = []
    for rows in _spans(features.shape[1]):
        for columns in _spans(features.shape[2]):
            patch = features[:, rows, columns].flatten(1).double()
            pooled.append(torch.cat([patch.mean(1), patch.std(1, correction=0)]))
    scale = math.sqrt(2 * features.shape[0])
    return (torch.stack(pooled) * scale).float().numpy()


def _spans(length: int) -> list[slice]:
    if length <= _SIDE:
        return [slice(0, length)]
    starts = [*range(0, length - _SIDE, _SIDE), length - _SIDE]
    return [slice(start, start + _SIDE) for start in starts]


def patch_distance(first: Array, second: Array) -> float:
    """Return the squared maximum mean discrepancy of two sets, unbiased for independent ones.

    Parameters
    ----------
    first, second : ndarray
        (patches, dimensions) each, at least two patches.  The numbers of patches may differ.

    Raises
    ------
    ValueError
        If the shapes do not fit.
    """
    _check(first, second)
    within = 0.0
    for features in (first, second):
        sums = _kernel_sums([features], [features])[0, 0] - _diagonal(features, features).sum()
        within += sums / (len(features) * (len(features) - 1))
    across = _kernel_sums([first], [second])[0, 0] / (len(first) * len(second))
    return float(within - 2 * across)


def paired_patch_distance(originals: Sequence[Array], decoded: Sequence[Array]) -> PatchDistance:
    """Return the distance of decoded pictures from their own originals.

    The two sets are not independent: each patch has its original in the other set.  As in equation
    4 of Gretton et al., "A kernel two-sample test", 2012, these pairs are left out, so that perfect
    decoding gives 0; with them it would be below.

    Parameters
    ----------
    originals, decoded : sequence of ndarray
        For each picture (patches, dimensions), in the same order and of equal shapes.

    Raises
    ------
    ValueError
        If they do not pair up.
    """
    shapes = [[each.shape for each in pictures] for pictures in (originals, decoded)]
    if shapes[0] != shapes[1] or not shapes[0]:
        raise ValueError(
            f"patches pair up picture by picture, not {len(originals)} pictures with "
            f"{len(decoded)} or of other shapes: pass the same pictures in the same order"
        )
    _check(np.concatenate(originals), np.concatenate(decoded))
    across = _kernel_sums(originals, decoded)
    # over the pairs of pictures, so that leaving a picture out costs nothing
    sums = _kernel_sums(originals, originals) + _kernel_sums(decoded, decoded) - across - across.T
    diagonals = np.array(
        [
            _diagonal(ours, ours).sum()
            + _diagonal(theirs, theirs).sum()
            - 2 * _diagonal(ours, theirs).sum()
            for ours, theirs in zip(originals, decoded, strict=True)
        ]
    )
    patches = np.array([len(each) for each in originals])

    def estimate(kept: NDArray[np.bool_]) -> float:
        count = int(patches[kept].sum())
        total = sums[np.ix_(kept, kept)].sum() - diagonals[kept].sum()
        return float(total / (count * (count - 1)))

    everything = np.ones(len(patches), bool)
    value = estimate(everything)
    if len(patches) < 3:
        return PatchDistance(value, None)
    without = [estimate(np.arange(len(patches)) != index) for index in range(len(patches))]
    spread = np.var(without) * (len(patches) - 1)
    return PatchDistance(value, float(math.sqrt(spread)))


def _check(first: Array, second: Array) -> None:
    shapes = (first.shape, second.shape)
    if any(len(shape) != 2 or shape[0] < 2 for shape in shapes) or shapes[0][1] != shapes[1][1]:
        raise ValueError(
            "sets of patches are (patches, dimensions) with two patches or more and equal "
            f"dimensions, not {shapes[0]} and {shapes[1]}: use larger pictures, or more"
        )


def _kernel(first: Array, second: Array) -> Sums:
    values: Sums = first.astype(np.float64) @ second.astype(np.float64).T
    values /= first.shape[1]
    values += 1
    # in products: a power of 3 goes through logarithms
    cubes: Sums = np.square(values)
    cubes *= values
    return cubes


def _diagonal(first: Array, second: Array) -> Sums:
    products = (first.astype(np.float64) * second.astype(np.float64)).sum(1)
    return np.asarray((products / first.shape[1] + 1) ** 3)


def _kernel_sums(first: Sequence[Array], second: Sequence[Array]) -> Sums:
    """Return sums of kernel values, (pictures of the first, pictures of the second)."""
    other = np.concatenate([each.astype(np.float64) for each in second])
    starts = np.cumsum([0, *(len(each) for each in second[:-1])])
    sums = np.zeros((len(first), len(second)))
    for row, features in enumerate(first):
        for start in range(0, len(features), _ROWS):
            values = _kernel(features[start : start + _ROWS], other)
            sums[row] += np.add.reduceat(values.sum(0), starts)
    return sums
