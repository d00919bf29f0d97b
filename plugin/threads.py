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
from functools import lru_cache
from importlib import import_module

_forked_with_torch = False
_used = False
_locks: weakref.WeakSet[ForkSafeLock] = weakref.WeakSet()
# threads that use torch for the first time, and what a fork waits for until there are none
_beginners: set[int] = set()
_gate = threading.Condition()
_LONGEST_WAIT = 60.0  # seconds


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
    _beginners.clear()
    for lock in list(_locks):
        lock.renew()


if hasattr(os, "register_at_fork"):  # not on Windows, where nothing forks
    os.register_at_fork(after_in_child=_after_fork)


def _wait() -> None:
    _gate.acquire()
    _gate.wait_for(lambda: _beginners <= {threading.get_ident()}, _LONGEST_WAIT)


@lru_cache(maxsize=1)
def _prepare_forks() -> None:
    # the last to be registered is the first to wait: these hold locks that torch's import needs
    for name in ("concurrent.futures.thread", "logging", "random"):
        import_module(name)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(
            before=_wait, after_in_parent=_gate.release, after_in_child=_gate.release
        )


@contextmanager
def first_use() -> Iterator[None]:
    """Import torch, and use it for the first time; a fork waits for the end.

    A child could never finish an import that another thread has begun, and torch imports some of
    its modules when they are first needed.
    """
    _prepare_forks()
    thread = threading.get_ident()
    with _gate:
        nested = thread in _beginners
        _beginners.add(thread)
    try:
        yield
    finally:
        if not nested:
            with _gate:
                _beginners.discard(thread)
                _gate.notify_all()


@contextmanager
def ready_to_fork() -> Iterator[None]:
    """Encode or decode; a fork waits for the end of the first time."""
    global _used
    if _used:
        yield
        return
    with first_use():
        yield
    _used = True


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


@contextmanager
def on_one_thread() -> Iterator[None]:
    """Compute on one thread, so that sums of floats do not depend on the cores of a machine."""
    with first_use():
        import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
