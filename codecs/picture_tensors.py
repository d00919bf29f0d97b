"""Between Pillow's pictures, which standard coders take, and tensors."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F


def grey_or_color(image: Tensor) -> Image.Image:
    """Return pixels (3, H, W) in [0, 1] as an RGB picture, or L if they have no colour."""
    values = image.mul(255).round_().to(torch.uint8)
    if bool((values[0] == values[1]).all() and (values[1] == values[2]).all()):
        return Image.fromarray(values[0].contiguous().numpy())
    return Image.fromarray(values.permute(1, 2, 0).contiguous().numpy())


def to_unit(picture: Image.Image) -> Tensor:
    """Return a picture as (3, H, W), float32 in [-1, 1]."""
    array = np.array(picture.convert("RGB"))
    return torch.from_numpy(array).permute(2, 0, 1).float().div_(127.5).sub_(1)


def padded(pixels: Tensor, multiple: int) -> Tensor:
    """Repeat the last row and column of (N, C, H, W) until both sides are multiples."""
    height, width = pixels.shape[2:]
    return F.pad(pixels, (0, -width % multiple, 0, -height % multiple), mode="replicate")
