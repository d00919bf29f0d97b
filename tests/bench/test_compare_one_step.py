"""The program that compares codecs of one step."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest
from photograph import drawn

PROGRAM = runpy.run_path(str(Path(__file__).parents[2] / "examples" / "compare_one_step.py"))


def test_every_codec_that_reaches_a_rate_is_in_its_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(2):
        drawn((200 + number, 150), "RGB").save(tmp_path / f"{number}.png")
    PROGRAM["main"](
        [str(tmp_path), "--crop", "96", "--bpp", "0.001", "1.5", "--codecs", "webp", "jpeg"]
    )
    unreached, reached = capsys.readouterr().out.strip().split("\n\n", 1)
    assert unreached == "0.001 bits per pixel: no codec reaches it"
    head, *rows = [line for line in reached.splitlines() if line.startswith("|")]
    assert head.split("|")[1].strip() == "codec"
    assert len(rows) == 3
    # one of them is the best of each measure, which are three
    assert reached.count("**") == 6


def test_the_best_of_each_measure_is_bold() -> None:
    found: Any = PROGRAM["Found"]
    text = PROGRAM["table"](0.1, [found("a", 0.1, 20, 0.2, 0.4), found("b", 0.09, 21, 0.3, 0.1)])
    assert "| a | 0.1000 | 20.00 | **0.200000** | 0.4000 |" in text
    assert "| b | 0.0900 | **21.00** | 0.300000 | **0.1000** |" in text
