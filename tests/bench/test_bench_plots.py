"""Plots: two files a measure, the same bytes every time, gaps, and names that do not collide."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from PIL import Image

from diffc.bench.measures.available import MEASURES
from diffc.bench.report.plots import _LINE_HEIGHT, Curve, _spread, write_plot

pytest.importorskip("matplotlib", reason="needs diffc[bench]")

CURVES: dict[str, Curve] = {
    "ddcm": [(0.05, 26.0), (0.1, 27.5), (0.2, 29.0)],
    "avif": [(0.1, 28.0), (0.2, 30.0)],
    "webp": [(0.1, None), (0.2, 28.5)],
    "jpeg": [],
}
SVG = "{http://www.w3.org/2000/svg}"


def strokes(path: Path) -> list[str]:
    """Return the lines of curves in an SVG, as their path data."""
    groups = ET.parse(path).getroot().iter(f"{SVG}g")
    return [
        line.get("d", "")
        for group in groups
        if group.get("id", "").startswith("line2d")
        for line in group.findall(f"{SVG}path")
        if "stroke-width: 1.8" in line.get("style", "")
    ]


@pytest.mark.parametrize("logarithmic", [False, True])
def test_files(tmp_path: Path, logarithmic: bool) -> None:
    unreached = {"avif": [(0.06, 27.0)], "jpeg": [(0.3, 25.0)]}
    files = write_plot(
        tmp_path / "psnr.kodak",
        MEASURES["psnr"],
        CURVES,
        unreached,
        logarithmic=logarithmic,
        title="Kodak",
    )
    assert [file.name for file in files] == ["psnr.kodak.png", "psnr.kodak.svg"]
    with Image.open(files[0]) as picture:
        assert picture.size == (1152, 720)
        assert "Software" not in picture.info
        colours = picture.convert("RGB").getcolors(2**20) or []
    # a hollow marker of the last codec
    assert (0xCC, 0x79, 0xA7) in {colour for _, colour in colours}
    text = files[1].read_text(encoding="utf-8")
    assert "dc:date" not in text
    assert "bits per pixel of the file  (hollow: larger than asked for)" in text


def test_the_same_bytes_every_time(tmp_path: Path) -> None:
    import matplotlib as mpl

    first = write_plot(tmp_path / "first", MEASURES["vgg"], CURVES)
    # nor does a user's style count
    with mpl.rc_context({"axes.facecolor": "black", "svg.hashsalt": None}):
        second = write_plot(tmp_path / "second", MEASURES["vgg"], CURVES)
        assert mpl.rcParams["axes.facecolor"] == "black"
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_what_has_no_value_is_not_joined(tmp_path: Path) -> None:
    gap: Curve = [(0.05, 25.0), (0.1, 26.0), (0.15, float("nan")), (0.2, 27.0), (0.3, 28.0)]
    (whole,) = strokes(write_plot(tmp_path / "a", MEASURES["psnr"], {"a": CURVES["ddcm"]})[1])
    (broken,) = strokes(write_plot(tmp_path / "b", MEASURES["psnr"], {"a": gap})[1])
    assert (whole.count("M"), whole.count("L")) == (1, 2)
    assert (broken.count("M"), broken.count("L")) == (2, 2)
    # no line leads to a file that is larger than was asked for
    apart = write_plot(tmp_path / "c", MEASURES["psnr"], {"a": []}, {"a": CURVES["ddcm"]})
    assert not strokes(apart[1])


def test_without_values(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no codec has any of PSNR"):
        write_plot(tmp_path / "psnr", MEASURES["psnr"], {"a": [], "b": [(0.1, None)]})
    assert not list(tmp_path.iterdir())


def test_many_codecs(tmp_path: Path) -> None:
    curves = {f"codec {index}": [(0.1, 1.0), (0.2, 1.0)] for index in range(20)}
    text = write_plot(tmp_path / "many", MEASURES["gmsd"], curves)[1].read_text(encoding="utf-8")
    assert all(f"<!-- {name} -->" in text for name in curves)


def test_codecs_may_share_a_label_and_labels_are_plain_text(tmp_path: Path) -> None:
    curves = {spec: [(0.1, value), (0.2, value)] for spec, value in (("a", 1.0), ("b", 2.0))}
    labels = {"a": "$x", "b": "$x$ and $\\y$"}
    files = write_plot(tmp_path / "a", MEASURES["gmsd"], curves, labels=labels)
    text = files[1].read_text(encoding="utf-8")
    assert all(f"<!-- {label} -->" in text for label in labels.values())
    same = write_plot(tmp_path / "b", MEASURES["gmsd"], curves, labels={"a": "x", "b": "x"})
    assert len(strokes(same[1])) == 2


@pytest.mark.parametrize(
    "heights",
    [[0.5], [0.1, 0.5, 0.9], [0.5, 0.5, 0.5], [0.0, 0.0, 0.99, 1.0], [0.4, 0.42, 0.47, 0.53]],
)
def test_names_keep_apart(heights: list[float]) -> None:
    found = _spread(heights)
    assert all(b - a >= _LINE_HEIGHT - 1e-9 for a, b in pairwise(found))
    assert all(0 <= height - _LINE_HEIGHT / 2 + 1e-9 <= 1 for height in found)
    assert max(found) <= 1 - _LINE_HEIGHT / 2 + 1e-9
    if all(b - a >= _LINE_HEIGHT for a, b in pairwise(heights)):
        assert found == pytest.approx(heights)
