"""``diffc batch``: arguments, sentences and exit codes."""

from __future__ import annotations

from pathlib import Path

import codecs_for_tests  # noqa: F401 - registers codecs
import pytest
from PIL import Image

import diffc
from diffc.cli import progress
from diffc.cli.main import main


@pytest.fixture
def photos(tmp_path: Path, photo: Image.Image) -> Path:
    """A folder of two pictures."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(2):
        photo.resize((24, 16)).rotate(180 * number).save(folder / f"{number}.png")
    return folder


def run(*arguments: object) -> int:
    """Run the command in this process."""
    return main(["batch", *map(str, arguments), "--executor", "serial"])


def test_there_and_back(
    photos: Path, tmp_path: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    coded, again, pictures = tmp_path / "coded", tmp_path / "again", tmp_path / "pictures"
    assert run("encode", photos, "-o", coded, "--bpp", 3, "--model", model, "--seed", 7) == 0
    assert capsys.readouterr().out.startswith("2 made, 0 kept, 0 failed: ")
    with Image.open(photos / "0.png") as image:
        wanted = diffc.encode(image, bpp=3, model=model, seed=7)
    assert (coded / "0.diffc").read_bytes() == wanted
    decode = ["--decode-option", "realism=0"]
    assert run("transcode", coded, "-o", again, "--backend", "planes", *decode) == 0
    assert diffc.info(again / "0.diffc").codec == "planes"
    assert run("decode", coded, "-o", pictures, "--format", "bmp", "--realism", 0) == 0
    with Image.open(pictures / "1.bmp") as image:
        assert image.tobytes() == diffc.decode(coded / "1.diffc", realism=0).tobytes()
    assert run("decode", coded, "-o", pictures, "--format", "bmp", "--realism", 0) == 0
    assert "0 made, 2 kept, 0 failed" in capsys.readouterr().out


def test_some_files_fail(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (photos / "0.png").write_bytes(b"")
    arguments = ["encode", photos, "-o", tmp_path / "out", "--backend", "planes"]
    assert run(*arguments, "--plan-only") == 0
    assert capsys.readouterr().out.startswith("2 to encode, 0 to keep, 0 to fail; planned in ")
    assert run(*arguments) == 3
    out, err = capsys.readouterr()
    assert out.startswith("1 made, 0 kept, 1 failed: ")
    assert err.startswith(f"diffc: {photos / '0.png'}: it is no image")
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["encode", "{photos}", "--bpp", "1"], 1, "results lie in the folder for the outputs"),
        (["encode", "{photos}/gone", "-o", "out"], 1, "an input is a folder, a file or a pattern"),
        (["encode", "{photos}", "-o", "out", "--bpp", "-1"], 1, "bpp is bits per pixel"),
        (["encode", "{photos}", "--bpp", "1", "--quality", "2"], 2, "not allowed with"),
        (["encode", "{photos}", "--workers", "2"], 2, "--executor serial has one worker, not 2"),
        (["decode", "{photos}", "-o", "out", "--format", "exe"], 1, "does not end as a format"),
        ([], 2, "ACTION"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(*(each.format(photos=photos) for each in arguments)) == code
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_bar_shows_rate_savings_and_time_left(
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(progress.sys.stderr, "isatty", lambda: True)
    (photos / "bad.png").write_bytes(b"")
    assert run("encode", photos, "-o", tmp_path / "out", "--backend", "planes") == 3
    shown = capsys.readouterr().err
    assert "/3 [" in shown
    assert "saved " in shown
    assert "file/s" in shown or "s/file" in shown
    assert f"diffc: {photos / 'bad.png'}: it is no image" in shown
