"""Between Pillow's pictures, which standard coders take, and tensors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from diffc.codec import Picture
from diffc.errors import FileError


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


def pad_picture(picture: Picture, multiple: int) -> Tensor:
    """Return an encoder's pixels, (1, 3, H, W) in [0, 1], sides padded to multiples.

    Raises
    ------
    ValueError
        If they are more pixels than Pillow would open then.
    """
    if complaint := too_large("the picture", *picture.size, multiple):
        raise ValueError(complaint)
    return padded(picture.pixels[None], multiple)


def check_padded_size(size: tuple[int, int], multiple: int) -> None:
    """Require that a file's picture, padded to multiples, has no more pixels than Pillow opens.

    Raises
    ------
    FileError
        If it has.
    """
    if complaint := too_large("the file's picture", *size, multiple):
        raise FileError(complaint)


def crop(pixels: Tensor, size: tuple[int, int]) -> Tensor:
    """Return what a decoder returns, of the first of padded pictures (N, 3, H, W).

    Parameters
    ----------
    pixels : Tensor
        In [0, 1], on any device.
    size : tuple of int
        Width and height to cut them to.
    """
    width, height = size
    return pixels[0, :, :height, :width].float().cpu()


class PictureRows:
    """Pictures of one size as tensors, a few rows at a time; as wide and high as `padded` makes them.

    Parameters
    ----------
    pictures : sequence of PIL.Image.Image
        Of one size, RGB or L.
    multiple : int
        Of the sides after padding.
    device : str
        Where the tensors are made.
    """

    def __init__(self, pictures: Sequence[Image.Image], multiple: int, device: str) -> None:
        self._pictures = pictures
        self._device = device
        width, height = (side + -side % multiple for side in pictures[0].size)
        self.shape = (len(pictures), 3, height, width)

    def __call__(self, rows: slice) -> Tensor:
        """Return rows, (N, 3, rows, W), float32 in [-1, 1]."""
        width, height = self._pictures[0].size
        # of rows that are all added ones, the last of the picture is repeated
        first, last = min(rows.start, height - 1), min(rows.stop, height)
        box = (0, first, width, max(last, first + 1))
        found = torch.stack([to_unit(each.crop(box)) for each in self._pictures])
        below = rows.stop - rows.start - found.shape[2]
        found = F.pad(found, (0, self.shape[3] - width, 0, below), mode="replicate")
        return found.to(self._device)


def too_large(what: str, width: int, height: int, multiple: int) -> str:
    """Say so if padding makes of a thin picture more pixels than Pillow would open.

    Parameters
    ----------
    what : str
        Whose size it is, for the sentence.
    width, height : int
        In pixels.
    multiple : int
        Sides are padded to multiples of it.

    Returns
    -------
    str
        What is wrong; empty if nothing is.
    """
    limit = Image.MAX_IMAGE_PIXELS
    pixels = (width + -width % multiple) * (height + -height % multiple)
    if limit is None or pixels <= 2 * limit:
        return ""
    return (
        f"{what} of {width}x{height} pixels, padded to multiples of {multiple}, exceeds twice "
        "PIL.Image.MAX_IMAGE_PIXELS: raise that limit if it is wanted"
    )
