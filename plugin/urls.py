"""Addresses such as ``s3://bucket/a.diffc``, which fsspec opens where it is installed.

Only the caller's own texts are taken for addresses: never a `pathlib.Path`, nor what a file says.
"""

from __future__ import annotations

import re
from contextlib import AbstractContextManager
from importlib import import_module
from typing import Any, BinaryIO, TypeGuard

# one letter before the colon is a drive of Windows; "::" ties one file system to another
_ADDRESS = re.compile(r"([a-z][a-z0-9+.-]+::)*[a-z][a-z0-9+.-]+://", re.IGNORECASE)


def is_url(name: object) -> TypeGuard[str]:
    """Return whether a name is an address, not a path."""
    return isinstance(name, str) and _ADDRESS.match(name) is not None


def _adapter() -> Any:
    # by name: the core knows no adapter
    return import_module("diffc.adapters.fsspec")


def open_url(url: str) -> AbstractContextManager[BinaryIO]:
    """Open a file at an address for reading from its start.

    Raises
    ------
    ImportError
        If fsspec is missing, or what it needs for such addresses.
    OSError
        If there is no such file, or it cannot be reached.
    """
    opened: AbstractContextManager[BinaryIO] = _adapter().open_url(url)
    return opened


def exists(url: str) -> bool:
    """Return whether there is a file at an address; raises as `open_url` does."""
    return bool(_adapter().exists(url))


def check_url(url: str) -> None:
    """Raise `ImportError` or `ValueError` if files cannot be written to such addresses here."""
    _adapter().check_url(url)


def write_url(url: str, data: bytes) -> None:
    """Write a file to an address; raises as `open_url` does."""
    _adapter().write_url(url, data)
