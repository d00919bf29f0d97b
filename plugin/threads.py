"""Threads and forked processes.

A process that has computed with several OpenMP threads passes on to a forked child the belief that
they are there; the child's first parallel loop waits for them for ever.  So a child that was forked
while torch was loaded computes on one thread inside diffc.  Files are the same for any number.

Nor are there in the child the threads that hold a lock at the moment of the fork.
"""

from __future__ import annotations

import os
import sys
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager

_forked_with_torch = False
_locks: weakref.WeakSet[ForkSafeLock] = weakref.WeakSet()
# held while packages are imported for the first time: a fork waits, for the child could never
# finish the import that another thread has begun
_importing = threading.RLock()


class ForkSafeLock:
    """A lock that its own thread may take again, and that is free in a forked child."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        _locks.add(self)

    def __enter__(self) -> None:
        """Wait for the lock and take it."""
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        """Give it back."""
        self._lock.release()

    def renew(self) -> None:
        """Forget who holds it."""
        self._lock = threading.RLock()


def _after_fork() -> None:
    global _forked_with_torch
    _forked_with_torch = _forked_with_torch or "torch" in sys.modules
    _importing.release()
    for lock in list(_locks):
        lock.renew()


if hasattr(os, "register_at_fork"):  # not on Windows, where nothing forks
    os.register_at_fork(
        before=_importing.acquire,
        after_in_parent=_importing.release,
        after_in_child=_after_fork,
    )


@contextmanager
def importing() -> Iterator[None]:
    """Import torch and what is made of it here; a fork waits for the end."""
    # what prepares forks itself has to be there before one waits
    import random  # noqa: F401

    with _importing:
        yield


@contextmanager
def usable_threads() -> Iterator[None]:
    """Compute on as many threads as this process can: one after such a fork, else torch's own."""
    if not _forked_with_torch:
        yield
        return
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
