"""Batches in one process: what they make, keep, refuse and say."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

import batch_codecs
import pytest
from codecs_for_tests import PlanesCodec
from jpeg_files import jpeg
from PIL import Image

import diffc
from diffc import batch
from diffc.batch.results import Results
from diffc.file_io import part_of


@pytest.fixture
def photos(tmp_path: Path, photo: Image.Image) -> Path:
    """A folder of three pictures."""
    folder = tmp_path / "photos"
    (folder / "sub").mkdir(parents=True)
    for number, name in enumerate(("a.png", "b.png", "sub/c.png")):
        photo.resize((24, 16)).rotate(90 * number).save(folder / name)
    return folder


def encode(inputs: Any, output: Any, **options: Any) -> batch.Summary:
    """Encode a folder with a codec that is fast and lossless."""
    given: dict[str, Any] = {"backend": "planes", "quality": 100}
    return batch.run("encode", inputs, output, **given | options)


def rows(folder: Path) -> dict[str, dict[str, Any]]:
    """Return the rows of results by their sources' names; one a file."""
    lines = (folder / "diffc-batch.jsonl").read_text().splitlines()
    found = [json.loads(line) for line in lines]
    by_name = {Path(each["source"]).name: each for each in found}
    assert len(by_name) == len(found)
    return by_name


def counts(summary: batch.Summary) -> tuple[int, int, int]:
    """Return how many files were made, kept, and failed."""
    assert summary.done == summary.made + summary.kept + summary.failed
    return summary.made, summary.kept, summary.failed


