"""``diffc compare``: what it makes of one photo, says and refuses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import webbrowser

import pytest
from PIL import Image

import diffc
from diffc import registry
from diffc.bench import comparison
from diffc.bench.run.preparation import prepare
from diffc.bench.run.records import RowStore
from diffc.builtin_codecs import DEFAULT_CODEC
from diffc.cli.main import main

for needed in ("jinja2", "rich"):
    pytest.importorskip(needed)

CODECS = "jpeg,webp,webp-ds"


@pytest.fixture
def picture(tmp_path, photo, monkeypatch):
    """A small photo as a file, in the current folder."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "my photo.png"
    photo.save(path)
    return path


@pytest.fixture
def run(capsys):
    """Call the command; return code, stdout and stderr."""

    def call(*arguments):
        code = main(["compare", *map(str, arguments)])
        out, err = capsys.readouterr()
        return code, out, err

    return call


def test_a_photo_is_coded_by_each_codec_at_one_budget(run, picture, tmp_path):
    code, out, err = run(picture, "--codecs", CODECS, "--target-size", "800")
    assert (code, err) == (0, "")
    folder = tmp_path / "my photo-compare"
    rows = RowStore(folder).rows()
    assert [row.codec for row in rows] == CODECS.split(",")
    for row in rows:
        assert row.reached
        assert 400 < row.bytes <= 800
        (coded,) = (folder / row.picture).parents[0].glob("*.png")
        with Image.open(coded) as decoded:
            assert decoded.size == (96, 64)
    assert "my photo.png, at most 800 bytes" in out
    for row in rows:
        assert f" {row.bytes} " in out
    assert out.splitlines()[-2:] == [
        os.path.join("my photo-compare", "sheet.png"),
        os.path.join("my photo-compare", "report.html"),
    ]
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "<title>my photo.png at equal bytes</title>" in page
    with Image.open(folder / "sheet.png") as sheet:
        # crops of a picture that is smaller than a crop: it itself, once in a row
        assert sheet.width == 2 * 20 + 230 + 96
        assert sheet.crop((250, 20, 346, 84)).tobytes() == Image.open(picture).tobytes()


def test_what_misses_the_budget_says_so(run, picture):
    code, out, _ = run(picture, "--codecs", "webp,jpeg", "--target-size", "300")
    assert code == 0
    assert "* JPEG: more than that, the smallest file that it makes." in out
    assert "VGG-19 distance" in out
    assert "Patch distance" in out


@pytest.mark.parametrize("size", [(1, 1), (97, 61), (768, 512), (4001, 2999)])
@pytest.mark.parametrize("target_size", [1, 99, 2457, 10**6 + 1])
def test_a_target_in_bytes_comes_back_from_bits_per_pixel(size, target_size):
    target = comparison._target(size, None, target_size)
    assert int(target * (size[0] * size[1]) / 8) == target_size


def test_a_second_budget_joins_the_first_and_force_begins_anew(run, picture, tmp_path):
    out = tmp_path / "out"
    arguments = (picture, "--codecs", "webp", "--out", out)
    assert run(*arguments, "--bpp", "1")[0] == 0
    first = (out / "rows.jsonl").read_bytes()
    assert run(*arguments, "--bpp", "1")[0] == 0
    assert (out / "rows.jsonl").read_bytes() == first
    assert run(*arguments, "--bpp", "2")[0] == 0
    assert [row.target_bpp for row in RowStore(out).rows()] == [1, 2]
    assert run(*arguments, "--bpp", "1", "--force")[0] == 0
    assert (out / "rows.jsonl").read_bytes() == first


def test_a_folder_of_something_else_stays_as_it_is(run, picture, tmp_path):
    out = tmp_path / "holiday"
    (out / "pictures").mkdir(parents=True)
    (out / "pictures" / "beach.txt").write_text("sand")
    for force in ((), ("--force",)):
        code, _, err = run(picture, "--codecs", "webp", "--out", out, *force)
        assert code == 1
        assert err == f"diffc: {out} holds something else: name an empty folder with --out\n"
    assert (out / "pictures" / "beach.txt").read_text() == "sand"


