"""Whose a file is: ours by its first bytes, or by the extension of its name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from diffc.adapters.opencv.host import failure, find_cv2
from diffc.container.diagnosis import diagnose
from diffc.container.layout import MAGIC

SNIFFED = 16
_EXTENSION = "diffc"


def path_of(filename: Any) -> str:
    """Return a file's name as a text; an empty one for what only OpenCV can answer.

    Raises
    ------
    ValueError
        If it is no name, and OpenCV is missing.
    """
    try:
        return os.fsdecode(filename)
    except TypeError:
        if find_cv2() is not None:
            return ""
    raise failure(f"filename is a text or path, not {type(filename).__name__}: name the file")


def names_ours(name: str) -> bool:
    """Whether a name ends in the extension of DIFFC files."""
    _, dot, extension = name.rpartition(".")
    return bool(dot) and extension.lower() == _EXTENSION


def prefix_of(filename: Any) -> bytes:
    """Return a file's first bytes; none of one that is missing, or that reading would use up."""
    path = Path(path_of(filename))
    try:
        if not path.is_file():
            return b""
        with path.open("rb") as file:
            return file.read(SNIFFED)
    # a name may hold a zero byte
    except (OSError, ValueError):
        return b""


def is_ours(prefix: bytes) -> bool:
    """Whether a file's first bytes are those of a DIFFC file that this release reads."""
    return prefix.startswith(MAGIC) and diagnose(prefix) is None
