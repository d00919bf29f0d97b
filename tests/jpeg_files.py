"""JPEG files of a photograph, as encoders write them."""

from __future__ import annotations

import io
from typing import Any

from photograph import drawn

KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "full colour": {"subsampling": 0},
    "half colour": {"subsampling": 1},
    "progressive": {"progressive": True},
    "optimised": {"optimize": True},
    "restarts": {"restart_marker_blocks": 3},
    "grey": {"mode": "L"},
    "sides": {"size": (117, 75)},
    "progressive sides": {"size": (117, 75), "progressive": True},
}
SIZE = (144, 96)


def jpeg(quality: int = 25, **options: Any) -> bytes:
    """Return a file; ``size`` and ``mode`` are the picture's, the rest is Pillow's."""
    size, mode = options.pop("size", SIZE), options.pop("mode", "RGB")
    buffer = io.BytesIO()
    drawn(size, mode).save(buffer, "JPEG", quality=quality, **options)
    return buffer.getvalue()
