"""The file that a picture was opened from, where that still is the picture."""

from __future__ import annotations

import io
import os
from pathlib import Path

from PIL import Image, ImageFile


def source_of(image: Image.Image, color: Image.Image) -> bytes | None:
    """Return the bytes of the file that an image was opened from, if its pixels are still these.

    Nothing tells whether pixels of a Pillow image were changed; so the file is decoded and compared.

    Parameters
    ----------
    image : PIL.Image.Image
        As the caller gave it; what is made of an opened image, by ``copy`` too, has no file.
    color : PIL.Image.Image
        What is coded of it, L or RGB.
    """
    if not isinstance(image, ImageFile.ImageFile) or not image.filename:
        return None
    try:
        data = Path(os.fsdecode(image.filename)).read_bytes()
        with Image.open(io.BytesIO(data), formats=[image.format or ""]) as again:
            same = again.convert(color.mode)
    # the file is gone, or is another by now
    except (OSError, ValueError, KeyError):
        return None
    return data if same.size == color.size and same.tobytes() == color.tobytes() else None
