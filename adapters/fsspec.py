"""Files at the addresses of fsspec's file systems: ``s3://``, ``memory://``, ``zip://`` and others.

`diffc.save`, `decode` and `info` and the command line come here with an address that their caller
wrote.  Credentials are the user's own, found by fsspec where it always looks for them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

from diffc.file_io import write_whole
from diffc.optional_packages import from_extra

with from_extra("fsspec"):
    from fsspec.core import url_to_fs  # type: ignore[import-untyped]

_LOCAL = ("file", "local")


@contextmanager
def _errors_of(url: str) -> Iterator[None]:
    """Make an `OSError` of what only the library behind a file system knows."""
    try:
        yield
    except (OSError, ValueError, ImportError, MemoryError):
        raise
    # drivers pass on whatever their libraries raise
    except Exception as error:
        reason = str(error) or type(error).__name__
        raise OSError(f"{url} cannot be reached: {reason}") from error


def _file_system(url: str) -> tuple[Any, str]:
    found: tuple[Any, str] = url_to_fs(url)
    return found


@contextmanager
def open_url(url: str) -> Iterator[BinaryIO]:
    """Open a file for reading from its start; see `diffc.urls.open_url`."""
    with _errors_of(url):
        system, path = _file_system(url)
        file = system.open(path, "rb")
    with file:
        yield file


def exists(url: str) -> bool:
    """Return whether there is a file; see `diffc.urls.exists`."""
    with _errors_of(url):
        system, path = _file_system(url)
        return bool(system.exists(path))


def check_url(url: str) -> None:
    """Find the file system that an address names; see `diffc.urls.check_url`."""
    with _errors_of(url):
        _file_system(url)


def write_url(url: str, data: bytes) -> None:
    """Write a file; see `diffc.urls.write_url`.

    On local disks and in object stores it appears whole or not at all; elsewhere that is up to the
    file system.
    """
    with _errors_of(url):
        system, path = _file_system(url)
        protocols = system.protocol if isinstance(system.protocol, tuple) else (system.protocol,)
        if set(protocols) & set(_LOCAL):
            write_whole(path, data)
        else:
            system.pipe_file(path, data)
