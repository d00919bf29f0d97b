"""How long a base is expected to be."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from photograph import drawn
from PIL import Image, features

from diffc.codecs.relay.expected_length import activity, expected_length
from diffc.codecs.relay.rate_search import base_size
from diffc.codecs.shared.base_pictures.av1_picture import FAST, Av1Coder


def test_more_happens_in_noise_than_in_a_flat_picture() -> None:
    flat = activity(Image.new("RGB", (64, 64), "teal"))
    assert flat < activity(drawn((64, 64), "RGB")) < activity(Image.effect_noise((64, 64), 200))


@pytest.mark.parametrize("size", [(1, 1), (5, 400), (400, 5), (3, 3)])
def test_the_smallest_pictures_have_some_activity(size: tuple[int, int]) -> None:
    assert math.isfinite(activity(Image.new("RGB", size)))


@pytest.mark.parametrize("active", [math.log(0.5), 0.0, 2.3, 5.0])
def test_lengths_rise_with_quality_and_fall_with_scale(active: float) -> None:
    rising = [expected_length((640, 480), active, 2.0, quality) for quality in range(101)]
    assert all(first < second for first, second in pairwise(rising))
    falling = [expected_length((640, 480), active, scale, 20) for scale in (1.0, 1.5, 2.0, 3.0)]
    assert falling == sorted(falling, reverse=True)


@pytest.mark.skipif(not features.check("avif"), reason="Pillow without AVIF")
@pytest.mark.parametrize("scale", [1.0, 2.0])
@pytest.mark.parametrize("quality", [9, 24, 41])
def test_a_picture_is_about_as_long_as_expected(scale: float, quality: int) -> None:
    picture = drawn((768, 512), "RGB")
    smaller = picture.resize(base_size(picture.size, scale))
    coded = Av1Coder(speed=FAST).encode(smaller, quality)
    expected = expected_length(picture.size, activity(picture), scale, quality)
    assert abs(math.log(len(coded)) - expected) < 0.7