def test_files_are_those_of_encode_and_rows_say_what_became_of_them(
    photos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    summary = encode(photos, out)
    assert counts(summary) == (3, 0, 0)
    assert summary.total == 3
    found = rows(out)
    for name in ("a", "b", "sub/c"):
        source, target = photos / f"{name}.png", out / f"{name}.diffc"
        with Image.open(source) as image:
            assert target.read_bytes() == diffc.encode(image, backend="planes", quality=100)
        row = found[source.name]
        info = diffc.info(target)
        assert row["source"] == str(source)
        assert row["target"] == str(target)
        assert (row["status"], row["error"], row["codec"]) == ("ok", None, "planes")
        assert (row["bytes"], row["bpp"]) == (info.file_bytes, info.bpp)
        assert row["source_bytes"] == source.stat().st_size
        assert len(row["sha256"]) == 64
        assert row["seconds"] > 0
    assert summary.target_bytes == sum(each["bytes"] for each in found.values())
    assert summary.source_bytes == sum(each["source_bytes"] for each in found.values())


def test_a_rerun_codes_nothing_and_leaves_the_results(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    encode(photos, out)
    before = (out / "diffc-batch.jsonl").read_bytes()
    coded = PlanesCodec.encoded
    assert counts(encode(photos, out, batch_size=3, device="cpu")) == (0, 3, 0)
    assert PlanesCodec.encoded == coded
    assert (out / "diffc-batch.jsonl").read_bytes() == before


@pytest.mark.parametrize("change", ["options", "source", "damage", "gone"])
def test_what_has_changed_is_coded_anew(photos: Path, tmp_path: Path, change: str) -> None:
    out = tmp_path / "out"
    encode(photos, out)
    target = out / "a.diffc"
    options: dict[str, Any] = {}
    if change == "options":
        options["quality"] = 50
    elif change == "source":
        os.utime(photos / "a.png", (1, 1))
    elif change == "damage":
        target.write_bytes(target.read_bytes()[:-1] + b"\0")
    else:
        target.unlink()
    made = 3 if change == "options" else 1
    assert counts(encode(photos, out, **options)) == (made, 3 - made, 0)
    assert counts(encode(photos, out, **options)) == (0, 3, 0)
    assert diffc.decode(target).size == (24, 16)
    assert len(rows(out)) == 3


def test_bad_files_are_rows_and_tried_again(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (photos / "bad.jpg").write_bytes(b"nonsense")
    (photos / "empty.jpg").touch()
    cut = io.BytesIO()
    Image.new("RGB", (64, 64)).save(cut, "JPEG")
    (photos / "cut.jpg").write_bytes(cut.getvalue()[:-40])
    assert counts(encode(photos, out)) == (3, 0, 3)
    for name in ("bad.jpg", "empty.jpg", "cut.jpg"):
        row = rows(out)[name]
        assert row["status"] == "error"
        assert row["error"]
        assert row["sha256"] is row["bytes"] is None
    Image.new("RGB", (8, 8)).save(photos / "bad.jpg")
    assert counts(encode(photos, out)) == (1, 3, 2)
    assert rows(out)["bad.jpg"]["status"] == "ok"
    assert len(rows(out)) == 6
    assert sorted(each.name for each in out.rglob("*.diffc")) == [
        "a.diffc",
        "b.diffc",
        "bad.diffc",
        "c.diffc",
    ]


def test_the_first_failure_may_be_the_end(photos: Path, tmp_path: Path) -> None:
    (photos / "b.png").write_bytes(b"")
    assert counts(encode(photos, tmp_path / "out", fail_fast=True)) == (1, 0, 1)


def test_files_of_others_stay_unless_forced(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "a.diffc").write_bytes(b"mine")
    for _ in range(2):
        assert encode(photos, out).failed == 1
        assert (out / "a.diffc").read_bytes() == b"mine"
        assert "is there, and not by these results" in rows(out)["a.png"]["error"]
    assert counts(encode(photos, out, force=True)) == (1, 2, 0)
    assert diffc.info(out / "a.diffc").codec == "planes"
    assert counts(encode(photos, out)) == (0, 3, 0)


def test_a_file_that_fails_later_is_still_the_batch_s(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    encode(photos, out)
    made = (out / "a.diffc").read_bytes()
    with_room = {"quality": None, "target_size": 10}
    assert counts(encode(photos, out, **with_room)) == (0, 0, 3)
    assert (out / "a.diffc").read_bytes() == made
    assert counts(encode(photos, out)) == (3, 0, 0)


def test_two_inputs_do_not_share_an_output(photos: Path, tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(photos / "a.jpg")
    out = tmp_path / "out"
    assert counts(encode(photos, out)) == (3, 0, 1)
    assert "is another input's output" in rows(out)["a.png"]["error"]
    assert diffc.info(out / "a.diffc").size == (8, 8)
    assert counts(encode(photos, out)) == (0, 3, 1)


def test_an_output_is_never_its_input(tmp_path: Path, photo: Image.Image) -> None:
    diffc.save(photo, tmp_path / "a.diffc", backend="planes", quality=100)
    before = (tmp_path / "a.diffc").read_bytes()
    results = tmp_path / "rows.jsonl"
    summary = batch.run("transcode", tmp_path, results=results, force=True, backend="planes")
    assert counts(summary) == (0, 0, 1)
    assert "the same file" in results.read_text()
    assert (tmp_path / "a.diffc").read_bytes() == before


def test_a_plan_writes_nothing(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (photos / "list.jsonl").write_text('{"source": "a.png"}\n{"source": "gone.png"}\n{}\n')
    assert counts(encode(photos / "list.jsonl", out, plan_only=True)) == (1, 0, 2)
    assert not out.exists()
    encode(photos, out)
    before = (out / "diffc-batch.jsonl").read_bytes()
    assert counts(encode(photos, out, plan_only=True)) == (0, 3, 0)
    assert counts(encode(photos, out, plan_only=True, quality=3)) == (3, 0, 0)
    assert (out / "diffc-batch.jsonl").read_bytes() == before


def test_lines_of_a_manifest_have_options_of_their_own(photos: Path, tmp_path: Path) -> None:
    lines = [
        {"source": "a.png", "options": {"target_size": 300}},
        {"source": "b.png", "options": {"planes": 1}},
        {"source": "sub/c.png", "options": {"planets": 1}},
    ]
    manifest = photos / "list.jsonl"
    manifest.write_text("\n".join(map(json.dumps, lines)))
    out = tmp_path / "out"
    assert counts(encode(manifest, out)) == (2, 0, 1)
    with Image.open(photos / "a.png") as image:
        wanted = diffc.encode(image, backend="planes", target_size=300)
    assert (out / "a.diffc").read_bytes() == wanted
    assert "did you mean 'planes'?" in rows(out)["c.png"]["error"]
    assert counts(encode(manifest, out)) == (0, 2, 1)


@pytest.mark.parametrize(
    ("verb", "options", "message"),
    [
        ("encode", {"bpp": 1, "quality": 3}, "one of bpp, target_size and quality"),
        ("encode", {"qualiti": 1}, "did you mean 'quality'"),
        ("encode", {"backend": "nobody"}, "is not installed"),
        ("encode", {"icc": "maybe"}, "icc is 'convert' or 'keep'"),
        ("encode", {"extension": "png"}, "extension is a choice of 'decode'"),
        ("encode", {"decode_options": {"steps": 3}}, "decode_options are those of 'transcode'"),
        ("encode", {"progress": print}, "progress is told of files"),
        ("decode", {"realism": 3}, "realism is 0 to 1"),
        ("decode", {"bpp": 3}, "options of decoding are"),
        ("decode", {"keep_metadata": True}, "choices of 'encode'"),
        ("decode", {"extension": "txt"}, "does not end as a format"),
        ("decode", {"batch_size": 0}, "batch_size is a whole number"),
        ("transcode", {"decode_options": {"steps": -1}}, "steps is 0 to 1000"),
        ("paint", {}, "a batch does encode, decode, transcode"),
    ],
)
def test_wrong_options_are_refused_before_any_work(
    photos: Path, tmp_path: Path, verb: Any, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        batch.run(verb, photos, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_results_need_a_place(photos: Path) -> None:
    with pytest.raises(ValueError, match="results lie in the folder for the outputs"):
        batch.run("encode", photos)


@pytest.mark.parametrize("size", [1, 2, 5])
def test_decoded_pixels_do_not_depend_on_the_size_of_batches(
    photo: Image.Image, tmp_path: Path, model: str, size: int
) -> None:
    files = tmp_path / "files"
    files.mkdir()
    for number, side in enumerate((24, 16, 24, 24)):
        small = photo.resize((side, 16)).rotate(90 * number)
        diffc.save(small, files / f"{number}.diffc", model=model, quality=20)
    (files / "bad.diffc").write_bytes((files / "0.diffc").read_bytes()[:-2])
    out = tmp_path / "out"
    summary = batch.run("decode", files, out, batch_size=size, extension="png", realism=0.25)
    assert counts(summary) == (4, 0, 1)
    for number in range(4):
        with Image.open(out / f"{number}.png") as image:
            alone = diffc.decode(files / f"{number}.diffc", realism=0.25)
            assert image.tobytes() == alone.tobytes()
    row = rows(out)["0.diffc"]
    assert row["bpp"] == diffc.info(files / "0.diffc").bpp
    assert row["codec"] == "relay"


@pytest.mark.parametrize("damaged", [False, True])
def test_where_that_is_faster_files_of_one_size_are_decoded_together(
    photo: Image.Image, tmp_path: Path, damaged: bool
) -> None:
    batch_codecs.register()
    batch_codecs.GatheringCodec.sizes.clear()
    files = tmp_path / "files"
    files.mkdir()
    for number, side in enumerate((24, 16, 24, 24, 16)):
        small = photo.resize((side, 16)).rotate(90 * number)
        diffc.save(small, files / f"{number}.diffc", backend="gathering", quality=100)
    if damaged:
        data = (files / "0.diffc").read_bytes()
        (files / "0.diffc").write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    out = tmp_path / "out"
    # this codec does not look at the device
    summary = batch.run("decode", files, out, device="cuda", batch_size=3)
    assert counts(summary) == (5 - damaged, 0, damaged)
    for number in range(damaged, 5):
        with Image.open(out / f"{number}.png") as image:
            assert image.tobytes() == diffc.decode(files / f"{number}.diffc").tobytes()
    # after a failure, each by itself
    assert batch_codecs.GatheringCodec.sizes[:2] == ([1, 1] if damaged else [3, 2])


def test_transcoding_keeps_metadata_and_alpha(tmp_path: Path, photo: Image.Image) -> None:
    files, out = tmp_path / "files", tmp_path / "out"
    files.mkdir()
    exif = Image.Exif()
    exif[0x112] = 6
    picture = photo.convert("RGBA")
    picture.putalpha(Image.linear_gradient("L").resize(photo.size))
    diffc.save(picture, files / "a.diffc", backend="planes", quality=100, exif=exif, xmp=b"<x/>")
    options = {"backend": "whole", "quality": 100}
    assert counts(batch.run("transcode", files, out, **options)) == (1, 0, 0)
    made = diffc.decode(out / "a.diffc")
    assert diffc.info(out / "a.diffc").codec == "whole"
    assert made.tobytes() == picture.tobytes()
    assert made.info["exif"] == exif.tobytes()
    assert made.info["xmp"] == b"<x/>"
    assert counts(batch.run("transcode", files, out, **options)) == (0, 1, 0)


def test_metadata_is_kept_where_that_is_asked_for(tmp_path: Path, photo: Image.Image) -> None:
    exif = Image.Exif()
    exif[0x10F] = "somebody"
    photo.save(tmp_path / "a.jpg", exif=exif)
    encode(tmp_path / "a.jpg", tmp_path / "with", keep_metadata=True)
    encode(tmp_path / "a.jpg", tmp_path / "without")
    assert "exif" in diffc.info(tmp_path / "with" / "a.diffc").metadata_bytes
    assert diffc.info(tmp_path / "without" / "a.diffc").metadata_bytes == {}


def test_originals_are_kept_where_that_is_asked_for(tmp_path: Path, model: str) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(jpeg(30))
    summary = batch.run("encode", folder, tmp_path / "out", keep_original=True, model=model)
    assert counts(summary) == (1, 0, 0)
    assert diffc.extract(tmp_path / "out" / "a.diffc") == (folder / "a.jpg").read_bytes()


def test_what_is_watched(photos: Path, tmp_path: Path) -> None:
    (photos / "b.png").write_bytes(b"")
    seen: list[tuple[str, int, int]] = []

    def watch(row: batch.Row, summary: batch.Summary) -> None:
        seen.append((row.status, summary.done, summary.total))

    encode(photos, tmp_path / "out", watch=watch)
    assert seen == [("ok", 1, 3), ("error", 2, 3), ("ok", 3, 3)]


def test_a_file_that_was_whole_at_the_end_of_a_run_is_put_in_its_place(
    photos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    encode(photos, out)
    # what a run leaves that is ended between the row and the move
    target = out / "sub" / "c.diffc"
    os.replace(target, part_of(target))
    coded = PlanesCodec.encoded
    assert counts(encode(photos, out)) == (0, 3, 0)
    assert PlanesCodec.encoded == coded
    assert target.exists()
    # and one that is ended before the row
    part = part_of(out / "a.diffc")
    (out / "a.diffc").unlink()
    part.write_bytes(b"the first half")
    assert counts(encode(photos, out)) == (1, 2, 0)
    assert [each.name for each in out.rglob(".*")] == []


def test_a_line_that_was_being_written_is_dropped(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    encode(photos, out)
    results = out / "diffc-batch.jsonl"
    lines = results.read_bytes().splitlines(keepends=True)
    results.write_bytes(lines[0] + b"nonsense\n" + lines[1] + lines[2][:50])
    assert counts(encode(photos, out)) == (0, 2, 1)
    assert "not by these results" in rows_without_nonsense(results)[-1]["error"]


def rows_without_nonsense(results: Path) -> list[dict[str, Any]]:
    """Return the rows of results."""
    lines = results.read_text().splitlines()
    return [json.loads(line) for line in lines if line != "nonsense"]


def test_two_runs_do_not_write_the_same_results(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with (
        Results(out / "diffc-batch.jsonl"),
        pytest.raises(OSError, match="is being written by another batch"),
    ):
        encode(photos, out)
    assert counts(encode(photos, out)) == (3, 0, 0)


def test_what_cannot_be_written_is_an_error_of_its_own(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "sub").write_bytes(b"no folder")
    assert counts(encode(photos, out)) == (2, 0, 1)
    assert rows(out)["c.png"]["error"]
