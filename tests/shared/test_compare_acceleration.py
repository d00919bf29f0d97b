"""The program that says what kept features save and cost, with small sizes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

pytest.importorskip("diffusers")

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    yield import_module("compare_acceleration")
    for name in ("compare_acceleration", "gpu_check", "random_models"):
        sys.modules.pop(name, None)


def rows(said: str, first: str) -> list[list[str]]:
    """Return the cells of the lines of a table that begin with something."""
    lines = [line for line in said.splitlines() if line.startswith(f"| {first} ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_both_tables(
    program: Any, photo: Image.Image, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "photo.png"
    photo.save(path)
    options = ["--small", "--latent", "16", "--caches", "2", "--codecs", "ddcm", "--bpp", "0.5"]
    program.main([str(path), *options])
    said = capsys.readouterr().out
    exact, kept = rows(said, "unchanged")
    assert (exact[2], exact[4], exact[6]) == ("1", "-", "inf")
    assert kept[2] == "2"
    assert 0 < float(kept[6]) < 100
    exact, kept = rows(said, "photo.png")
    assert (exact[1], exact[3], exact[7]) == ("ddcm", "1", "inf")
    assert (kept[1], kept[3]) == ("ddcm", "2")
    assert 5 < float(kept[7]) < 100


def test_decibels_are_those_of_the_error(program: Any) -> None:
    exact = torch.ones(100)
    assert program.decibels(exact, exact) == float("inf")
    assert program.decibels(exact, exact * 1.1) == pytest.approx(20, abs=0.01)
