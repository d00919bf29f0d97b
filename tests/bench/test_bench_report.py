"""The report's page: what it says of a run, and that it is whole, safe and honest."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
from html.parser import HTMLParser

import pytest
from bench_folder import CODECS, TARGETS, make_run
from PIL import Image

from diffc.bench.report.page import codec_table, write_report
from diffc.bench.report.page_pictures import embed, spread
from diffc.bench.report.results import read_results
from diffc.bench.report.tables import quality_table
from diffc.bench.run.records import SPEED, RowStore
from diffc.bench.run.run_file import Places

pytest.importorskip("jinja2")

HOSTILE = "<img src=x onerror=alert(1)></script><script>alert(2)</script>{{ 7 * 7 }}"


class Page(HTMLParser):
    """The elements of a page, and the texts of its rows of figures and of its scripts."""

    def __init__(self, text):
        super().__init__()
        self.tags = []
        self.rows = []
        self.scripts = {}
        self.text = ""
        self._script = None
        self._in_cell = False
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
            self._in_cell = True
        elif tag == "script":
            self._script = dict(attributes).get("id", "code")
            self.scripts[self._script] = ""

    def handle_endtag(self, tag):
        if tag == "script":
            self._script = None
        elif tag in ("td", "th"):
            self._in_cell = False

    def handle_data(self, data):
        if self._script is not None:
            self.scripts[self._script] += data
            return
        self.text += data
        if self._in_cell:
            self.rows[-1][-1] += data

    def row(self, first, nth=0):
        """Return the nth row that begins with a text."""
        return [row for row in self.rows if row[0].split(" ")[0] == first][nth]


def page_of(folder, **options):
    path = write_report(read_results(folder), **options)
    assert path == folder / "report.html"
    return Page(path.read_text(encoding="utf-8"))


@pytest.fixture
def run_folder(tmp_path):
    return make_run(tmp_path / "run")


def test_figures_are_means_over_the_images(run_folder):
    page = page_of(run_folder)
    near = read_results(run_folder).cell("ddcm:steps=2", 0.5).measures["patch_distance"]
    means = ["0.5000", "22.50", "0.8500", "0.1500"]
    assert page.row("ddcm:steps=2")[1:] == [*means, f"{near:.4f} (best)"]
    assert page.row("avif", 0)[0].strip() == "avif"
    assert page.row("avif-ds", 1)[1:] == [
        "0.9971",
        "27.00",
        "0.9200",
        "0.0900",
        page.row("avif-ds", 0)[-1],
    ]


def test_the_best_is_marked_among_those_that_meet_the_target(run_folder):
    page = page_of(run_folder)
    # webp would be the best at both targets, but is over the first
    assert page.row("webp", 0)[2:4] == ["25.50", "0.8800"]
    assert page.row("webp", 0)[0].split() == ["webp", "over", "the", "target"]
    assert page.row("avif-ds", 0)[2] == "24.50 (best)"
    assert page.row("webp", 1)[2] == "28.00 (best)"


def test_nothing_is_best_of_one(tmp_path):
    page = page_of(make_run(tmp_path, codecs=("ddcm",), targets=(1.0,), images=("only",)))
    assert page.row("ddcm")[2] == "25.00"
    assert "1 image, 1 codec, files of at most 1 bits per pixel" in page.text
    assert "only at equal bytes" in page.text


def test_a_codec_that_fails_is_no_best_and_its_failure_is_named(tmp_path):
    page = page_of(make_run(tmp_path, fails=("second", "webp", 1.0)))
    assert "1 of 2 images failed" in page.row("webp", 1)[0]
    assert page.row("webp", 1)[2] == "28.00"
    assert page.row("avif-ds", 1)[2] == "27.00 (best)"
    assert page.row("webp", -1) == ["webp", "second", "1", "the codec has no mind to"]


def test_codecs_that_failed_throughout_and_rows_that_are_not_there(run_folder):
    rows = RowStore(run_folder).rows()
    kept = [row for row in rows if row.codec != "avif"]
    (run_folder / "rows.jsonl").unlink()
    store = RowStore(run_folder)
    for row in kept:
        store.append(row)
    page = page_of(run_folder)
    assert page.row("avif", 0)[1:] == ["–"] * 5
    assert "2 of 2 images not coded" in page.row("avif", 0)[0]


def test_a_codec_that_ran_at_other_targets_only_has_no_line(run_folder):
    rows = RowStore(run_folder).rows()
    first = min(row.target_bpp for row in rows)
    (run_folder / "rows.jsonl").unlink()
    store = RowStore(run_folder)
    for row in rows:
        if row.codec != "avif" or row.target_bpp != first:
            store.append(row)
    results = read_results(run_folder)
    targets = results.run_file.targets
    missing, complete = (quality_table(results, target) for target in (first, targets[-1]))
    assert first != targets[-1]
    assert "avif" not in [line.label for line in missing.lines]
    assert list(missing.notes) == ["Coded for other targets only: avif."]
    assert "avif" in [line.label for line in complete.lines]
    assert not complete.notes


def test_a_run_without_rows_summary_speed_and_pictures(run_folder):
    for name in ("rows.jsonl", SPEED):
        (run_folder / name).unlink()
    for path in (run_folder / "originals").iterdir():
        path.unlink()
    page = page_of(run_folder)
    assert "this page shows no pictures" in page.text
    assert page.row("webp")[1:] == ["–"]
    assert "BD-rate" not in page.text
    assert "Speed and memory" not in page.text


def test_a_measure_that_some_rows_lack_has_no_mean_there(run_folder):
    rows = RowStore(run_folder).rows()
    (run_folder / "rows.jsonl").unlink()
    store = RowStore(run_folder)
    for row in rows:
        if row.image == "second":
            # too small for this one: no codec has it
            row.measures.pop("ms_ssim")
        if row.codec == "avif" and row.image == "first":
            row.measures.pop("psnr")
        store.append(row)
    page = page_of(run_folder)
    # MS-SSIM has no mean over all images, and so no column
    assert page.row("avif", 0)[1:4] == ["0.4986", "–", "0.1450"]
    assert page.row("ddcm:steps=2")[1:4] == ["0.5000", "22.50", "0.1500"]


def test_pictures_too_long_for_webp_are_in_the_page_too(tmp_path):
    path = tmp_path / "a.png"
    Image.linear_gradient("L").resize((16384, 2)).convert("RGB").save(path)
    (text,) = embed({"a": [path]}, 10**9).texts
    # by this the page knows it
    assert text.startswith("iVBORw0KGgo")
    with Image.open(io.BytesIO(base64.b64decode(text))) as shown, Image.open(path) as original:
        assert (shown.format, shown.tobytes()) == ("PNG", original.tobytes())


def test_bd_rates_are_shown_where_there_are_some(run_folder, tmp_path):
    pytest.importorskip("bjontegaard")
    assert "BD-rate" not in page_of(run_folder).text
    folder = make_run(tmp_path / "more", targets=(1.0, 2.0, 3.0, 4.0))
    results = read_results(folder, "webp")
    page = Page(write_report(results).read_text(encoding="utf-8"))
    assert "BD-rate against webp" in page.text
    rates = results.bd_rates["avif-ds"]
    shown = [f"{rate.percent:+.1f} %{'†' if rate.note else ''}" for rate in rates.values()]
    assert page.row("avif-ds", 4)[1:] == [*shown, "4 and 4"]
    assert all(rate.percent > 0 for rate in rates.values())
    few = read_results(run_folder).bd_rates["webp"]["psnr"]
    assert (few.percent, "3 rising points" in few.note) == (None, True)


def test_speed_and_the_machine(run_folder):
    page = page_of(run_folder)
    timed = page.row("ddcm:steps=2", 2)
    assert timed[1:] == ["0.5", "cpu", "96x64", "1.500", "0.250", "1.250", "12.500", "3", "4"]
    assert "Slide rule" in page.text
    assert "Not measured: LPIPS (AlexNet). Its package is not there." in page.text


def test_the_page_is_one_file_and_asks_for_nothing(run_folder):
    page = page_of(run_folder)
    for tag, attributes in page.tags:
        for name in ("src", "href", "action", "srcset", "poster", "data"):
            assert attributes.get(name, "#")[:1] == "#" or attributes[name] == "data:,", tag
        assert not any(name.startswith("on") or name == "style" for name in attributes)
    source = (run_folder / "report.html").read_text(encoding="utf-8")
    style = re.search(r"<style>(.*?)</style>", source, re.DOTALL)[1]
    assert "url(" not in style
    assert "@import" not in style
    policy = next(a["content"] for t, a in page.tags if t == "meta" and "http-equiv" in a)
    assert policy.startswith("default-src 'none'; img-src data:; ")
    for kind, text in (("style", style), ("script", page.scripts["code"])):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy


def test_pictures_are_in_the_page_without_loss(run_folder):
    page = page_of(run_folder)
    data = json.loads(page.scripts["data"])
    places = Places(run_folder)
    assert [image["name"] for image in data["images"]] == ["first", "second"]
    for image in data["images"]:
        expected = {image["original"]: places.original(image["name"])}
        for target, rows in zip(TARGETS, image["rows"], strict=True):
            for codec, row in zip(CODECS, rows, strict=True):
                expected[row["picture"]] = places.picture(codec, target, image["name"])
        assert len(expected) == 1 + len(CODECS) * len(TARGETS)
        for index, path in expected.items():
            coded = base64.b64decode(page.scripts[f"picture-{index}"])
            with Image.open(io.BytesIO(coded)) as shown, Image.open(path) as original:
                assert (shown.format, shown.convert("RGB").tobytes()) == (
                    "WEBP",
                    original.tobytes(),
                )


def test_the_same_run_makes_the_same_page(run_folder):
    first = write_report(read_results(run_folder)).read_bytes()
    assert write_report(read_results(run_folder)).read_bytes() == first


def test_hostile_names_are_text(tmp_path):
    folder = make_run(
        tmp_path,
        codecs=("ddcm", f"avif:{HOSTILE}"),
        fails=("first", "ddcm", 0.5),
        error=HOSTILE,
    )
    asked = json.loads((folder / "run.json").read_text())
    asked["machine"] = {HOSTILE: HOSTILE}
    asked["missing"] = {HOSTILE: HOSTILE}
    asked["labels"] = {"ddcm": HOSTILE}
    (folder / "run.json").write_text(json.dumps(asked))
    text = write_report(read_results(folder), title=HOSTILE).read_text(encoding="utf-8")
    page = Page(text)
    assert HOSTILE in page.text
    assert all(attributes.get("onerror") is None for _, attributes in page.tags)
    assert "<script>alert" not in text
    assert "<img src=x" not in text
    labels = [codec["label"] for codec in json.loads(page.scripts["data"])["codecs"]]
    assert labels[0] == HOSTILE


def test_a_hostile_image_name_is_text(run_folder):
    # a run gives plain names; a folder may come from anyone
    text = (run_folder / "rows.jsonl").read_text().replace('"first"', json.dumps(HOSTILE))
    (run_folder / "rows.jsonl").write_text(text)
    text = (run_folder / "run.json").read_text().replace('"first"', json.dumps(HOSTILE))
    (run_folder / "run.json").write_text(text)
    page = page_of(run_folder)
    # its original cannot be found by that name
    assert [image["name"] for image in json.loads(page.scripts["data"])["images"]] == ["second"]
    assert "pictures of 1 of 2 images" in page.text


def test_pictures_outside_the_folder_are_not_taken(run_folder, tmp_path):
    secret = tmp_path / "secret.png"
    Image.new("RGB", (96, 64)).save(secret)
    rows = (run_folder / "rows.jsonl").read_text().splitlines()
    row = json.loads(rows[0]) | {"picture": "../secret.png"}
    (run_folder / "rows.jsonl").write_text("\n".join([json.dumps(row), *rows[1:]]) + "\n")
    with pytest.raises(ValueError, match=r"names a picture outside the folder of the run"):
        write_report(read_results(run_folder))


def test_a_limit_leaves_out_images_and_says_so(tmp_path):
    folder = make_run(tmp_path, images=tuple("abcde"), codecs=("ddcm",), targets=(1.0,))
    steps = []
    whole = page_of(folder, progress=lambda step, total: steps.append((step, total)))
    assert steps == [(1, 5), (2, 5), (3, 5), (4, 5), (5, 5)]
    assert "This page holds" not in whole.text
    sizes = [len(text) for name, text in whole.scripts.items() if name.startswith("picture-")]
    page = page_of(folder, limit=sum(sizes) // 2)
    shown = [image["name"] for image in json.loads(page.scripts["data"])["images"]]
    assert 1 < len(shown) < 5
    assert f"This page holds the pictures of {len(shown)} of 5 images" in page.text
    # figures are those of all
    assert page.row("ddcm")[1:4] == whole.row("ddcm")[1:4]
    least = page_of(folder, limit=1)
    assert [image["name"] for image in json.loads(least.scripts["data"])["images"]] == ["a"]


@pytest.mark.parametrize(
    ("count", "order"),
    [(0, []), (1, [0]), (2, [0, 1]), (3, [0, 2, 1]), (5, [0, 4, 2, 1, 3]), (4, [0, 2, 1, 3])],
)
def test_images_are_tried_in_an_order_that_spreads(count, order):
    assert list(spread(count)) == order


def test_a_picture_that_two_rows_share_is_in_the_page_once(tmp_path, photo):
    path = tmp_path / "a.png"
    photo.save(path)
    found = embed({"a": [path, path], "b": [path]}, 10**9)
    assert len(set(found.texts)) == 1
    assert found.images == ["a", "b"]


def test_colours_of_codecs(tmp_path):
    codecs = (*(f"c{number}" for number in range(10)), "c1-ds", "late", "lone-ds")
    results = read_results(make_run(tmp_path, codecs=codecs, targets=(1.0,), images=("a",)))
    table = {each["label"]: each for each in codec_table(results)}
    styles = {label: (each["colour"], each["dashed"]) for label, each in table.items()}
    # shrunk or not, a codec has one colour
    assert styles["c1-ds"] == (styles["c1"][0], True)
    assert len(set(styles.values())) == len(codecs)


def test_the_viewer_begins_with_what_was_asked_for(run_folder):
    data = json.loads(page_of(run_folder, first_target=0.5).scripts["data"])
    assert data["first"] == {"target": 0, "left": 1, "right": 0}
    with pytest.raises(ValueError, match=r"targets are 0.5, 1, not 3: choose one"):
        write_report(read_results(run_folder), first_target=3)


def test_a_folder_of_something_else_is_refused(tmp_path):
    with pytest.raises(ValueError, match="holds no run"):
        write_report(read_results(tmp_path))
