"""Many pictures: several in one call, or files by the million on one machine or many.

`run` is what ``diffc batch`` does.  An `Executor` decides where the work is done: `Serial`, `Processes`
or `Ray`.
"""

from __future__ import annotations

from diffc.batch.executors import Executor, Serial
from diffc.batch.in_memory import decode_batch, encode_batch
from diffc.batch.processes import Processes
from diffc.batch.ray_actors import Ray
from diffc.batch.results import Row
from diffc.batch.runner import Summary, run

__all__ = [
    "Executor",
    "Processes",
    "Ray",
    "Row",
    "Serial",
    "Summary",
    "decode_batch",
    "encode_batch",
    "run",
]
