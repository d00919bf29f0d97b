"""``diffc bench``: what it makes, says and refuses, and its exit codes."""

from __future__ import annotations

import os
import subprocess
import sys

import codecs_for_tests  # noqa: F401 - registers codecs
import pytest

from diffc.bench.run.run_file import read_run
from diffc.cli.main import main

for package in ("bjontegaard", "jinja2", "matplotlib", "piq", "rich"):
    pytest.importorskip(package)


@pytest.fixture
def photos(tmp_path, photo):
    """A folder with two pictures."""
    folder = tmp_path / "photos"
    folder.mkdir()
    photo.save(folder / "a.png")
    photo.rotate(180).save(folder / "b.png")
    return folder


@pytest.fixture
def run(capsys):
    """Call the command; return code, stdout and stderr."""

    def call(*arguments):
        code = main(["bench", *map(str, arguments)])
        return code, *capsys.readouterr()

    return call


def test_a_run_ends_with_tables_plots_and_report(run, photos, tmp_path):
    out, results = tmp_path / "out", tmp_path / "results.md"
    asked = ("--codecs", "jpeg,planes:planes=4", "--codecs", "jpeg-ds", "--bpp", 1, 2, 3)
    code, told, err = run(photos, *asked, "--out", out, "--no-speed", "--results", results)
    assert (code, err) == (0, "")
    for part in (
        "At most 1 bpp",
        "VGG-19 distance",
        "Patch distance",
        "Spectrum of detail",
        "BD-rate against JPEG",
        "planes:planes=4",
        "JPEG-ds",
    ):
        assert part in told
    assert told.endswith(
        f"plots: {out / 'plots'}\nresults: {results}\nreport: {out / 'report.html'}\n"
    )
    for name in ("run.json", "rows.jsonl", "rows.csv", "summary.json", "plots/psnr.svg"):
        assert (out / name).is_file()
    assert results.read_text(encoding="utf-8").startswith("# Results\n")
    assert "\x1b" not in told + err
    # without the folder, from what is there
    before = (out / "rows.jsonl").read_bytes()
    code, told, err = run("--out", out, "--anchor", "jpeg-ds", "--no-report")
    assert (code, err) == (0, "")
    assert "BD-rate against JPEG-ds" in told
    assert "report" not in told
    assert (out / "rows.jsonl").read_bytes() == before


def test_speed_is_measured_unless_it_is_not_wanted(run, photos, tmp_path):
    out = tmp_path / "out"
    asked = (photos, "--codecs", "jpeg", "--bpp", 2, "--out", out, "--images", 1, "--no-report")
    code, told, _ = run(*asked)
    assert code == 0
    assert "Speed and memory" in told
    assert "96x64" in told
    assert len((out / "speed.jsonl").read_text().splitlines()) == 1
    assert len(read_run(out).images) == 1


