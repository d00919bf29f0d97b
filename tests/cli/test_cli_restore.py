"""``diffc restore``."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from jpeg_files import SIZE, jpeg
from PIL import Image

import diffc
from diffc.cli.main import main


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "old.jpg"
    path.write_bytes(jpeg(12))
    return path


def test_it_is_the_function(old: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["restore", str(old), "--realism", "0"]) == 0
    target = old.with_name("old.restored.png")
    assert f"{target}: {SIZE[0]}x{SIZE[1]} RGB" in capsys.readouterr().out
    wanted = diffc.restore(old, realism=0)
    assert np.array_equal(np.asarray(Image.open(target)), np.asarray(wanted))


def test_free_is_not_consistent(old: Path, tmp_path: Path) -> None:
    target = tmp_path / "free.png"
    assert main(["restore", str(old), "-o", str(target), "--free", "--strength", "20"]) == 0
    wanted = diffc.restore(old, strength=20, consistent=False)
    assert np.array_equal(np.asarray(Image.open(target)), np.asarray(wanted))


def test_folders_are_their_lossy_pictures(tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    out.mkdir()
    for number in range(2):
        (folder / f"{number}.jpg").write_bytes(jpeg(10 + number))
    (folder / "notes.txt").write_text("none")
    assert main(["restore", str(folder), "-o", str(out), "--compare"]) == 0
    names = sorted(each.name for each in out.iterdir())
    assert names == ["0.compare.png", "0.png", "1.compare.png", "1.png"]
    with Image.open(out / "0.compare.png") as sheet:
        assert sheet.width > SIZE[0]


def test_a_bad_file_among_good_ones(old: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = old.with_name("bad.jpg")
    bad.write_bytes(b"no picture")
    assert main(["restore", str(bad), str(old)]) == 3
    assert "bad.jpg: cannot identify" in capsys.readouterr().err
    assert old.with_name("old.restored.png").exists()


def test_nothing_is_overwritten_unasked(old: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = old.with_name("old.restored.png")
    target.write_bytes(b"mine")
    assert main(["restore", str(old)]) == 1
    assert "pass --force" in capsys.readouterr().err
    assert target.read_bytes() == b"mine"


def test_an_orientation_is_applied(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "turned.jpg"
    path.write_bytes(jpeg(20, exif=exif.tobytes()))
    assert main(["restore", str(path)]) == 0
    with Image.open(tmp_path / "turned.restored.png") as made:
        assert made.size == SIZE[::-1]


def test_an_empty_folder_is_a_usage_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["restore", str(tmp_path)]) == 2
    assert "no picture of a lossy format" in capsys.readouterr().err


def test_standard_output_takes_a_png(old: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert main(["restore", str(old), "-o", "-"]) == 0
    assert Image.open(io.BytesIO(capfdbinary.readouterr().out)).size == SIZE
