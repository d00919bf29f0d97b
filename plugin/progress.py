"""One count of progress over work in several parts."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, int], None]
"""Called with the step that is done and the number of steps."""

# of one part; parts have steps of their own
_UNITS = 100


def no_progress(step: int, total: int) -> None:
    """Report nothing: the default progress function."""


def part_of(progress: Progress, first: int, several: int, count: int) -> Progress:
    """Return the progress function of ``several`` parts of ``count``, of which ``first`` are done.

    It tells hundredths of parts; but if the parts are all there are, the steps that it is told.
    """
    if several == count:
        return progress

    def told(step: int, total: int) -> None:
        progress(_UNITS * first + _UNITS * several * step // max(1, total), _UNITS * count)

    return told
