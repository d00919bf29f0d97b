"""Workers as actors of Ray, on this machine or on a cluster; ``pip install "diffc[ray]"``."""

from __future__ import annotations

import logging
import os
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from diffc.batch.executors import Group, Team, share
from diffc.batch.processes import environment, usable_cores
from diffc.batch.task import Outcome, Task
from diffc.batch.worker import ONE_THREAD, Worker
from diffc.errors import OptionError, reason_of

# of what workers are given and give back at a time, before Ray moves it to the disk
_OBJECT_STORE = 256 << 20
# nothing here tells others that it is used
_QUIET = {"RAY_USAGE_STATS_ENABLED": "0"}


@dataclass(frozen=True)
class Ray:
    """Works in actors of Ray, each of which computes on one thread.

    Machines of the cluster need diffc and the models, but none of the files: actors get bytes and give
    back bytes.  A program that has started Ray keeps it; otherwise it is started, and ended.

    Parameters
    ----------
    workers : int, optional
        How many; as many as there is room for if left out.
    address : str, optional
        Of a cluster, or ``"auto"`` for one that runs here; a local one is started if left out.
    num_cpus, num_gpus : float
        What each takes; fractions of a GPU are shared.  A GPU is used if ``device="cuda"`` is among
        the options.

    Raises
    ------
    ValueError
        If Ray is not installed, or the cluster has less than that.
    """

    workers: int | None = None
    address: str | None = None
    num_cpus: float = 1.0
    num_gpus: float = 0.0

    def __post_init__(self) -> None:
        """Check the numbers."""
        whole = isinstance(self.workers, int) and not isinstance(self.workers, bool)
        if self.workers is not None and not (whole and self.workers >= 1):
            raise ValueError(f"workers are 1 or more, not {self.workers!r}: choose a number")
        for name, least in (("num_cpus", 0.001), ("num_gpus", 0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not value >= least:
                raise ValueError(f"{name} is a number from {least}, not {value!r}: choose one")

    def run(self, task: Task, groups: Iterable[Group]) -> Generator[Outcome, None, None]:
        """Yield the outcome of every job; see `diffc.batch.Executor`."""
        devices = (task.options.get("device"), task.decode_options.get("device"))
        if self.num_gpus and not any(devices) and not os.environ.get("DIFFC_DEVICE"):
            raise ValueError("num_gpus takes GPUs that nothing uses: pass device='cuda', too")
        ray = _ray()
        ours = not ray.is_initialized()
        if ours:
            self._start(ray)
        try:
            yield from share(_Actors(ray, self, task), groups, self._most(ray))
        finally:
            if ours:
                ray.shutdown()

    def _start(self, ray: Any) -> None:
        quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
        if self.address is not None:
            try:
                ray.init(address=self.address, **quiet)
            except (ConnectionError, RuntimeError, ValueError) as error:
                raise OptionError(
                    f"address is that of a cluster of Ray, not {self.address!r} "
                    f"({reason_of(error)}): start one, or leave it out"
                ) from error
            return
        cores = (self.workers or usable_cores()) * self.num_cpus
        with environment(_QUIET):
            ray.init(
                address="local",
                num_cpus=max(1, round(cores + 0.5)),
                include_dashboard=False,
                object_store_memory=_OBJECT_STORE,
                **quiet,
            )

    def _most(self, ray: Any) -> int:
        there = ray.cluster_resources()
        room = int(there.get("CPU", 0) / self.num_cpus)
        if self.num_gpus:
            room = min(room, int(there.get("GPU", 0) / self.num_gpus))
        # one that is never started would keep its files for ever
        if room < (self.workers or 1):
            raise ValueError(
                f"the cluster has room for {room} workers of {self.num_cpus:g} CPUs and "
                f"{self.num_gpus:g} GPUs, not for {self.workers or 1}: ask for fewer or less"
            )
        return self.workers or room


def _ray() -> Any:
    try:
        return import_module("ray")
    except ImportError as error:
        raise OptionError(
            f"executor 'ray' needs {error.name}, which is not installed: pip install 'diffc[ray]'"
        ) from error


def _said(error: Exception) -> str:
    """Return what an error of Ray says, without the report of where."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    first, last = lines[0], lines[-1]
    # what an actor has raised stands at the end of it
    return last if "raised" in first else first


# compared as objects: a worker is itself, whatever it does
@dataclass(eq=False)
class _Actor:
    handle: Any
    # to what it is at, at first to its start
    result: Any
    given: Group | None = None


class _Actors(Team[_Actor]):
    def __init__(self, ray: Any, demands: Ray, task: Task) -> None:
        self._ray = ray
        self._task = ray.put(task)
        self._kind = ray.remote(Worker).options(
            num_cpus=demands.num_cpus,
            num_gpus=demands.num_gpus,
            max_restarts=0,
            runtime_env={"env_vars": ONE_THREAD},
        )
        self._all: list[_Actor] = []

    def start(self) -> _Actor:
        handle = self._kind.remote(self._task)
        member = _Actor(handle, handle.__ray_ready__.remote())
        self._all.append(member)
        return member

    def give(self, member: _Actor, group: Group) -> None:
        if member.result is None:
            member.result = member.handle.work.remote(group)
        else:
            member.given = group

    def wait(self, busy: Iterable[_Actor]) -> Iterator[tuple[_Actor, list[Outcome] | str]]:
        members = {each.result: each for each in busy}
        done, _ = self._ray.wait(list(members), num_returns=1)
        for result in done:
            member = members[result]
            given, member.given, member.result = member.given, None, None
            try:
                found = self._ray.get(result)
            except self._ray.exceptions.RayError as error:
                self._end(member)
                how = f"ended ({_said(error)})"
                if given is not None:
                    raise OSError(
                        f"an actor {how} before it could start: it needs diffc, of the version that "
                        "is here"
                    ) from error
                yield member, how
                continue
            if given is not None:
                self.give(member, given)
            else:
                yield member, found

    def _end(self, member: _Actor) -> None:
        self._ray.kill(member.handle)
        self._all.remove(member)

    def close(self) -> None:
        for each in list(self._all):
            self._end(each)