def test_what_fails_is_told_in_a_line_each_and_the_rest_goes_on(run, photos, tmp_path):
    (photos / "broken.jpg").write_bytes(b"\xff\xd8\xff and no more")
    out = tmp_path / "out"
    asked = ("--codecs", "jpeg,planes", "--bpp", 2, "--no-report", "--out", out)
    # the codec planes is registered here only, and cannot be timed elsewhere
    code, told, err = run(photos, *asked)
    assert code == 3
    lines = err.splitlines()
    assert lines[0].startswith("diffc: broken.jpg: ")
    assert lines[1].startswith("diffc: speed of planes at 2 bpp on cpu: ")
    assert len([line for line in lines if "on cpu" not in line]) == 1
    assert "At most 2 bpp" in told


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nowhere", "--codecs", "jpeg", "--bpp", 1), "nowhere is not a folder"),
        ((".", "--codecs", "jpeg", "--bpp", 1), "holds no picture"),
        (("photos", "--codecs", "nobody", "--bpp", 1), "there is no codec 'nobody'"),
        (("photos", "--codecs", "jpeg,,", "--bpp", 1), "separated by single commas"),
        (("photos", "--codecs", "jpeg", "--bpp", 0), "a target is bits per pixel above 0"),
        (("photos", "--codecs", "jpeg", "--bpp", 1, "--anchor", "webp"), "the anchor is one of"),
        (("photos", "--codecs", "jpeg", "--bpp", 1, "--perceptual-weights", "w"), "No such file"),
        ((), "holds no run"),
    ],
)
@pytest.mark.usefixtures("photos")
def test_errors_are_one_line(run, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    code, told, err = run(*arguments, "--out", "out")
    assert (code, told) == (1, "")
    assert message in err
    assert err.startswith("diffc: ")
    assert err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_where_results_cannot_go_is_told_before_the_work(run, photos, tmp_path):
    asked = (photos, "--codecs", "jpeg", "--bpp", 1, "--out", tmp_path / "out")
    for results in (tmp_path / "nodir" / "x.md", tmp_path):
        code, told, err = run(*asked, "--results", results)
        assert (code, told) == (1, "")
        assert err.startswith(f"diffc: {results} ")
        assert not (tmp_path / "out").exists()


def test_a_wrong_anchor_changes_nothing(run, photos, tmp_path):
    out = tmp_path / "out"
    rest = ("--out", out, "--no-speed", "--no-report")
    assert run(photos, "--codecs", "jpeg", "--bpp", 2, *rest)[0] == 0
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    for asked in ((photos, "--codecs", "webp", "--bpp", 3), ()):
        code, _, err = run(*asked, "--anchor", "avif", *rest)
        assert (code, err.count("\n")) == (1, 1)
        assert "not 'avif': choose one" in err
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    # one that is there from before will do
    asked = (photos, "--codecs", "webp", "--bpp", 2)
    assert run(*asked, "--anchor", "jpeg", *rest)[0] == 0


def bench_process(out, *options, **environment):
    """Start the command, which only makes tables of a run."""
    return subprocess.Popen(
        [sys.executable, "-m", "diffc.cli.main", "bench", "--out", str(out), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | environment,
    )


def test_output_that_lacks_characters_has_others(run, photos, tmp_path):
    out = tmp_path / "out"
    assert run(photos, "--codecs", "jpeg", "--bpp", 2, "--out", out, "--no-speed")[0] == 0
    told, err = (process := bench_process(out, PYTHONIOENCODING="ascii")).communicate()
    assert (process.returncode, err) == (0, b"")
    assert b"PSNR, dB ?" in told
    assert told.endswith(b"report.html\n")


@pytest.mark.skipif(os.name == "nt", reason="pipes break otherwise there")
def test_files_are_written_though_nobody_reads_the_tables(run, photos, tmp_path):
    out, results = tmp_path / "out", tmp_path / "results.md"
    assert run(photos, "--codecs", "jpeg", "--bpp", 2, "--out", out, "--no-speed")[0] == 0
    (out / "report.html").unlink()
    # unbuffered, so that the first table meets the broken pipe
    process = bench_process(out, "--results", str(results), PYTHONUNBUFFERED="1")
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait() == 141
    assert process.stderr is not None
    assert process.stderr.read() == b""
    process.stderr.close()
    assert results.is_file()
    assert (out / "report.html").is_file()


@pytest.mark.parametrize(
    "arguments",
    [
        ("photos", "--bpp", "1", "--out", "out"),
        ("photos", "--codecs", "jpeg", "--out", "out"),
        ("photos", "--codecs", "jpeg", "--bpp", "1"),
        ("--codecs", "jpeg", "--out", "out"),
        ("photos", "--codecs", "jpeg", "--bpp", "1", "--out", "out", "--images", "0"),
        ("photos", "--codecs", "jpeg", "--bpp", "low", "--out", "out"),
    ],
)
def test_wrong_usage_is_told_apart(run, arguments):
    assert run(*arguments)[0] == 2


def test_help_says_how_options_are_written(run):
    code, told, _ = run("--help")
    assert code == 0
    for part in ("ddcm:steps=20,atoms=4,avif", "decode.steps", "exit codes", "KEY=VALUE"):
        assert part in told


def test_a_missing_package_is_named_before_the_work(run, photos, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "rich", None)
    code, _, err = run(photos, "--codecs", "jpeg", "--bpp", 1, "--out", tmp_path / "out")
    assert code == 1
    assert 'pip install --upgrade "diffc[bench]"' in err
    assert not (tmp_path / "out").exists()


def test_a_bar_is_shown_on_a_terminal(run, photos, tmp_path, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    asked = ("--codecs", "jpeg", "--bpp", 2, "--out", tmp_path / "out")
    (photos / "broken.png").touch()
    code, _, err = run(photos, *asked, "--no-speed", "--no-report")
    assert code == 3
    assert "a JPEG 2" in err
    assert "2/2" in err
    assert "diffc: broken.png: " in err


def test_other_commands_stay_light():
    script = (
        "import sys; from diffc.cli.main import main\n"
        "main(['codecs'])\n"
        "print([name for name in ('torch', 'numpy', 'rich', 'matplotlib') if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert ran.stdout.splitlines()[-1] == "[]"
