"""The run: what it reads and leaves behind, what fails alone, and how it goes on after a kill."""

from __future__ import annotations

import json
import math
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from codecs_for_tests import PlanesCodec
from PIL import Image, ImageCms

from diffc.bench.contenders import host_codecs
from diffc.bench.contenders.lookup import contender
from diffc.bench.contenders.registered import RegisteredContender
from diffc.bench.run import preparation
from diffc.bench.run.pictures import find_pictures, named, read_rgb
from diffc.bench.run.preparation import prepare
from diffc.bench.run.records import ROWS, RowStore
from diffc.bench.run.run_file import Places, read_run
from diffc.bench.run.runner import run

BPPS = (1.0, 2.0)


@pytest.fixture
def folder(tmp_path, photo):
    """A folder with two pictures."""
    folder = tmp_path / "photos"
    folder.mkdir()
    photo.save(folder / "First one.png")
    photo.rotate(180).save(folder / "second.jpg", quality=95)
    return folder


def bench(folder, out, codecs=("jpeg", "planes:planes=6"), bpps=BPPS, **options):
    """Run it all; return the number that failed, the rows and the lines."""
    lines: list[str] = []
    prepared = prepare(folder, codecs, bpps, out, complain=lines.append, **options)
    failed = run(prepared, complain=lines.append) + prepared.unreadable
    return failed, RowStore(out).rows(), lines


def test_a_run_leaves_files_pictures_and_rows(folder, tmp_path):
    out = tmp_path / "out"
    failed, rows, lines = bench(folder, out)
    assert (failed, lines) == (0, [])
    names = [each["name"] for each in read_run(out).images]
    assert names[1] == "second"
    assert [row.key for row in rows] == [
        (name, codec, bpp)
        for name in names
        for codec in ("jpeg", "planes:planes=6")
        for bpp in BPPS
    ]
    for row in rows:
        with Image.open(out / row.picture) as picture:
            assert (picture.mode, picture.size) == ("RGB", (96, 64))
        extension = ".jpg" if row.codec == "jpeg" else ".diffc"
        coded = Places(out).coded(row.codec, row.target_bpp, row.image, extension)
        assert row.bytes == coded.stat().st_size
        assert row.bpp == 8 * row.bytes / (96 * 64)
        assert row.reached == (row.bytes <= math.floor(row.target_bpp * 96 * 64 / 8))
        assert 0 < row.measures["psnr"] <= 100
        with Image.open(Places(out).original(row.image)) as original:
            pair = [np.asarray(each, float) for each in (original, Image.open(out / row.picture))]
        error = np.mean((pair[0] - pair[1]) ** 2)
        assert row.measures["psnr"] == pytest.approx(10 * math.log10(255**2 / error), rel=1e-4)
    assert (out / "rows.csv").read_text().count("\n") == 1 + len(rows)


def test_the_same_run_makes_the_same_rows(folder, tmp_path):
    for name in ("a", "b"):
        bench(folder, tmp_path / name)
    for path in (tmp_path / "a").rglob("*"):
        if path.is_file():
            other = tmp_path / "b" / path.relative_to(tmp_path / "a")
            assert path.read_bytes() == other.read_bytes()


def test_no_row_is_made_twice_and_others_are_added(folder, tmp_path):
    out = tmp_path / "out"
    before = PlanesCodec.encoded
    # each time a small file more, which tells the model
    bench(folder, out, ["planes:planes=6"], [2.0])
    assert PlanesCodec.encoded == before + 3
    _, rows, _ = bench(folder, out, ["planes:planes=6"], [2.0, 1.0])
    assert PlanesCodec.encoded == before + 6
    _, rows, _ = bench(folder, out, ["jpeg"], [2.0])
    assert PlanesCodec.encoded == before + 6
    assert len(rows) == 6
    whole = read_run(out)
    assert (whole.codecs, whole.targets) == (["planes:planes=6", "jpeg"], [1.0, 2.0])


def test_the_work_goes_image_by_image_and_says_how_far_it_is(folder, tmp_path):
    out = tmp_path / "out"
    steps = []
    prepared = prepare(folder, ["jpeg", "planes"], BPPS, out)
    run(prepared, progress=lambda *step: steps.append(step))
    assert [done for _, done, _ in steps] == list(range(9))
    assert {total for *_, total in steps} == {8}
    assert steps[4][0] == "second JPEG 1"
    steps.clear()
    run(prepare(folder, ["jpeg", "planes"], BPPS, out), progress=lambda *step: steps.append(step))
    assert steps == [("", 8, 8)]