def test_a_folder_of_another_photo_needs_force(run, picture, tmp_path, photo):
    out = tmp_path / "out"
    other = tmp_path / "other.png"
    photo.rotate(90).save(other)
    assert run(picture, "--codecs", "webp", "--out", out)[0] == 0
    code, _, err = run(other, "--codecs", "webp", "--out", out)
    assert code == 1
    assert "other images" in err
    before = sorted(out.rglob("*"))
    (out / "notes.txt").write_text("mine")
    code, _, err = run(other, "--codecs", "webp", "--out", out, "--force")
    assert code == 1
    assert "holds notes.txt, which no comparison has made" in err
    (out / "notes.txt").unlink()
    assert sorted(out.rglob("*")) == before
    assert run(other, "--codecs", "webp", "--out", out, "--force")[0] == 0
    assert [row.image for row in RowStore(out).rows()] == ["other"]
    originals = out / "originals"
    assert [path.name for path in originals.iterdir()] == ["other.png"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "No such file"), (b"no picture", "no image of a format that Pillow reads")],
)
def test_what_is_no_photo_is_refused_in_one_line(run, tmp_path, content, reason):
    path = tmp_path / "a.png"
    if content is not None:
        path.write_bytes(content)
    code, out, err = run(path, "--codecs", "webp", "--out", tmp_path / "out")
    assert (code, out) == (1, "")
    assert err.count("\n") == 1
    assert err.startswith(f"diffc: {path}: ")
    assert reason in err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--codecs", "nothing"], "there is no codec 'nothing'"),
        (["--codecs", "webp,webp"], "given twice"),
        (["--codecs", "webp", "--bpp", "0"], "above 0"),
        (["--codecs", "webp", "--bpp", "nan"], "above 0"),
        (["--codecs", "webp", "--target-size", "0"], "1 byte or more"),
    ],
)
def test_errors_are_one_line(run, picture, tmp_path, arguments, reason):
    code, out, err = run(picture, *arguments)
    assert (code, out) == (1, "")
    assert reason in err
    assert err.count("\n") == 1
    assert not (tmp_path / "my photo-compare").exists()


def test_force_removes_nothing_before_all_is_checked(run, picture, tmp_path):
    out = tmp_path / "out"
    assert run(picture, "--codecs", "webp", "--out", out)[0] == 0
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    for wrong in (["--codecs", "nothing"], ["--codecs", "webp", "--perceptual-weights", "no"]):
        assert run(picture, *wrong, "--out", out, "--force")[0] == 1
    assert run(picture, "--codecs", "webp", "--bpp", "0", "--out", out, "--force")[0] == 1
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_a_run_of_the_bench_is_not_removed(run, picture, tmp_path):
    out = tmp_path / "out"
    prepare([picture], ["webp"], [0.05], out)
    before = (out / "run.json").read_bytes()
    code, _, err = run(picture, "--codecs", "webp", "--out", out, "--force")
    assert code == 1
    assert err == (
        f"diffc: {out} holds a run of diffc bench, which --force does not remove: name another "
        "folder with --out\n"
    )
    code, _, err = run(picture, "--codecs", "webp", "--out", out)
    assert code == 1
    assert "a run with another purpose (diffc bench, or diffc compare)" in err
    assert (out / "run.json").read_bytes() == before


@pytest.mark.parametrize("error", [Image.DecompressionBombError("a bomb"), MemoryError()])
def test_pictures_that_are_too_large_end_in_one_line(run, picture, monkeypatch, error):
    def read(path):
        raise error

    monkeypatch.setattr(comparison, "read_rgb", read)
    code, _, err = run(picture, "--codecs", "webp")
    assert (code, err.count("\n")) == (1, 1)
    assert err.startswith(f"diffc: {picture}: ")


