"""From inputs to results: what is there is kept, the rest goes to an executor."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from diffc.batch.executors import Executor, Group, Serial
from diffc.batch.groups import grouped
from diffc.batch.items import Item, Plan
from diffc.batch.results import Results, Row, hash_of
from diffc.batch.task import Job, Outcome, Task, Verb
from diffc.errors import reason_of
from diffc.registration import EXTENSION

RESULTS = "diffc-batch.jsonl"
_BATCH = 8
_MOST_KNOWN = 10_000


@dataclass(frozen=True)
class Summary:
    """How far a batch has come.

    Parameters
    ----------
    made : int
        Files that were coded.
    kept : int
        Files that were there already, made of the same source in the same way.
    failed : int
        Files that could not be made.
    source_bytes, target_bytes : int
        Of those that were made.
    seconds : float
        Since the start.
    total : int
        Files of the batch.
    """

    made: int = 0
    kept: int = 0
    failed: int = 0
    source_bytes: int = 0
    target_bytes: int = 0
    seconds: float = 0.0
    total: int = 0

    @property
    def done(self) -> int:
        """Files that nothing more is to be done with."""
        return self.made + self.kept + self.failed


Watcher = Callable[[Row, Summary], None]


def run(
    verb: Verb,
    inputs: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    output: str | os.PathLike[str] | None = None,
    *,
    results: str | os.PathLike[str] | None = None,
    executor: Executor | None = None,
    batch_size: int | None = None,
    extension: str | None = None,
    icc: str = "convert",
    keep_metadata: bool = False,
    decode_options: dict[str, Any] | None = None,
    initializer: Callable[[], object] | None = None,
    force: bool = False,
    fail_fast: bool = False,
    plan_only: bool = False,
    watch: Watcher | None = None,
    **options: Any,
) -> Summary:
    """Encode, decode or transcode many files; go on where an earlier run has ended.

    What a file becomes does not depend on the executor, on the number of its workers, or on the size
    of batches; but for decoding on a GPU, where pixels may differ by one level of 255 with the latter.

    Parameters
    ----------
    verb : {"encode", "decode", "transcode"}
        Make DIFFC files of pictures, pictures of DIFFC files, or other DIFFC files of DIFFC files.
    inputs : path or sequence of path
        Folders, files, patterns, and manifests (``.jsonl``); see docs/batch.md.
    output : path, optional
        A folder for the outputs, which lie in it as inputs lie in theirs; otherwise beside the inputs.
    results : path, optional
        File of rows, one a file; ``diffc-batch.jsonl`` in the folder for the outputs if left out.
    executor : Executor, optional
        `Serial`, `Processes` or `Ray`; the first one if left out.
    batch_size : int, optional
        How many files of one size a worker is given to decode at a time; 1 on the CPU and 8 elsewhere
        if left out.
    extension : str, optional
        Of decoded pictures that no manifest names; ``.png`` if left out.
    icc : {"convert", "keep"}
        Of "encode": convert colours to sRGB, or store the picture's profile.
    keep_metadata : bool
        Of "encode": store EXIF and XMP.
    decode_options : dict, optional
        Keywords of `diffc.decoding` for "transcode".
    initializer : callable, optional
        Called once in every worker; such as one that registers a codec.
    force : bool
        Replace files that no run with these results has made.
    fail_fast : bool
        End with the first file that fails.
    plan_only : bool
        Code nothing and write nothing; count what would be ``made``.
    watch : callable, optional
        Called with each row and the summary so far.
    **options
        Keywords of `diffc.encode`; of `diffc.decoding` for "decode".

    Raises
    ------
    ValueError
        If an option is wrong, or an input is missing.
    OSError
        If results cannot be written, or workers cannot be started.
    """
    if icc not in ("convert", "keep"):
        raise ValueError(f"icc is 'convert' or 'keep', not {icc!r}: choose one of them")
    task = Task(verb, options, decode_options or {}, icc == "keep", keep_metadata, initializer)
    task.check()
    named = [inputs] if isinstance(inputs, str | os.PathLike) else inputs
    plan = Plan([os.fspath(each) for each in named], output, verb, _extension(verb, extension))
    size = _batch_size(task, batch_size)
    with Results(_results(results, output), fixed=plan_only) as rows:
        batch = _Batch(task, rows, watch, Summary(total=plan.count()))
        batch.force, batch.fail_fast = force, fail_fast
        batch.work_through(plan, None if plan_only else executor or Serial(), size)
    return batch.summary


def _extension(verb: Verb, extension: str | None) -> str:
    if verb != "decode":
        if extension is not None:
            raise ValueError(f"extension is a choice of 'decode', not of {verb!r}: drop it")
        return EXTENSION
    from diffc.pictures.reading import writable_format

    chosen = ".png" if extension is None else f".{extension.removeprefix('.')}"
    writable_format(f"picture{chosen}")
    return chosen


def _results(results: str | os.PathLike[str] | None, output: str | os.PathLike[str] | None) -> str:
    if results is not None:
        return os.fspath(results)
    if output is None:
        raise ValueError(
            "results lie in the folder for the outputs, and there is none: name one, or a file "
            "for the results"
        )
    return os.path.join(output, RESULTS)


def _batch_size(task: Task, given: int | None) -> int:
    if given is not None and (isinstance(given, bool) or not isinstance(given, int) or given < 1):
        raise ValueError(f"batch_size is a whole number from 1, not {given!r}: choose one")
    if task.verb != "decode":
        return 1
    device = task.options.get("device") or os.environ.get("DIFFC_DEVICE") or "cpu"
    return given or (1 if str(device).startswith("cpu") else _BATCH)


class _FirstFailure(Exception):
    """A file has failed, and that is to be the end."""


class _Batch:
    """One run: what is under way, and what has become of the rest."""

    force = False
    fail_fast = False

    def __init__(
        self, task: Task, results: Results, watch: Watcher | None, summary: Summary
    ) -> None:
        self.task = task
        self.results = results
        self.summary = summary
        self._watch = watch
        self._start = time.perf_counter()
        # hashes of options that are right
        self._known: set[str] = set()
        # what its rows have been told, by number of the job
        self._under_way: dict[int, Row] = {}

    def work_through(self, plan: Iterable[Item], executor: Executor | None, size: int) -> None:
        """Code what has to be; nothing without an executor, which is only counted."""
        if executor is None:
            with suppress(_FirstFailure):
                for item in plan:
                    if (row := self._planned(item)) is not None:
                        self._count(row, made=1)
            return
        # workers end with the loop, whatever ends that
        with (
            suppress(_FirstFailure),
            closing(executor.run(self.task, self._groups(plan, size))) as outcomes,
        ):
            for outcome in outcomes:
                self._finish(outcome)

    def _groups(self, plan: Iterable[Item], size: int) -> Iterator[Group]:
        return grouped(self._jobs(plan), size)

    def _jobs(self, plan: Iterable[Item]) -> Iterator[Job]:
        for number, item in enumerate(plan):
            row = self._planned(item)
            if row is None:
                continue
            try:
                data = Path(item.source).read_bytes()
            except OSError as error:
                self._fail(row, reason_of(error))
                continue
            self._under_way[number] = row
            options = self.task.with_own(item.options)
            yield Job(number, data, options, os.path.basename(item.target))

    def _planned(self, item: Item) -> Row | None:
        """Return the row of a file that has to be coded; None if that is settled."""
        row = Row(item.source, None)
        try:
            if item.error is not None:
                raise ValueError(item.error)
            found = os.stat(item.source)
            row = replace(
                row,
                options_hash=self._checked(item.options),
                source_bytes=found.st_size,
                source_modified=found.st_mtime_ns,
            )
            earlier = self._taken(item)
        except (OSError, ValueError) as error:
            self._fail(row, reason_of(error))
            return None
        row = replace(row, target=item.target)
        if earlier is None:
            return row
        if earlier.status == "ok" and earlier.is_of(row) and self.results.holds(earlier):
            self._count(earlier, kept=1)
            return None
        return replace(row, sha256=earlier.sha256)

    def _checked(self, own: dict[str, Any]) -> str:
        """Return the hash of a file's options; see `Task.check_options` for errors."""
        options = self.task.with_own(own)
        digest = self.task.digest(options)
        # those of most files are those of others
        if own and digest not in self._known:
            self.task.check_options(options)
            if len(self._known) < _MOST_KNOWN:
                self._known.add(digest)
        return digest

    def _taken(self, item: Item) -> Row | None:
        """Take the target for this file; return the row of an earlier run, if there is one.

        Raises
        ------
        ValueError
            If it is somebody else's.
        """
        if os.path.exists(item.target):
            if os.path.samefile(item.source, item.target):
                raise ValueError("input and output are the same file: choose another folder")
            if not os.path.isfile(item.target):
                raise ValueError(f"{item.target} is no file: choose another folder")
        if not self.results.take(item.target):
            raise ValueError(f"{item.target} is another input's output: rename one of them")
        earlier = self.results.find(item.target)
        ours = earlier is not None and earlier.sha256 is not None
        if not ours and not self.force and os.path.exists(item.target):
            raise ValueError(
                f"{item.target} is there, and not by these results: move it away, or use force"
            )
        return earlier

    def _finish(self, outcome: Outcome) -> None:
        row = self._under_way.pop(outcome.number)
        row = replace(row, seconds=round(outcome.seconds, 4), warnings=outcome.warnings)
        if outcome.data is None:
            self._fail(row, outcome.error or "nothing was made")
            return
        assert row.source_bytes is not None
        coded = row.source_bytes if self.task.verb == "decode" else len(outcome.data)
        made = replace(
            row,
            status="ok",
            bytes=len(outcome.data),
            bpp=8 * coded / outcome.pixels,
            codec=outcome.codec,
            sha256=hash_of(outcome.data),
        )
        try:
            self.results.place(made, outcome.data)
        except OSError as error:
            self._fail(row, f"{row.target}: {reason_of(error)}")
            return
        self._count(made, made=1)

    def _fail(self, row: Row, error: str) -> None:
        failed = replace(row, error=error)
        self.results.add(failed)
        self._count(failed, failed=1)
        if self.fail_fast:
            raise _FirstFailure

    def _count(self, row: Row, *, made: int = 0, kept: int = 0, failed: int = 0) -> None:
        old = self.summary
        self.summary = replace(
            old,
            made=old.made + made,
            kept=old.kept + kept,
            failed=old.failed + failed,
            source_bytes=old.source_bytes + made * (row.source_bytes or 0),
            target_bytes=old.target_bytes + made * (row.bytes or 0),
            seconds=time.perf_counter() - self._start,
        )
        if self._watch is not None:
            self._watch(row, self.summary)