KILLED = """
import os, signal, sys
from pathlib import Path
from diffc.bench.run import preparation, records, runner

where, count = sys.argv[3], int(sys.argv[4])
append = records.RowStore.append

def torn(store, row):
    global count
    count -= 1
    if count == 0 and where == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    if count == 0:
        with (Path(sys.argv[2]) / "rows.jsonl").open("ab") as file:
            file.write(b'{"image": "se')
        os.kill(os.getpid(), signal.SIGKILL)
    append(store, row)

records.RowStore.append = torn
prepared = preparation.prepare(Path(sys.argv[1]), ["jpeg", "jpeg-ds"], [1.0, 2.0], Path(sys.argv[2]))
runner.run(prepared)
raise SystemExit("it was not killed")
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system does not kill")
@pytest.mark.parametrize(("where", "count"), [("before", 1), ("within", 6)])
def test_a_killed_run_goes_on_and_ends_the_same(folder, tmp_path, where, count):
    pytest.importorskip("piq")
    out, whole = tmp_path / "killed", tmp_path / "whole"
    arguments = [str(each) for each in (folder, out, where, count)]
    ran = subprocess.run(
        [sys.executable, "-c", KILLED, *arguments], capture_output=True, text=True, check=False
    )
    assert ran.returncode == -signal.SIGKILL, ran.stderr
    assert (out / ROWS).exists() == (count > 1)
    assert len(RowStore(out).rows()) == count - 1
    codecs = ("jpeg", "jpeg-ds")
    assert bench(folder, out, codecs) == bench(folder, whole, codecs)
    assert (out / ROWS).read_bytes() == (whole / ROWS).read_bytes()


def test_an_image_that_cannot_be_read_is_left_out(folder, tmp_path):
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nand no more")
    (folder / "empty.jpg").touch()
    failed, rows, lines = bench(folder, tmp_path / "out", ["jpeg"], [1.0])
    assert (failed, len(rows)) == (2, 2)
    assert [line.split(": ")[1] for line in lines] == ["broken.png", "empty.jpg"]
    assert all("\n" not in line for line in lines)


def test_a_codec_that_fails_on_one_image_fails_alone(folder, tmp_path, monkeypatch):
    encode = PlanesCodec.encode
    faulty = {"now": True}

    def failing(self, picture, *arguments):
        if faulty["now"] and float(picture.pixels[0, 0, 0]) == float(first[0, 0, 0]):
            raise KeyError("a bug\nof the codec")
        return encode(self, picture, *arguments)

    from diffc.pictures.pixels import from_pillow, to_tensor

    picture = read_rgb(folder / "First one.png")
    first = to_tensor(from_pillow(picture, keep_alpha=False, convert_color=True))
    monkeypatch.setattr(PlanesCodec, "encode", failing)
    out = tmp_path / "out"
    failed, rows, (line,) = bench(folder, out, ["planes", "jpeg"], [2.0])
    assert (failed, len(rows)) == (1, 4)
    (wrong,) = [row for row in rows if row.error is not None]
    assert wrong.error == "KeyError: 'a bug\\nof the codec'"
    assert (wrong.codec, wrong.picture, wrong.measures) == ("planes", "", {})
    assert line == f"diffc: {wrong.image}, planes at 2 bpp: {wrong.error}"
    # it is tried again, and then it is done
    faulty["now"] = False
    failed, rows, _ = bench(folder, out, ["planes", "jpeg"], [2.0])
    assert failed == 0
    assert [row.error for row in rows] == [None] * 4
    assert len((out / ROWS).read_text().splitlines()) == 4


def test_a_codec_that_decodes_to_another_size_fails(folder, tmp_path, monkeypatch):
    made = preparation.contenders

    def wrong(*arguments):
        (codec,) = made(*arguments)
        codec.decode = lambda data, size=None: Image.new("RGB", (5, 4))
        return [codec]

    monkeypatch.setattr(preparation, "contenders", wrong)
    failed, rows, lines = bench(folder, tmp_path / "out", ["jpeg"], [1.0])
    assert (failed, len(lines)) == (2, 2)
    assert "is RGB 5x4, not RGB 96x64" in str(rows[0].error)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda folder, photo: photo.rotate(90).save(folder / "second.jpg"), "other images"),
        (lambda folder, photo: photo.save(folder / "third.png"), "other images"),
    ],
)
def test_a_folder_holds_one_question(folder, tmp_path, photo, change, message):
    out = tmp_path / "out"
    bench(folder, out, ["jpeg"], [1.0])
    before = (out / "run.json").read_bytes()
    change(folder, photo)
    with pytest.raises(ValueError, match=f"a run with {message}: name another folder with --out"):
        prepare(folder, ["jpeg"], [1.0], out)
    assert (out / "run.json").read_bytes() == before


def test_rows_of_another_model_or_version_are_not_gone_on_with(
    folder, tmp_path, ddcm_model, monkeypatch
):
    out = tmp_path / "out"
    model = tmp_path / "model"
    shutil.copytree(ddcm_model, model)
    spec = f"ddcm:steps=2,model={model}"
    prepare(folder, [spec, "jpeg"], [1.0], out)
    before = (out / "run.json").read_bytes()
    first = read_run(out).identities
    assert re.fullmatch(r"ddcm, bitstream \d+, model [0-9a-f]+", first[spec])
    assert re.fullmatch(r"Pillow [\d.]+, libjpeg_turbo [\d.]+", first["jpeg"])
    prepare(folder, [spec, "jpeg"], [1.0], out)
    assert (out / "run.json").read_bytes() == before
    # another model in the same place
    monkeypatch.setattr(RegisteredContender, "identity", lambda self: "ddcm, model 0")
    with pytest.raises(ValueError, match=r"holds rows of codec 'ddcm.*, which is now ddcm, model"):
        prepare(folder, [spec], [1.0], out)
    monkeypatch.setattr(host_codecs, "pillow_version", "0.1")
    with pytest.raises(ValueError, match=r"codec 'jpeg' by Pillow .* now Pillow 0.1, .*--out"):
        prepare(folder, ["jpeg"], [1.0], out)
    # what is not asked for stays
    prepare(folder, ["webp"], [1.0], out)
    assert read_run(out).identities[spec] == first[spec]


def test_a_model_is_known_by_its_content(ddcm_model, model):
    said = {
        spec: contender(f"{spec}:model={model}", None, "cpu").identity()
        for spec, model in (("ddcm", ddcm_model), ("relay", model))
    }
    for spec, identity in said.items():
        assert identity.startswith(f"{spec}, bitstream ")
        assert ", model " in identity


def test_a_run_that_goes_on_elsewhere_tells_of_both_machines(folder, tmp_path, monkeypatch):
    out = tmp_path / "out"
    for processor in ("slow", "fast", "slow", "fast"):
        found = {"processor": processor, "cores": "2"}
        monkeypatch.setattr(preparation, "describe_machine", lambda found=found: found)
        prepare(folder, ["jpeg"], [1.0], out)
    assert read_run(out).machine == {"processor": "slow; later fast", "cores": "2"}


def test_a_folder_of_something_else_is_left_alone(folder, tmp_path):
    with pytest.raises(ValueError, match="holds something else"):
        prepare(folder, ["jpeg"], [1.0], folder)
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(ValueError, match="not of this version"):
        prepare(folder, ["jpeg"], [1.0], tmp_path)
    assert (tmp_path / "run.json").read_text() == "{}"


@pytest.mark.parametrize(
    ("codecs", "bpps", "message"),
    [
        (["jpeg"], [0.0], "a target is bits per pixel above 0, not 0.0"),
        (["jpeg"], [math.nan], "above 0, not nan"),
        (["jpeg"], [0.1, 0.1000000001], "0.1 is given twice"),
        (["jpeg"], [], "at least one target"),
        (["nobody"], [0.1], "there is no codec 'nobody'"),
    ],
)
def test_what_cannot_be_is_refused_before_any_work(folder, tmp_path, codecs, bpps, message):
    with pytest.raises(ValueError, match=message):
        prepare(folder, codecs, bpps, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_wrong_folder_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="is not a folder"):
        find_pictures(tmp_path / "nowhere")
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / ".hidden.png").touch()
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(ValueError, match="holds no picture"):
        find_pictures(tmp_path)


def test_names_are_for_files_and_differ():
    paths = [Path(each) for each in ("a.png", "a.jpg", "b/a.png", "A.png", "ä.png", "...png")]
    names = [each.name for each in named(paths)]
    assert names[:3] == ["a", "a-2", "a-3"]
    assert len(set(names)) == len(paths)
    assert all(each and not each.startswith(".") for each in names)


def test_pictures_are_upright_rgb_in_their_own_space(tmp_path, photo):
    exif = Image.Exif()
    exif[0x112] = 6
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    path = tmp_path / "a.png"
    photo.save(path, exif=exif, icc_profile=profile)
    picture = read_rgb(path)
    assert (picture.mode, picture.size, picture.info) == ("RGB", (64, 96), {})
    assert picture.tobytes() == photo.rotate(-90, expand=True).tobytes()
    photo.convert("L").save(path)
    assert read_rgb(path).mode == "RGB"


def test_pictures_of_unknown_range_are_left_out(folder, tmp_path):
    Image.new("F", (96, 64), 300).save(folder / "deep.tif")
    failed, rows, (line,) = bench(folder, tmp_path / "out", ["jpeg"], [1.0])
    assert (failed, len(rows)) == (1, 2)
    assert line.startswith("diffc: deep.tif: its values go from 300 to 300")


@pytest.mark.parametrize("name", ["deep.png", "deep.tif"])
def test_pictures_of_16_bits_are_measured_at_8(folder, tmp_path, name):
    ramp = np.linspace(0, 65535, 96 * 64).astype(np.uint16).reshape(64, 96)
    Image.fromarray(ramp).save(folder / name)
    failed, rows, _ = bench(folder, tmp_path / "out", ["jpeg"], [1.0])
    assert (failed, len(rows)) == (0, 3)
    picture = read_rgb(folder / name)
    assert picture.getpixel((95, 63)) == (255, 255, 255)


def test_names_that_are_no_text_are_worked_with(folder, tmp_path, photo):
    try:
        photo.save(folder / os.fsdecode(b"caf\xe9.png"))
    except OSError:
        pytest.skip("this system has text for names only")
    failed, rows, lines = bench(folder, tmp_path / "out", ["jpeg"], [1.0])
    assert (failed, len(rows), lines) == (0, 3, [])
    with pytest.raises(ValueError, match="printable text"):
        prepare(folder, [os.fsdecode(b"ddcm:model=caf\xe9")], [1.0], tmp_path / "other")


@pytest.mark.parametrize("side", [1, 3, 5, 8])
def test_small_pictures_have_a_scale_chosen_by_what_they_allow(tmp_path, photo, side):
    pytest.importorskip("piq")
    photo.resize((side, 40)).save(tmp_path / "a.png")
    out = tmp_path / "out"
    failed, (row,), lines = bench([tmp_path / "a.png"], out, ["jpeg-ds"], [200.0])
    assert (failed, lines) == (0, [])
    assert "scale=1" in row.setting


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_device_that_is_not_here_is_told_before_the_work(folder, tmp_path):
    with pytest.raises(ValueError, match="device is one that torch has here, not 'cuda'"):
        prepare(folder, ["jpeg"], [1.0], tmp_path / "out", device="cuda")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "change",
    [
        {"images": [5]},
        {"images": []},
        {"codecs": "jpeg"},
        {"targets": ["1"]},
        {"labels": {"jpeg": 1}},
        {"measures": ["beauty"]},
        {"machine": None},
    ],
)
def test_a_run_file_has_values_of_their_types(folder, tmp_path, change):
    out = tmp_path / "out"
    prepare(folder, ["jpeg"], [1.0], out)
    found = json.loads((out / "run.json").read_text())
    (out / "run.json").write_text(json.dumps(found | change))
    with pytest.raises(ValueError, match="not of this version of diffc: name another folder"):
        read_run(out)


def test_the_run_file_tells_no_paths(folder, tmp_path):
    out = tmp_path / "out"
    bench(folder, out, ["jpeg"], [1.0])
    text = (out / "run.json").read_text()
    assert str(tmp_path) not in text
    assert platform.node() not in json.dumps(json.loads(text)["machine"])
    machine = json.loads(text)["machine"]
    assert {"cores", "python", "pillow", "torch"} <= set(machine)
