"""The limit on pictures that padding makes larger than Pillow would open."""

from __future__ import annotations

from PIL import Image


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
