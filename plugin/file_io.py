"""Files written whole or not at all, and how standard input and output are called."""

from __future__ import annotations

import os
from pathlib import Path

STANDARD = "-"


def write_whole(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file beside its place and move it there at once.

    A symbolic link stays and its target is replaced; what is no file, such as a pipe, is written
    to.
    """
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():
        target.write_bytes(data)
        return
    part = target.with_name(f".{os.urandom(8).hex()}.part")
    try:
        with part.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
