"""Features that change little from one step of a walk to the next, kept for some steps.

The inner layers of a denoiser make most of its work, and what they say changes slowly (DeepCache,
arXiv 2312.00858).  Every so many steps a network runs whole and keeps it; between these its outer
layers run alone and take what was kept.  When is a matter of counting, never of what the features
are, so that encoder and decoder do the same.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor


class FeatureReuse:
    """What the evaluations of one walk keep for each other.

    Parameters
    ----------
    interval : int
        From 1, where every evaluation is whole: the first one is, and every ``interval``-th after it.
    """

    def __init__(self, interval: int) -> None:
        self._interval = interval
        self._evaluations = self._part = 0
        self._kept: list[Tensor] = []

    def next_evaluation(self) -> None:
        """Begin the next evaluation; a picture's parts follow in the same order in each of them."""
        if self._evaluations % self._interval == 0:
            self._kept.clear()
        self._evaluations += 1
        self._part = 0

    def features(self, make: Callable[[], Tensor]) -> Tensor:
        """Return the features of the next part of the picture: made if it has none that are kept."""
        if self._part == len(self._kept):
            self._kept.append(make())
        self._part += 1
        return self._kept[self._part - 1]
