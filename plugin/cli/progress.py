"""Progress bars on stderr, where that is a terminal, and lines that do not tear them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from diffc.progress import Progress


class Bars:
    """A bar for each file and one over all if they are several, or one bar over named steps.

    Parameters
    ----------
    files : int
        How many files there are; 0 for `show`.
    """

    def __init__(self, files: int = 0) -> None:
        self._all: Any = None
        self._shown = sys.stderr.isatty()
        if self._shown and files > 1:
            self._all = _bar(total=files, unit="file")

    def __enter__(self) -> None:
        """Do nothing: bars come with what they show."""

    def __exit__(self, *_: object) -> None:
        """Remove the bars."""
        self.close()

    def close(self) -> None:
        """Remove the bars."""
        if self._all is not None:
            self._all.close()
            self._all = None

    def show(self, name: str, done: int, total: int) -> None:
        """Show how many steps are done, and what the next is called."""
        if not self._shown:
            return
        if self._all is None or self._all.total != total:
            self.close()
            self._all = _bar(total=total, initial=done)
        self._all.set_description(name, refresh=False)
        self._all.update(done - self._all.n)
        self._all.refresh()

    def count(self, done: int, total: int, kept: int, remark: str) -> None:
        """Show how many files are done, of which some were there and took no time; and a remark."""
        if not self._shown:
            return
        if self._all is None:
            # the time left follows from all files so far, which differ
            self._all = _bar(total=total, unit="file", smoothing=0)
        self._all.initial = kept
        self._all.set_postfix_str(remark, refresh=False)
        self._all.update(done - self._all.n)

    def complain(self, text: str) -> None:
        """Print a line on stderr beside the bars."""
        self.line(text, sys.stderr)

    @contextmanager
    def file(self, name: str, unit: str = "step") -> Iterator[Progress | None]:
        """Show a file's bar; yield the function that moves it, or None if there are no bars."""
        if not self._shown:
            yield None
            return
        try:
            with _bar(
                desc=Path(name).name,
                unit=unit,
                unit_scale=unit == "B",
                position=int(self._all is not None),
            ) as bar:

                def progress(step: int, total: int) -> None:
                    bar.total = total
                    bar.update(step - bar.n)

                yield progress
        finally:
            # those that failed are done, too
            if self._all is not None:
                self._all.update()

    def line(self, text: str, stream: TextIO) -> None:
        """Print a line beside the bars."""
        if self._shown:
            _tqdm().write(text, file=stream)
        else:
            print(text, file=stream, flush=True)


def _bar(**options: Any) -> Any:
    return _tqdm()(file=sys.stderr, leave=False, dynamic_ncols=True, **options)


def _tqdm() -> Any:
    from tqdm import tqdm  # type: ignore[import-untyped]

    return tqdm
