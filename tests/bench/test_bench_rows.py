"""Rows of a run: kept line by line, read after a kill, and in one order."""

from __future__ import annotations

import csv
import json
from dataclasses import asdict, replace

import pytest

from diffc.bench.run.records import CSV, ROWS, SPEED, JsonLines, Row, RowStore, read_speed

ROW = Row(
    image="photo",
    width=96,
    height=64,
    codec="ddcm:steps=2",
    target_bpp=0.1,
    reached=True,
    bytes=70,
    bpp=0.091,
    setting="target_size=76",
    measures={"psnr": 21.5},
    picture="pictures/ddcm/0.1/photo.png",
)
FAILED = Row("photo", 96, 64, "avif", 0.1, error="it has no mind to")


def test_rows_come_back(tmp_path):
    store = RowStore(tmp_path)
    store.append(ROW)
    store.append(FAILED)
    assert RowStore(tmp_path).rows() == store.rows() == [ROW, FAILED]


def test_a_row_with_an_error_is_not_done_and_the_next_takes_its_place(tmp_path):
    store = RowStore(tmp_path)
    store.append(FAILED)
    assert not store.done(*FAILED.key)
    better = replace(FAILED, error=None, bytes=12)
    store.append(better)
    assert store.done(*FAILED.key)
    assert RowStore(tmp_path).rows() == [better]
    assert not store.done("photo", "avif", 0.2)


@pytest.mark.parametrize("torn", [b"{", b'{"image": "pho', b"\xff\xfe"])
def test_a_torn_last_line_is_cut_off(tmp_path, torn):
    RowStore(tmp_path).append(ROW)
    path = tmp_path / ROWS
    whole = path.read_bytes()
    path.write_bytes(whole + torn)
    store = RowStore(tmp_path)
    assert store.rows() == [ROW]
    store.append(FAILED)
    assert RowStore(tmp_path).rows() == [ROW, FAILED]
    assert path.read_bytes().startswith(whole + b'{"image"')


def test_any_other_damage_is_an_error(tmp_path):
    (tmp_path / ROWS).write_bytes(b"{\n" + json.dumps({"a": 1}).encode() + b"\n")
    with pytest.raises(ValueError, match="line 1 that is no JSON"):
        RowStore(tmp_path)
    (tmp_path / ROWS).write_bytes(b'{"image": "a"}\n')
    with pytest.raises(ValueError, match="another version"):
        RowStore(tmp_path)


@pytest.mark.parametrize("line", [b"5", b"[]", b"null", b"[" * 20_000])
def test_lines_are_objects(tmp_path, line):
    for name in (ROWS, SPEED):
        (tmp_path / name).write_bytes(line + b"\n")
    message = "has a line 1 that is no JSON object: remove it, or name another folder with --out"
    with pytest.raises(ValueError, match=message):
        RowStore(tmp_path)
    with pytest.raises(ValueError, match=message):
        read_speed(tmp_path)


@pytest.mark.parametrize(
    "change",
    [{"measures": None}, {"measures": {"psnr": "20"}}, {"bytes": "70"}, {"bytes": True}, {"x": 1}],
)
def test_rows_have_values_of_their_types(tmp_path, change):
    (tmp_path / ROWS).write_text(json.dumps(asdict(ROW) | change) + "\n")
    with pytest.raises(ValueError, match="rows of another version"):
        RowStore(tmp_path)


def test_timings_have_values_of_their_types(tmp_path):
    (tmp_path / SPEED).write_text("{}\n")
    with pytest.raises(ValueError, match="timings of another version of diffc: remove it"):
        read_speed(tmp_path)


def test_what_is_no_json_is_not_written(tmp_path):
    store = RowStore(tmp_path)
    with pytest.raises(ValueError, match="JSON"):
        store.append(replace(ROW, measures={"psnr": float("nan")}))
    assert not (tmp_path / ROWS).exists() or (tmp_path / ROWS).read_bytes() == b""


def test_sorting_makes_one_file_of_any_order(tmp_path):
    keys = [FAILED.key, ROW.key]
    made = []
    for name, rows in (("a", [ROW, FAILED]), ("b", [FAILED, ROW, FAILED, ROW])):
        folder = tmp_path / name
        folder.mkdir()
        store = RowStore(folder)
        for row in rows:
            store.append(row)
        store.sort(keys)
        assert store.rows() == RowStore(folder).rows() == [FAILED, ROW]
        made.append((folder / ROWS).read_bytes())
    assert made[0] == made[1]


def test_the_csv_has_a_column_for_every_measure(tmp_path):
    store = RowStore(tmp_path)
    store.append(ROW)
    store.append(replace(ROW, codec="webp", measures={"gmsd": 0.25}))
    store.append(FAILED)
    assert store.write_csv() == tmp_path / CSV
    with (tmp_path / CSV).open(newline="") as file:
        first, second, third = csv.DictReader(file)
    assert (first["psnr"], first["gmsd"], first["bytes"]) == ("21.5", "", "70")
    assert (second["psnr"], second["gmsd"]) == ("", "0.25")
    assert third["error"] == FAILED.error


def test_lines_are_replaced_at_once(tmp_path):
    lines = JsonLines(tmp_path / "a.jsonl")
    lines.append({"a": 1})
    lines.replace([{"b": "ä"}])
    assert JsonLines(tmp_path / "a.jsonl").objects() == lines.objects() == [{"b": "ä"}]
    assert [path.name for path in tmp_path.iterdir()] == ["a.jsonl"]
