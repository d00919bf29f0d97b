"""The last encode of a base: by the slow coder, never above the room."""

from __future__ import annotations

import pytest
from photograph import drawn
from PIL import Image, features

from diffc.codecs.relay.rate_search import ROUGH, Trials, fit, refine_base
from diffc.codecs.shared.base_pictures.av1_picture import FAST, Av1Coder

needs_avif = pytest.mark.skipif(not features.check("avif"), reason="Pillow without AVIF")


class Lengths:
    """A coder whose pictures are as long as a table says, and which remembers what it coded."""

    name = "lengths"
    identifier = 0
    qualities = tuple(range(20))
    longest_side = 1000

    def __init__(self, factor: float) -> None:
        self.factor = factor
        self.coded: list[int] = []

    def encode(self, picture: Image.Image, quality: int) -> bytes:
        self.coded.append(quality)
        return bytes(round(self.factor * 100 * 1.1**quality))

    def decode(self, coded: bytes, size: tuple[int, int], *, grey: bool) -> Image.Image:
        raise NotImplementedError


def lengths(factor: float, room: int, index: int) -> tuple[int, list[int]]:
    fast, slow = Lengths(1.0), Lengths(factor)
    trials = Trials(fast, Image.new("RGB", (640, 640)))
    made = refine_base(trials, slow, 1.0, index, room)
    return len(made), slow.coded


@pytest.mark.parametrize("factor", [0.8, 0.9, 0.95, 1.0, 1.03, 1.08, 1.15, 1.5])
@pytest.mark.parametrize("index", [0, 1, 7, 18, 19])
def test_it_fits_with_few_encodes(factor: float, index: int) -> None:
    room = round(100 * 1.1**index * 1.04)
    length, coded = lengths(factor, room, index)
    assert length <= room
    assert 1 <= len(coded) <= 3


@pytest.mark.parametrize("factor", [0.93, 1.0])
def test_what_fits_is_used(factor: float) -> None:
    room = round(100 * 1.1**10)
    length, coded = lengths(factor, room, 10)
    assert length >= 0.9 * room
    assert coded[-1] in (10, 11)


def test_where_the_slow_one_never_fits_the_fast_one_stays() -> None:
    length, coded = lengths(2.0, 200, 7)
    assert length == round(100 * 1.1**7)
    assert coded


def test_it_is_not_chosen_far_below_the_fast_ones_quality() -> None:
    length, coded = lengths(1.4, 200, 7)
    assert length == round(100 * 1.1**7)
    assert coded == [7]


def test_what_the_search_found_is_kept_if_there_is_no_slower_coder() -> None:
    coder = Lengths(1.0)
    trials = Trials(coder, Image.new("RGB", (640, 640)))
    found = trials.coded(1.0, 7)
    assert refine_base(trials, coder, 1.0, 7, 10**6) == found
    assert coder.coded == [7]


def test_a_room_that_the_search_left_is_used() -> None:
    # the search stopped two qualities below what fits
    room = round(100 * 1.1**10)
    assert lengths(1.0, room, 8) == (room, [10])


@needs_avif
@pytest.mark.parametrize("room", [400, 1000])
def test_a_picture_is_coded_more_slowly(room: int) -> None:
    trials = Trials(Av1Coder(speed=FAST), drawn((384, 256), "RGB"))
    found = fit(trials, room, ROUGH)
    assert found is not None
    slow = Av1Coder(speed=4)
    made = refine_base(trials, slow, *found, room)
    assert 0.8 * room < len(made) <= room
    scale, index = found
    near = [slow.encode(trials.scaled(scale), slow.qualities[index + n]) for n in (-1, 0, 1)]
    assert made in near or made == trials.coded(scale, index)
