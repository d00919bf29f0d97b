"""Workers in processes of their own, started afresh."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from diffc.batch.executors import Group, Team, share
from diffc.batch.task import Outcome, Task
from diffc.batch.worker import ONE_THREAD, Worker

_READY = "ready"
_SECONDS_TO_END = 5.0


@dataclass(frozen=True)
class Processes:
    """Works in several processes of this machine, each of which computes on one thread.

    They are started afresh (``spawn``), so a script needs ``if __name__ == "__main__":`` around its
    main part.

    Parameters
    ----------
    workers : int
        How many; by default as many as this process may use cores.
    """

    workers: int | None = None

    def __post_init__(self) -> None:
        """Check the number."""
        if self.workers is not None and (
            isinstance(self.workers, bool)
            or not isinstance(self.workers, int)
            or not 1 <= self.workers <= 1024
        ):
            raise ValueError(f"workers are 1 to 1024, not {self.workers!r}: choose a number")

    def run(self, task: Task, groups: Iterable[Group]) -> Generator[Outcome, None, None]:
        """Yield the outcome of every job; see `diffc.batch.Executor`."""
        return share(_Processes(task), groups, self.workers or usable_cores())


def usable_cores() -> int:
    """Return how many cores this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


# compared as objects: a worker is itself, whatever it does
@dataclass(eq=False)
class _Process:
    process: BaseProcess
    connection: Connection
    ready: bool = False
    # what it is given before it listens: the pipe takes only so much
    given: Group | None = None


class _Processes(Team[_Process]):
    def __init__(self, task: Task) -> None:
        self._task = task
        self._context = multiprocessing.get_context("spawn")
        self._all: list[_Process] = []

    def start(self) -> _Process:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_serve, args=(theirs, self._task), daemon=True)
        with environment(ONE_THREAD), _interrupts_kept_off():
            process.start()
        # the end of the process closes the pipe only if nobody else holds its end
        theirs.close()
        member = _Process(process, ours)
        self._all.append(member)
        return member

    def give(self, member: _Process, group: Group) -> None:
        if not member.ready:
            member.given = group
            return
        # a worker that has died is noticed by waiting for it
        with suppress(OSError):
            member.connection.send(group)

    def wait(self, busy: Iterable[_Process]) -> Iterator[tuple[_Process, list[Outcome] | str]]:
        members = {each.connection: each for each in busy}
        for connection in wait(list(members)):
            assert isinstance(connection, Connection)
            member = members[connection]
            try:
                message: Any = connection.recv()
            # the pipe closes when its process ends
            except (EOFError, OSError):
                yield member, self._death(member)
                continue
            if message == _READY:
                member.ready = True
                assert member.given is not None
                self.give(member, member.given)
            else:
                yield member, message

    def _death(self, member: _Process) -> str:
        member.process.join()
        member.connection.close()
        self._all.remove(member)
        code = member.process.exitcode
        how = (
            f"was ended by signal {-code}"
            if code is not None and code < 0
            else f"ended with {code}"
        )
        if not member.ready:
            raise OSError(
                f"a worker {how} before it could start: see what it says above; a script needs "
                '`if __name__ == "__main__":`'
            )
        return how

    def close(self) -> None:
        for each in self._all:
            each.process.terminate()
        for each in self._all:
            each.process.join(_SECONDS_TO_END)
            if each.process.is_alive():
                each.process.kill()
                each.process.join()
            each.connection.close()
            each.process.close()
        self._all.clear()


def _serve(connection: Connection, task: Task) -> None:
    """Work until nothing more comes; what a process does."""
    # where it is not kept off from the start
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    worker = Worker(task)
    connection.send(_READY)
    with suppress(EOFError, OSError):
        while True:
            connection.send(worker.work(connection.recv()))


def _end_with_parent() -> None:
    """End this process when the main one does, however that ends."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)


@contextmanager
def environment(values: dict[str, str]) -> Iterator[None]:
    """Give processes that are started here other variables."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def _interrupts_kept_off() -> Iterator[None]:
    """Start processes that the terminal's Ctrl-C does not reach: the main one ends them."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
