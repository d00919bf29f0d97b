"""``diffc codecs`` and the flags of ``diffc encode`` that come from what codecs declare."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

import diffc
from diffc.cli.main import main

DOCS = Path(__file__).parents[2] / "docs"


def test_the_list_says_what_is_missing(capsys: pytest.CaptureFixture[str], own_store: Path) -> None:
    assert main(["codecs"]) == 0
    said = capsys.readouterr().out
    assert "  needs    a model: diffc models fetch cod-lite" in said
    assert "relay: relay residual diffusion from an AV1 picture (built in)\n  models   tiny" in said
    assert main(["codecs", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert listed["cod"]["needs"] == diffc.codecs_available()["cod"].needs != ""
    assert listed["relay"]["needs"] == ""
    assert not own_store.exists()


def test_a_page_says_what_a_codec_offers(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["codecs", "ddcm"]) == 0
    said = capsys.readouterr().out
    for part in (
        "version  1 of its bitstream",
        "models   tiny",
        "packages torch",
        "traits   generative, continuous rate, progressive, region of interest",
        "--target-psnr TARGET_PSNR",
        "(1 to 255; default: 30)",
    ):
        assert part in said
    assert main(["codecs", "nobodys"]) == 1
    assert "codec 'nobodys' is not installed" in capsys.readouterr().err


def test_the_tables_of_the_docs_are_those_of_the_command(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["codecs", "--markdown"]) == 0
    assert capsys.readouterr().out in (DOCS / "codecs.md").read_text(encoding="utf-8")


def test_flags_are_those_of_the_codec_that_is_named(
    photo: Image.Image,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    photo.save("a.png")
    assert main(["encode", "a.png", "--backend=ddcm", "--steps", "3", "--seed", "4", "-f"]) == 0
    wanted = diffc.encode(photo, backend="ddcm", steps=3, seed=4)
    assert Path("a.diffc").read_bytes() == wanted
    for wrong, code, says in (
        (["--backend", "ddcm", "--steps", "0"], 1, "steps is a whole number from 1 to 255, not 0"),
        (["--backend", "ddcm", "--steps", "many"], 2, "argument --steps: invalid int value"),
        (["--steps", "3"], 1, "'steps' is not an option of codec 'relay'"),
        (["--backend", "ddcm", "--stepz", "3"], 2, "unrecognized arguments: --stepz 3"),
        (["--backend", "nobodys"], 1, "codec 'nobodys' is not installed"),
        (["--backend", "ddcm", "--steps", "3", "--option", "steps=4"], 2, "given twice"),
    ):
        assert main(["encode", "a.png", "-f", *wrong]) == code
        assert says in capsys.readouterr().err
    for name, flag in (("ddcm", "--target-psnr"), ("relay", "--speed"), ("perco", "--caption")):
        assert main(["encode", "--backend", name, "--help"]) == 0
        help_text = capsys.readouterr().out
        assert flag in help_text
        assert f"options of codec '{name}'" in help_text
