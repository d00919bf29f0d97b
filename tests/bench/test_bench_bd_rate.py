"""BD-rate: published examples, cases with a known answer, and curves that have none."""

from __future__ import annotations

import math

import pytest

from diffc.bench.measures.bd_rate import bd_rate

pytest.importorskip("bjontegaard", reason="needs diffc[bench]")

ANCHOR = [(1.0, 30.0), (2.0, 33.0), (4.0, 35.5), (8.0, 37.0)]

# JCTVC-E137: rates in kbit/s, PSNR in dB, and the BD-rate (PCHIP) that is published for them
PUBLISHED = [
    (
        [(108048.8736, 43.6471), (61279.976, 40.3953), (33905.6656, 37.247), (18883.6928, 34.2911)],
        [
            (108061.2784, 43.6768),
            (61299.9936, 40.4232),
            (33928.7472, 37.2761),
            (18910.912, 34.3147),
        ],
        -0.465215420752807,
    ),
    (
        [(40433.8848, 37.5761), (7622.7456, 35.3756), (2394.488, 33.8977), (1017.6184, 32.0603)],
        [(40370.12, 37.5982), (7587.0024, 35.4025), (2390.0944, 33.9194), (1017.0984, 32.0822)],
        -1.8779823450567612,
    ),
]


@pytest.mark.parametrize(("anchor", "test", "expected"), PUBLISHED)
def test_published_examples(
    anchor: list[tuple[float, float]], test: list[tuple[float, float]], expected: float
) -> None:
    found = bd_rate(anchor, test)
    assert found.percent == pytest.approx(expected, abs=1e-3)
    assert found.note == ""


def test_a_fifth_fewer_bytes() -> None:
    found = bd_rate(ANCHOR, [(0.8 * rate, quality) for rate, quality in ANCHOR])
    assert found.percent == pytest.approx(-20, abs=1e-9)
    assert found.overlap == 1
    assert bd_rate(ANCHOR, ANCHOR).percent == pytest.approx(0, abs=1e-9)


def test_straight_lines_with_other_points() -> None:
    """log2 rate = quality / 3 - 10 and the same plus 1/2, of unlike points and number."""
    anchor = [(2 ** (quality / 3 - 10), quality) for quality in (30, 31, 33, 36)]
    test = [(2 ** (quality / 3 - 9.5), quality) for quality in (29.5, 32, 37)]
    assert bd_rate(anchor, test).percent == pytest.approx(100 * (math.sqrt(2) - 1), abs=1e-6)
    # the order of points does not matter
    assert bd_rate(anchor[::-1], test).percent == bd_rate(anchor, test).percent


def test_where_lower_is_better() -> None:
    anchor = [(rate, -quality) for rate, quality in ANCHOR]
    test = [(0.8 * rate, quality) for rate, quality in anchor]
    assert bd_rate(anchor, test, "lower").percent == pytest.approx(-20, abs=1e-9)


def test_too_few_points() -> None:
    found = bd_rate(ANCHOR, ANCHOR[:2])
    assert found.percent is None
    assert found.note == "a curve needs 3 rising points, the codec has 2"
    assert bd_rate([], ANCHOR).note == "a curve needs 3 rising points, the anchor has 0"


def test_one_file_for_several_targets_is_one_point() -> None:
    found = bd_rate(ANCHOR, [ANCHOR[0], ANCHOR[0], ANCHOR[1], ANCHOR[1]])
    assert found.percent is None
    assert "the codec has 2" in found.note


def test_curves_without_common_quality() -> None:
    found = bd_rate(ANCHOR, [(rate, quality + 20) for rate, quality in ANCHOR])
    assert found.percent is None
    assert found.overlap == 0
    assert "only 0% of the range of quality" in found.note


def test_little_common_quality_is_said() -> None:
    found = bd_rate(ANCHOR, [(rate, quality + 4) for rate, quality in ANCHOR])
    assert found.percent is not None
    assert found.overlap == pytest.approx(3 / 11)
    assert found.note == "from the 27% of the range of quality that both curves cover"
    barely = bd_rate(ANCHOR, [(rate, quality + 6.9) for rate, quality in ANCHOR])
    assert barely.percent is None


def test_points_that_cost_more_and_are_no_better_are_left_out() -> None:
    worse = [*ANCHOR, (5.0, 34.0), (9.0, 37.0)]
    found = bd_rate(ANCHOR, worse)
    assert found.percent == pytest.approx(0, abs=1e-9)
    assert found.note == (
        "2 of 6 points of the codec are left out, which cost more than another and are no better"
    )
    falling = bd_rate(ANCHOR, [(rate, -quality) for rate, quality in ANCHOR])
    assert falling.percent is None
    assert "the codec has 1; 3 of 4 points of the codec are left out" in falling.note


@pytest.mark.parametrize("point", [(0.0, 30.0), (-1.0, 30.0), (1.0, math.nan), (math.inf, 30.0)])
def test_numbers_that_are_none(point: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="finite and rates positive"):
        bd_rate(ANCHOR, [*ANCHOR, point])
