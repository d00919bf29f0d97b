"""Files that are decoded together: those of one codec, model and size."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator

from diffc.batch.task import Job
from diffc.container.reader import read_header
from diffc.errors import FileError

# files that wait for others of their kind: so many batches, and no more bytes
_WINDOW = 8
_MOST_BYTES = 64 << 20


def grouped(jobs: Iterable[Job], size: int) -> Iterator[list[Job]]:
    """Yield groups of up to so many jobs of one kind, near the order in which they come.

    Parameters
    ----------
    jobs : iterable of Job
        With DIFFC files; what is none stays alone.
    size : int
        Most jobs of a group; with 1, nothing is looked into.
    """
    if size == 1:
        yield from ([job] for job in jobs)
        return
    waiting: dict[object, list[Job]] = {}
    for job in jobs:
        kind = _kind(job)
        if kind is None:
            yield [job]
            continue
        group = waiting.setdefault(kind, [])
        group.append(job)
        if len(group) == size:
            yield waiting.pop(kind)
        elif _is_too_much(waiting, size):
            # the oldest has waited longest
            yield waiting.pop(next(iter(waiting)))
    yield from waiting.values()


def _kind(job: Job) -> object:
    try:
        header = read_header(io.BytesIO(job.data).read)
    except FileError:
        return None
    return header.codec, header.fingerprint, header.size, repr(sorted(job.options.items()))


def _is_too_much(waiting: dict[object, list[Job]], size: int) -> bool:
    files = [job for group in waiting.values() for job in group]
    return len(files) >= _WINDOW * size or sum(len(job.data) for job in files) > _MOST_BYTES
