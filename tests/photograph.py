"""A real photograph for tests, in any size and mode; and how far pictures are apart."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from PIL import Image

PHOTO = Path(__file__).parent / "data" / "photograph.jpg"


def drawn(size: tuple[int, int], mode: str) -> Image.Image:
    """Return the photograph in a size and mode."""
    with Image.open(PHOTO) as photo:
        return photo.convert(mode).resize(size)


def psnr(first: Image.Image, second: Image.Image) -> float:
    """Return the peak signal-to-noise ratio of two pictures of one mode in dB."""
    difference = np.asarray(first, dtype=float) - np.asarray(second, dtype=float)
    return 10 * math.log10(255**2 / max(float(np.mean(difference**2)), 1e-9))
