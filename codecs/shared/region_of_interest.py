"""Region-of-interest maps: weights of pixels to weights of latent positions."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from diffc.codecs.shared.latents.patch_transform import PATCH


def pixel_weights(roi: Any, height: int, width: int) -> Tensor:
    """Return weights (height, width), float32 in [0, 1], the largest 1.

    Parameters
    ----------
    roi : PIL image, array or tensor
        (height, width), in [0, 1], or 0 to 255 where it is of bytes.
    height, width : int
        Of the picture, in pixels.

    Raises
    ------
    ValueError
        If its shape or its values are others, or all are zero.
    """
    if isinstance(roi, Image.Image):
        roi = np.array(roi.convert("L"))
    if isinstance(roi, np.ndarray):
        if roi.dtype.kind not in "buif":
            raise ValueError(f"roi is an array of numbers, not of {roi.dtype}: convert it")
        roi = torch.from_numpy(roi.astype(np.uint8 if roi.dtype == np.uint8 else np.float32))
    if not isinstance(roi, Tensor):
        raise ValueError(f"roi is an image or an array, not {type(roi).__name__}: convert it")
    if tuple(roi.shape) != (height, width):
        raise ValueError(
            f"roi has the picture's {height} rows and {width} columns, not {tuple(roi.shape)}: "
            "resize it"
        )
    weights = roi.float() / 255 if roi.dtype == torch.uint8 else roi.float()
    if not (torch.isfinite(weights).all() and weights.min() >= 0 and 0 < weights.max() <= 1):
        raise ValueError(
            f"roi has weights in [0, 1] that are not all 0, not {float(weights.min())} to "
            f"{float(weights.max())}: scale it"
        )
    return weights / weights.max()


def position_weights(
    roi: Any, pixels: torch.Size, positions: torch.Size, patch: int = PATCH
) -> Tensor:
    """Average weights over the latent's positions, (1, 1, rows, columns).

    Positions that no pixel falls on weigh as much as their neighbours.  Bytes for padding look like
    a waste, but what is left there without bytes spreads into the border.

    Parameters
    ----------
    roi : PIL image, array, tensor or None
        As for `pixel_weights`; None weighs all pixels alike.
    pixels, positions : torch.Size
        Rows and columns of the picture and of the latent.
    patch : int
        Pixels along a side for each position.
    """
    height, width = pixels
    weights = (
        torch.ones(height, width, dtype=torch.float32)
        if roi is None
        else pixel_weights(roi, height, width)
    )
    mean = F.avg_pool2d(weights[None, None], patch, ceil_mode=True, count_include_pad=False)
    below, right = positions[0] - mean.shape[2], positions[1] - mean.shape[3]
    return F.pad(mean, (0, right, 0, below), mode="replicate")
