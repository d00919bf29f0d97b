"""Vector quantisation: the nearest word of a codebook for every position of a grid."""

from __future__ import annotations

import torch
from torch import Tensor

_POSITIONS = 1 << 14


def nearest(vectors: Tensor, codebook: Tensor) -> Tensor:
    """Return the index of the nearest word, by Euclidean distance, int64 (N, H, W).

    Parameters
    ----------
    vectors : Tensor
        (N, d, H, W), float32.
    codebook : Tensor
        (words, d), float32.
    """
    count, _, rows, columns = vectors.shape
    flat = vectors.permute(0, 2, 3, 1).reshape(-1, codebook.shape[1])
    half = 0.5 * codebook.square().sum(1)
    # the vector's own length is the same for all words; in parts, for memory
    parts = torch.split(flat, _POSITIONS)
    found = [(half - part @ codebook.T).argmin(1) for part in parts]
    return torch.cat(found).reshape(count, rows, columns)


def words(indices: Tensor, codebook: Tensor) -> Tensor:
    """Return the words (N, d, H, W) of indices (N, H, W)."""
    return codebook[indices].permute(0, 3, 1, 2)
