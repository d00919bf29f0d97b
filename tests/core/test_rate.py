"""The search of a ladder: what a rate allows, in few tries, and the true reach."""

from __future__ import annotations

import pickle
from collections.abc import Sequence

import pytest

from diffc.codec import Encoded, Rate
from diffc.errors import RateError


class Ladder:
    """Rungs of given lengths, which counts what is coded."""

    def __init__(self, lengths: Sequence[int]) -> None:
        self.lengths = lengths
        self.made: list[int] = []

    def make(self, rung: int) -> Encoded:
        assert rung not in self.made
        self.made.append(rung)
        return Encoded(bytes(self.lengths[rung]), b"pp")

    def largest(self, rate: Rate) -> int:
        self.made = []
        return len(rate.largest(range(len(self.lengths)), self.make).payload)


def at_most(total: int) -> Rate:
    return Rate(limit=lambda parameters: total - parameters)


LONG = [300 + 10 * rung for rung in range(1000)]
TINY = [20, 18, 19, 17, 30, 29, 31, 40, 40, 35]


def test_a_limit_is_met_by_bisection() -> None:
    ladder = Ladder(LONG)
    for total in (302, 303, 311, 312, 5000, 10292, 10**6):
        assert ladder.largest(at_most(total)) == min((total - 302) // 10 * 10 + 300, LONG[-1])
        assert len(ladder.made) <= 13


@pytest.mark.parametrize("lengths", [TINY, LONG, [7], [9, 9, 9], [500, 400, 600]])
def test_bytes_rise_with_the_quality(lengths: list[int]) -> None:
    found = [Ladder(lengths).largest(Rate(quality=quality)) for quality in range(0, 101, 5)]
    assert found == sorted(found)
    assert found[-1] == lengths[-1]


@pytest.mark.parametrize("lengths", [TINY, [7], [9, 9, 9], [500, 400, 600], LONG[:40]])
def test_between_the_ends_of_the_reach_every_limit_is_met(lengths: list[int]) -> None:
    ladder = Ladder(lengths)
    with pytest.raises(RateError) as caught:
        ladder.largest(at_most(0))
    lowest, highest = caught.value.lowest, caught.value.highest
    assert (lowest, highest) == (min(lengths) + 2, max(lengths[-1], min(lengths)) + 2)
    for total in range(lowest, highest + 3):
        assert ladder.largest(at_most(total)) <= total - 2
    with pytest.raises(RateError):
        ladder.largest(at_most(lowest - 1))


def test_the_upper_end_is_coded_when_somebody_asks() -> None:
    ladder = Ladder(LONG)
    with pytest.raises(RateError) as caught:
        ladder.largest(at_most(100))
    error = caught.value
    assert error.lowest == 302
    assert 999 not in ladder.made
    assert error.highest == LONG[-1] + 2
    assert 999 in ladder.made
    again = pickle.loads(pickle.dumps(error))
    assert (again.lowest, again.highest) == (error.lowest, error.highest)
    assert str(again) == "reachable payloads have 302 to 10292 bytes for this image"


def test_a_quality_is_no_limit() -> None:
    assert not Rate().bounded
    with pytest.raises(ValueError, match=r"ask Rate\.bounded first"):
        Rate().room()
