"""Folders for what is not whole yet: on the store's disk, and gone when something goes wrong."""

from __future__ import annotations

import errno
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from diffc.models.store import staging_folder
from diffc.progress import Progress

# beside the files themselves, for the system and for records
_MARGIN = 64 << 20
# what a killed process left behind is nobody's after three days
_STALE_SECONDS = 3 * 86400
_INTERVAL_SECONDS = 0.25


@contextmanager
def staging() -> Iterator[Path]:
    """Yield an empty folder that is removed after the block, whatever happens in it."""
    parent = staging_folder()
    parent.mkdir(parents=True, exist_ok=True)
    for left in parent.iterdir():
        if time.time() - left.stat().st_mtime > _STALE_SECONDS:
            shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=parent, ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def check_room(folder: Path, size: int, name: str) -> None:
    """Refuse what does not fit, before it is begun.

    Raises
    ------
    OSError
        If the disk of a folder has less than ``size`` bytes left.
    """
    free = shutil.disk_usage(folder).free
    if free < size + _MARGIN:
        raise OSError(
            errno.ENOSPC,
            f"{name!r} takes {size >> 20} MiB, and {folder.parent} has {free >> 20} MiB left: make "
            "room, or name another folder in DIFFC_STORE",
        )


@contextmanager
def watched(folder: Path, total: int, progress: Progress | None) -> Iterator[None]:
    """Report how many bytes a folder holds, half-finished files included, while the block runs.

    What ``progress`` raises comes through at the end of the block.
    """
    if progress is None:
        yield
        return
    done = threading.Event()
    raised: list[BaseException] = []

    def watch() -> None:
        try:
            while not done.wait(_INTERVAL_SECONDS):
                progress(min(_bytes_in(folder), total), total)
        except BaseException as error:  # noqa: BLE001 - raised where the caller is
            raised.append(error)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()
    if raised:
        raise raised[0]
    progress(total, total)


def _bytes_in(folder: Path) -> int:
    size = 0
    for path in folder.rglob("*"):
        # files are renamed meanwhile
        try:
            size += path.stat().st_size if path.is_file() else 0
        except OSError:
            continue
    return size
