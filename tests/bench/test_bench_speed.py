"""Timings and memory in processes of their own; no test says how long anything takes."""

from __future__ import annotations

import json
import subprocess
import sys

import codecs_for_tests  # noqa: F401 - registers codecs
import pytest
from PIL import features

from diffc.bench.run.preparation import prepare
from diffc.bench.run.records import DESCRIPTION, SPEED, JsonLines, Speed
from diffc.bench.run.run_file import read_run
from diffc.bench.run.runner import run
from diffc.bench.run.speed import Job, jobs, measure_all


def make_run(folder, photo, codecs, bpps, images=1):
    """Make a small run; return its folder and what was asked."""
    photos = folder / "photos"
    photos.mkdir()
    for number in range(images):
        photo.rotate(90 * number).save(photos / f"{number}.png")
    out = folder / "out"
    run(prepare(photos, codecs, bpps, out))
    return out, read_run(out)


def test_each_codec_is_timed_at_the_middle_target(tmp_path, photo, ddcm_model):
    codecs = ["jpeg", f"ddcm:steps=4,model={ddcm_model}"]
    out, whole = make_run(tmp_path, photo, codecs, [1.0, 2.0, 3.0])
    todo = [job for job in jobs(out, whole) if job.device == "cpu"]
    assert [(job.row.codec, job.row.target_bpp) for job in todo] == [(each, 2.0) for each in codecs]
    steps = []
    assert measure_all(out, todo, progress=lambda *step: steps.append(step[1:])) == 0
    assert steps == [(0, 2), (1, 2), (2, 2)]
    found = [Speed(**each) for each in JsonLines(out / SPEED).objects()]
    assert [each.codec for each in found] == codecs
    for each in found:
        assert (each.device, each.width, each.height) == ("cpu", 96, 64)
        for name in DESCRIPTION:
            value = getattr(each, name)
            assert value is None or isinstance(value, str) or value > 0
        if each.encode_peak_bytes is not None and each.resident_before_bytes is not None:
            assert each.encode_peak_bytes >= each.resident_before_bytes
    # what is there is not measured again
    assert [job for job in jobs(out, whole) if job.device == "cpu"] == []


def test_memory_is_not_that_of_the_process_that_asked(tmp_path, photo):
    out, whole = make_run(tmp_path, photo, ["jpeg"], [1.0])
    assert measure_all(out, jobs(out, whole)) == 0
    (out / SPEED).rename(tmp_path / "before.jsonl")
    # written to, so that it is really there
    ballast = bytearray(b"x") * 100_000_000
    assert measure_all(out, jobs(out, whole)) == 0
    (before,) = JsonLines(tmp_path / "before.jsonl").objects()
    (after,) = JsonLines(out / SPEED).objects()
    for name in ("encode_peak_bytes", "decode_peak_bytes"):
        if before[name] is not None:
            assert abs(after[name] - before[name]) < len(ballast) // 2


def test_an_image_whose_name_begins_as_another_does(tmp_path, photo):
    photos = tmp_path / "photos"
    photos.mkdir()
    for name in ("photo.png", "photo.small.png"):
        photo.save(photos / name)
    out = tmp_path / "out"
    run(prepare(photos, ["jpeg"], [1.0], out))
    todo = jobs(out, read_run(out), images=2)
    assert [job.row.image for job in todo] == ["photo", "photo.small"]
    assert measure_all(out, todo) == 0


def test_nothing_of_the_working_directory_is_imported(tmp_path, photo, monkeypatch):
    out, whole = make_run(tmp_path, photo, ["jpeg"], [1.0])
    (tmp_path / "statistics.py").write_text("raise SystemExit('this is not the module')")
    monkeypatch.chdir(tmp_path)
    assert measure_all(out, jobs(out, whole)) == 0


@pytest.mark.parametrize("codec", ["webp", "avif", "jpeg2000", "jxl", "heic", "jpeg-ds"])
def test_searched_codecs_repeat_one_encode(tmp_path, photo, codec):
    needed = {"jxl": "pillow_jxl", "heic": "pillow_heif", "jpeg-ds": "piq"}
    if codec in needed:
        pytest.importorskip(needed[codec])
    elif not features.check({"jpeg2000": "jpg_2000"}.get(codec, codec)):
        pytest.skip(f"this Pillow has no {codec}")
    out, whole = make_run(tmp_path, photo, [codec], [2.0])
    assert measure_all(out, jobs(out, whole)) == 0
    assert len(JsonLines(out / SPEED).objects()) == 1


def test_all_targets_and_more_images_can_be_asked_for(tmp_path, photo):
    out, whole = make_run(tmp_path, photo, ["jpeg"], [1.0, 2.0], images=3)
    todo = jobs(out, whole, images=2, every_target=True)
    assert {(job.row.image, job.row.target_bpp) for job in todo} == {
        (name, bpp) for name in ("0", "1") for bpp in (1.0, 2.0)
    }
    assert len(todo) == 4


def test_a_timing_that_fails_fails_alone(tmp_path, photo):
    out, whole = make_run(tmp_path, photo, ["planes", "jpeg"], [2.0])
    lines: list[str] = []
    todo: list[Job] = [job for job in jobs(out, whole) if job.device == "cpu"]
    # other processes know nothing of a codec that this one has registered
    assert measure_all(out, todo, complain=lines.append) == 1
    (line,) = lines
    assert line.startswith("diffc: speed of planes at 2 bpp on cpu: ")
    assert "there is no codec 'planes'" in line
    assert len(JsonLines(out / SPEED).objects()) == 1


def test_an_impossible_job_ends_in_one_line(tmp_path):
    job = {"original": str(tmp_path / "nowhere.png"), "operation": "encode"}
    ran = subprocess.run(
        [sys.executable, "-m", "diffc.bench.run.speed_child"],
        input=json.dumps(job),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1
    assert "nowhere.png" in ran.stderr.strip().splitlines()[-1]
