"""What rows come to: means, BD-rates, tables and the page of results."""

from __future__ import annotations

import io
import json
import math
import re
from dataclasses import replace

import numpy as np
import pytest
from bench_folder import write_features

from diffc.bench.measures.spectrum import AXES, BANDS
from diffc.bench.report.page import write_report
from diffc.bench.report.results import choose_anchor, read_results, write_summary
from diffc.bench.run.records import SPEED, JsonLines, Row, RowStore
from diffc.bench.run.run_file import SUMMARY, Places, RunFile, open_run

TARGETS = [0.1, 0.2, 0.4, 0.8]
CODECS = ["ddcm:steps=2", "jpeg"]


@pytest.fixture
def asked():
    """What a run was asked."""
    images = [{"name": name, "width": 100, "height": 80, "sha256": name * 8} for name in "ab"]
    return RunFile(
        diffc="1",
        images=images,
        codecs=CODECS,
        labels={"ddcm:steps=2": "ddcm:steps=2", "jpeg": "JPEG"},
        targets=TARGETS,
        perceptual_weights="f" * 64,
        measures=["psnr", "gmsd"],
        missing={"lpips": "its package is not there"},
        machine={"processor": "a fast one", "cores": "2"},
    )


def points_of(results):
    """Return how many targets BD-rates stand on, for the first codec and the anchor."""
    return [len(results.curve(codec)) for codec in CODECS]


def quality(bpp, factor):
    """Return the PSNR of a codec that needs so many times the bytes of another."""
    return 30 + 10 * math.log10(bpp / factor)


@pytest.fixture
def folder(tmp_path, asked):
    """A run in which ddcm needs half the bytes of jpeg, which misses the lowest target."""
    pytest.importorskip("bjontegaard")
    out = tmp_path / "out"
    open_run(out, asked)
    store = RowStore(out)
    for image in "ab":
        for codec, factor in zip(CODECS, (0.5, 1.0), strict=True):
            for target in TARGETS:
                bpp = max(target * 0.99, 0.15 if codec == "jpeg" and image == "b" else 0)
                psnr = quality(bpp, factor) + (1 if image == "a" else -1)
                measures = {"psnr": psnr, "gmsd": 1 / psnr}
                store.append(
                    Row(image, 100, 80, codec, target, bpp <= target, 99, bpp, "", measures)
                )
    return out


def test_cells_are_means_at_the_real_rate(folder):
    summary = read_results(folder)
    low = summary.cell("jpeg", 0.1)
    assert (low.images, low.reached, low.errors) == (2, 1, 0)
    assert low.bpp == pytest.approx((0.099 + 0.15) / 2)
    assert low.measures["psnr"] == pytest.approx((quality(0.099, 1) + 1 + quality(0.15, 1) - 1) / 2)
    assert "patch_distance" not in low.measures
    write_summary(summary)
    assert json.loads((folder / SUMMARY).read_text())["cells"][0]["codec"] == CODECS[0]
    with pytest.raises(ValueError, match="no codec 'webp'"):
        summary.cell("webp", 0.1)


def test_bd_rates_are_of_the_targets_that_all_images_reached(folder):
    summary = read_results(folder)
    assert summary.anchor == "jpeg"
    assert points_of(summary) == [4, 3]
    # half the bytes at the same quality
    assert summary.bd_rates[CODECS[0]]["psnr"].percent == pytest.approx(-50, abs=0.01)
    assert summary.bd_rates[CODECS[0]]["gmsd"].percent == pytest.approx(-50, abs=0.5)
    other = read_results(folder, CODECS[0])
    assert other.bd_rates["jpeg"]["psnr"].percent == pytest.approx(100, abs=0.01)


def test_an_image_that_failed_makes_no_curve(folder):
    store = RowStore(folder)
    store.append(Row("a", 100, 80, "jpeg", 0.2, error="no"))
    summary = read_results(folder)
    cell = summary.cell("jpeg", 0.2)
    assert (cell.images, cell.reached, cell.errors) == (1, 1, 1)
    assert points_of(summary) == [4, 2]
    assert summary.bd_rates[CODECS[0]]["psnr"].percent is None
    assert "3 rising points" in summary.bd_rates[CODECS[0]]["psnr"].note


def test_the_patch_distance_is_over_all_pictures(folder):
    generator = np.random.default_rng(1)
    places = Places(folder)
    for image in "ab":
        features = generator.normal(size=(6, 8))
        for path in (
            places.original_features("patch_distance", image),
            places.features("patch_distance", "jpeg", 0.1, image),
            places.features("patch_distance", "jpeg", 0.2, image),
        ):
            write_features(path, features + (1 if "0.2" in str(path) else 0))
    summary = read_results(folder)
    assert summary.cell("jpeg", 0.1).measures["patch_distance"] == pytest.approx(0, abs=1e-9)
    assert summary.cell("jpeg", 0.2).measures["patch_distance"] > 0.1
    assert "patch_distance" not in summary.cell("jpeg", 0.4).measures


@pytest.mark.parametrize(
    ("codecs", "asked_for", "chosen"),
    [
        (["ddcm", "jpeg", "avif"], None, "avif"),
        (["ddcm", "avif", "avif-ds"], None, "avif-ds"),
        (["ddcm", "webp"], None, "ddcm"),
        (["ddcm", "webp"], "webp", "webp"),
    ],
)
def test_the_anchor_is_what_is_asked_or_avif(codecs, asked_for, chosen):
    assert choose_anchor(codecs, asked_for) == chosen


