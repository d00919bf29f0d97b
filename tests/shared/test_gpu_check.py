"""The program that tries all codecs on a GPU, on machines without one."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

pytest.importorskip("diffusers")

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    names = ("gpu_check", "random_models", "time_cod")
    module = import_module("gpu_check")
    yield module
    for name in names:
        sys.modules.pop(name, None)


def test_the_same_program_runs_with_small_sizes(
    program: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        program.main(["--device", "cpu", "--small", "--walks", "2", "3", "--codecs", "dither"]) == 0
    )
    said = capsys.readouterr().out
    for line in (
        "portable noise, normals: the same on both devices",
        "T = 2: ",
        "T = 3: ",
        "one evaluation ",
        "All that is promised holds.",
    ):
        assert line in said
    # a device decodes what it decodes
    assert any(
        line.startswith("| dither |") and line.endswith("| yes | inf | inf |")
        for line in said.splitlines()
    )
    for shape in ("64x64", "96x72"):
        assert f"| dither | {shape} |" in said


def test_what_takes_too_long_is_named(
    program: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    check = program.Check("cpu", small=True, minutes=0)
    check.agreement([program.Case("dither")])
    check.speed([program.Case("dither")])
    check.large_network(tmp_path, [2])
    said = capsys.readouterr().out
    assert not any(tmp_path.iterdir())
    for what in ("dither", "dither, 64x64", "dither, 96x72", "ddcm with a large network"):
        assert f"{what}: left out, for the time is used up\n" in said
    assert check.failed == []


def test_what_does_not_hold_is_seen(program: Any, capsys: pytest.CaptureFixture[str]) -> None:
    class Drifting(program.Case):  # type: ignore[misc]
        """Another picture each time, and another file."""

        def encode(self, image: Image.Image, device: str) -> bytes:
            return torch.rand(1).numpy().tobytes()

        def decode(self, data: bytes, device: str) -> Image.Image:
            pixels = torch.randint(256, (8, 8, 3), dtype=torch.uint8)
            return Image.fromarray(pixels.numpy())

    check = program.Check("cpu", small=True, minutes=1)
    check.agreement([Drifting("drifting")])
    first, *others = check.failed
    assert first == "drifting codes one picture in two ways on cpu"
    assert [each.partition(":")[0] for each in others] == [
        "drifting decodes to other pictures on cpu"
    ] * 2


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so(program: Any) -> None:
    with pytest.raises(SystemExit, match="finds no CUDA device here"):
        program.main([])
