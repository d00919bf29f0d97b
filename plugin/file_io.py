"""Files written whole or not at all, and how standard input and output are called."""

from __future__ import annotations

import errno
import io
import os
import stat
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from diffc.urls import check_url, is_url, write_url

STANDARD = "-"


def check_writable(target: Any) -> Any:
    """Return a target to write to, a path or a binary stream; before the work that it is for.

    Parameters
    ----------
    target : path or file object
        Text, bytes or a path-like; or what has ``write``.  The standard output is its binary one.
        A text such as ``"s3://bucket/a.diffc"`` is an address, which fsspec writes to.

    Raises
    ------
    ValueError
        If it is neither, or a stream for text, for reading, or closed.
    OSError
        If a path is a folder, or lies where nothing can be written.
    """
    if is_url(target):
        check_url(target)
        return target
    if isinstance(target, str | bytes | os.PathLike):
        path = os.fsdecode(target)
        _check_path(path)
        return path
    if target is sys.stdout and isinstance(target, io.TextIOWrapper):
        return target.buffer
    if not hasattr(target, "write"):
        raise ValueError(
            f"a target is a path or a file object, not {type(target).__name__}: pass one of them"
        )
    if isinstance(target, io.TextIOBase):
        raise ValueError("the file is open as text: open it with mode 'wb'")
    if getattr(target, "closed", False) is True:
        raise ValueError("the file is closed: open it with mode 'wb'")
    writable = getattr(target, "writable", None)
    if callable(writable) and writable() is False:
        raise ValueError("the file is open for reading: open it with mode 'wb'")
    return target


def _check_path(path: str) -> None:
    target = Path(os.path.realpath(path))
    fault = 0
    if not path:
        fault = errno.ENOENT
    elif target.is_dir():
        fault = errno.EISDIR
    elif not target.parent.is_dir():
        fault = errno.ENOTDIR if target.parent.exists() else errno.ENOENT
    elif target.exists() and not os.access(target, os.W_OK):
        fault = errno.EACCES
    elif not target.exists() or target.is_file():
        # a file is replaced by another, which the folder has to take
        fault = 0 if os.access(target.parent, os.W_OK | os.X_OK) else errno.EACCES
    if fault:
        raise OSError(fault, os.strerror(fault), path)


def write_to(target: Any, data: bytes) -> None:
    """Write to what `check_writable` has returned."""
    if is_url(target):
        write_url(target, data)
        return
    if isinstance(target, str):
        write_whole(target, data)
        return
    left = memoryview(data)
    while left:
        written = target.write(left if isinstance(target, io.RawIOBase) else data)
        # streams without a buffer may take a part
        if not isinstance(target, io.RawIOBase) or not written:
            return
        left = left[written:]


def part_of(path: str | os.PathLike[str]) -> Path:
    """Return where `write_whole` puts a file that it is told to announce, until it is whole."""
    # takes milliseconds, which a look at a header must not
    import hashlib

    target = Path(os.path.realpath(path))
    # of one length, as a name and more may be too long for a name
    name = hashlib.sha256(os.fsencode(target.name)).hexdigest()[:16]
    return target.with_name(f".{name}.part")


def write_whole(
    path: str | os.PathLike[str], data: bytes, announce: Callable[[], None] | None = None
) -> None:
    """Write a file beside its place and move it there at once.

    A symbolic link stays and its target is replaced; what is no file, such as a pipe, is written
    to.  A file that is replaced leaves its permissions and its owner to the new one.

    Parameters
    ----------
    path : path
        Where to.
    data : bytes
        What the file holds.
    announce : callable, optional
        Called when all is on the disk, and nothing is at its place.  Whoever ends the process
        between there and the move leaves the whole file at `part_of`, which only one may write.
    """
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():
        target.write_bytes(data)
        return
    part = target.with_name(f".{os.urandom(8).hex()}.part")
    if announce is not None:
        part = part_of(target)
        part.unlink(missing_ok=True)
    try:
        with part.open("xb") as file:
            file.write(data)
            file.flush()
            _copy_permissions(target, part)
            os.fsync(file.fileno())
        if announce is not None:
            announce()
        os.replace(part, target)
    except BaseException as error:
        part.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename == str(part):
            # nobody has heard of the part
            raise type(error)(error.errno, error.strerror, os.fspath(path)) from error
        raise


def _copy_permissions(old: Path, new: Path) -> None:
    with suppress(FileNotFoundError):
        known = old.stat()
        if hasattr(os, "chown"):
            # only a superuser may give files away
            with suppress(PermissionError):
                os.chown(new, known.st_uid, known.st_gid)
        new.chmod(stat.S_IMODE(known.st_mode))