def test_an_anchor_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="the anchor is one of ddcm, webp, not 'avif'"):
        choose_anchor(["ddcm", "webp"], "avif")


SPEED_LINE = {
    "codec": "jpeg",
    "target_bpp": 0.2,
    "device": "cpu",
    "image": "a",
    "width": 100,
    "height": 80,
    "encode_first_seconds": 1.5,
    "encode_seconds": 0.25,
    "decode_first_seconds": 0.5,
    "decode_seconds": 0.125,
    "resident_before_bytes": 2**24,
    "encode_peak_bytes": 2**25,
    "decode_peak_bytes": None,
    "encode_peak_device_bytes": None,
    "decode_peak_device_bytes": None,
}


def test_tables_mark_what_was_not_reached(folder):
    from diffc.bench.report.tables import all_tables

    JsonLines(folder / SPEED).append(SPEED_LINE)
    JsonLines(folder / SPEED).append(SPEED_LINE | {"image": "b", "encode_seconds": 0.75})
    low, *_, rates, speed = all_tables(read_results(folder))
    assert low.title == "At most 0.1 bpp"
    assert low.heads() == ["codec", "bpp", "PSNR, dB ↑", "GMSD ↓"]
    assert [row[:2] for row in low.rows()] == [["ddcm:steps=2", "0.0990"], ["JPEG", "0.1245*"]]
    assert low.all_notes() == ["* JPEG: over the target for 1 of 2."]
    assert rates.rows() == [["ddcm:steps=2", "−50.0 %", rates.rows()[0][2], "4 and 3"]]
    (cells,) = speed.rows()
    times = ["1.500", "0.500", "0.500", "0.125"]
    assert cells == ["JPEG", "0.2", "cpu", "100x80", *times, "32", "–"]


def test_the_spectrum_of_detail_has_a_table_of_its_own(folder):
    from diffc.bench.report.tables import all_tables, spectrum_table

    assert spectrum_table(read_results(folder), 0.1) is None
    store = RowStore(folder)
    for row in store.rows():
        if row.codec == "jpeg":
            bands = dict.fromkeys(BANDS, 0.5 + (row.image == "a"))
            store.append(replace(row, measures=row.measures | bands | {AXES: 2.5}))
    results = read_results(folder)
    table = spectrum_table(results, 0.1)
    shown = [each for each in all_tables(results) if each.title.startswith("Spectrum")]
    assert [each.lines for each in shown[:1]] == [table.lines]
    assert [bool(each.notes) for each in shown] == [False, False, False, True]
    assert table.title == "Spectrum of detail, at most 0.1 bpp"
    assert table.heads()[1:3] == ["1/32 ─", "1/32 ╲"]
    assert table.heads()[-1] == "1/4 ╱"
    ddcm, jpeg = table.rows()
    assert ddcm == ["ddcm:steps=2", *["–"] * 16]
    assert jpeg == ["JPEG", *["1.00"] * 16]
    low = all_tables(results)[0]
    # neither value is better
    assert low.heads()[-1] == "Axes/diagonals"
    assert [line.figures[-1].mark for line in low.lines] == ["", ""]
    page = write_report(results).read_text(encoding="utf-8")
    assert '<h2 id="spectrum-title">' in page
    assert page.count("from 1/4 cycles a pixel, rows") == 2


def test_tables_are_plain_where_there_is_no_terminal(folder):
    pytest.importorskip("rich")
    from diffc.bench.report.tables import all_tables, print_tables

    out = io.StringIO()
    print_tables(all_tables(read_results(folder)), out)
    text = out.getvalue()
    assert "\x1b" not in text
    assert "0.1245*" in text
    assert "* JPEG: over the target for 1 of 2." in text
    # nothing is cut off
    assert "ddcm:steps=2" in text
    assert "…" not in text


def test_the_page_of_results_is_the_same_for_the_same_rows(folder, tmp_path):
    from diffc.bench.report.markdown_page import markdown_page, write_markdown

    JsonLines(folder / SPEED).append(SPEED_LINE)
    summary = read_results(folder)
    page = markdown_page(summary)
    assert page == markdown_page(summary)
    assert "| JPEG | 0.1245\\* |" in page
    assert "\\* JPEG: over the target for 1 of 2." in page
    assert "* Processor: a fast one" in page
    assert "Not measured: LPIPS (AlexNet). Its package" in page
    assert "--codecs ddcm:steps=2,jpeg \\\n  --bpp 0.1 0.2 0.4 0.8 --out DIR" in page
    assert "--images 2 --anchor jpeg --results docs/results.md" in page
    assert str(tmp_path) not in page
    assert not re.search(r"20\d\d-\d\d", page)
    # tables have as many cells in each line
    for block in re.findall(r"(?:^\|.*\n)+", page, re.MULTILINE):
        assert len({line.count("|") for line in block.splitlines()}) == 1
    write_markdown(tmp_path / "results.md", summary)
    assert (tmp_path / "results.md").read_text(encoding="utf-8") == page


def test_curves_are_drawn(folder):
    pytest.importorskip("matplotlib")
    from diffc.bench.report.plots import write_curves

    files = write_curves(read_results(folder))
    assert sorted(path.name for path in files) == ["gmsd.png", "gmsd.svg", "psnr.png", "psnr.svg"]
    assert "<svg" in (folder / "plots" / "psnr.svg").read_text()
