"""Threads in forked processes.

A process that has computed with several OpenMP threads passes on to a forked child the belief that
they are there; the child's first parallel loop waits for them for ever.  So a child that was forked
while torch was loaded computes on one thread inside diffc.  Files are the same for any number.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_forked_with_torch = False


def _after_fork() -> None:
    global _forked_with_torch
    _forked_with_torch = _forked_with_torch or "torch" in sys.modules


if hasattr(os, "register_at_fork"):  # not on Windows, where nothing forks
    os.register_at_fork(after_in_child=_after_fork)


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
