"""One count of progress over work in several parts."""

from __future__ import annotations

from collections.abc import Callable

# of one part; parts have steps of their own
_UNITS = 100


def part_of(
    progress: Callable[[int, int], None], first: int, several: int, count: int
) -> Callable[[int, int], None]:
    """Return the progress function of ``several`` parts of ``count``, of which ``first`` are done.

    It tells hundredths of parts; but if the parts are all there are, the steps that it is told.
    """
    if several == count:
        return progress

    def told(step: int, total: int) -> None:
        progress(_UNITS * first + _UNITS * several * step // max(1, total), _UNITS * count)

    return told
