"""Who works on a batch: this process, others of this machine, or a cluster.

An executor only decides where a worker runs.  What it does there is `diffc.batch.worker`, for all of
them; reading and writing files is the planner's, in the main process.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from typing import Generic, Protocol, TypeVar

from diffc.batch.task import Job, Outcome, Task
from diffc.batch.worker import Worker

Group = Sequence[Job]

# how often a job may be under way when its worker dies
_MOST_DEATHS = 2

Member = TypeVar("Member")


class Executor(Protocol):
    """Runs a batch."""

    def run(self, task: Task, groups: Iterable[Group]) -> Generator[Outcome, None, None]:
        """Yield the outcome of every job, in any order.

        Groups are taken one by one, as workers become free.  Workers end when the iterator does.

        Raises
        ------
        OSError
            If no worker can be started.
        """


class Serial:
    """Works in this process, one file after another."""

    def run(self, task: Task, groups: Iterable[Group]) -> Generator[Outcome, None, None]:
        """Yield the outcome of every job; see `Executor`."""
        worker = Worker(task)
        for group in groups:
            yield from worker.work(group)


class Team(ABC, Generic[Member]):
    """Workers of one kind, each of which has at most one group at a time."""

    @abstractmethod
    def start(self) -> Member:
        """Start another worker."""

    @abstractmethod
    def give(self, member: Member, group: Group) -> None:
        """Give a worker that is free a group; one that has died is noticed in `wait`."""

    @abstractmethod
    def wait(self, busy: Iterable[Member]) -> Iterator[tuple[Member, list[Outcome] | str]]:
        """Wait until some workers are done; yield each with its outcomes, or how it has died.

        Raises
        ------
        OSError
            If a worker has died before it could take any work.
        """

    @abstractmethod
    def close(self) -> None:
        """End all workers at once."""


def share(team: Team[Member], groups: Iterable[Group], most: int) -> Generator[Outcome, None, None]:
    """Let up to so many workers of a team work on groups; yield outcomes as they come.

    What a worker that has died was at is given to another one, file by file; a file at which a
    second one dies is an error of its own.
    """
    coming = iter(groups)
    again: deque[Group] = deque()
    deaths: dict[int, int] = {}
    free: list[Member] = []
    busy: dict[Member, Group] = {}
    ahead: Group | None = next(coming, None)
    try:
        while True:
            while len(busy) < most and (again or ahead):
                member = free.pop() if free else team.start()
                group = again.popleft() if again else ahead
                assert group is not None
                busy[member] = group
                team.give(member, group)
                # read while others work; not more, as every group is held in memory
                if group is ahead:
                    ahead = next(coming, None)
            if not busy:
                return
            done: list[Outcome] = []
            for member, outcomes in team.wait(busy):
                group = busy.pop(member)
                if isinstance(outcomes, str):
                    done += _blamed(group, outcomes, deaths, again)
                else:
                    free.append(member)
                    done += outcomes
            yield from done
    finally:
        team.close()


def _blamed(
    group: Group, how: str, deaths: dict[int, int], again: deque[Group]
) -> Iterator[Outcome]:
    """Yield the outcomes of those whose workers die each time; put the others in line again."""
    for job in group:
        # in a group, it may have been any of them
        deaths[job.number] = deaths.get(job.number, 0) + (len(group) == 1)
        if deaths[job.number] >= _MOST_DEATHS:
            yield Outcome(job.number, error=f"workers die of this file: the last one {how}")
        else:
            again.append([job])