def test_a_photo_whose_name_is_no_text(run, picture, tmp_path, photo):
    path = tmp_path / os.fsdecode(b"caf\xe9.png")
    try:
        photo.save(path)
    except OSError:
        pytest.skip("this system has text for names only")
    ran = subprocess.run(
        [sys.executable, "-m", "diffc.cli.main", "compare", path, "--codecs", "webp"],
        capture_output=True,
        check=False,
        env=os.environ | {"PYTHONIOENCODING": "utf-8:strict"},
    )
    assert (ran.returncode, ran.stderr) == (0, b"")
    assert b"caf?.png, at most" in ran.stdout
    assert (tmp_path / os.fsdecode(b"caf\xe9-compare") / "report.html").is_file()


def test_wrong_usage(run, picture):
    assert run("-", "--codecs", "webp")[0] == 2
    assert run(picture, "--bpp", "1", "--target-size", "900")[0] == 2
    assert run()[0] == 2


@pytest.mark.parametrize(("codecs", "code"), [("webp,jpeg", 3), ("webp", 1)])
def test_a_codec_that_fails_leaves_the_others(run, picture, monkeypatch, codecs, code):
    from diffc.bench.contenders.host_codecs import HostCodec

    encode = HostCodec.encode

    def failing(self, image, value):
        if self.name == "webp":
            raise ValueError("not today")
        return encode(self, image, value)

    monkeypatch.setattr(HostCodec, "encode", failing)
    found, out, err = run(picture, "--codecs", codecs, "--bpp", "2")
    assert found == code
    assert "webp at 2 bpp: not today" in err
    assert err.count("\n") == 1
    assert "failed" in out


def test_the_page_is_opened_on_request(run, picture, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(webbrowser, "open", lambda url: asked.append(url) or True)
    assert run(picture, "--codecs", "webp")[0] == 0
    assert asked == []
    assert run(picture, "--codecs", "webp", "--open")[0] == 0
    assert asked == [(tmp_path / "my photo-compare" / "report.html").as_uri()]
    monkeypatch.setattr(webbrowser, "open", lambda url: False)
    code, _, err = run(picture, "--codecs", "webp", "--open")
    assert code == 0
    assert "no browser opens here" in err


def test_the_default_codecs_are_those_that_are_here(monkeypatch):
    said = []
    found = comparison.default_codecs(said.append)
    assert found[0] == DEFAULT_CODEC
    assert "diffc: codec 'perco-sd' is left out, it needs " in "\n".join(said)
    assert set(found) <= {*diffc.codecs_available(), "avif-ds", "avif", "webp", "jxl", "heic"}
    assert "webp" in found
    diffc.register_codec("broken-for-test", "no_such_module:Codec")
    try:
        assert comparison.default_codecs(said.append) == found
    finally:
        del registry._registered["broken-for-test"]
    assert (
        "codec 'broken-for-test' is left out, it needs the package 'no_such_module'"
        in "\n".join(said)
    )


def test_one_of_ours_is_compared(run, picture, ddcm_model, tmp_path):
    code, _, err = run(picture, "--codecs", f"ddcm:model={ddcm_model},webp", "--bpp", "1.5")
    assert (code, err) == (0, "")
    rows = RowStore(tmp_path / "my photo-compare").rows()
    assert rows[0].codec.startswith("ddcm")
    assert 0 < rows[0].bytes <= 96 * 64 * 1.5 / 8


def test_the_command_line_stays_light():
    code = (
        "import sys, json; from diffc.cli.main import main\n"
        "try: main(['compare', '--help'])\n"
        "finally: print(json.dumps(sorted(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(json.loads(ran.stdout.splitlines()[-1]))
    assert not loaded & {"torch", "numpy", "jinja2", "rich", "diffc.bench", "webbrowser"}
