"""A real photograph for tests, in any size and mode."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

PHOTO = Path(__file__).parent / "data" / "photograph.jpg"


def drawn(size: tuple[int, int], mode: str) -> Image.Image:
    """Return the photograph in a size and mode."""
    with Image.open(PHOTO) as photo:
        return photo.convert(mode).resize(size)
