"""Batches where Ray is missing or somewhere else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from diffc import batch
from diffc.cli.main import main


@pytest.fixture
def photos(tmp_path: Path, photo: Image.Image) -> Path:
    """A folder with a picture."""
    photo.save(tmp_path / "a.png")
    return tmp_path


def test_what_is_missing_is_named(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ValueError, match=r"pip install 'diffc\[ray\]'"):
        batch.run("encode", photos, photos / "out", executor=batch.Ray())


def test_importing_the_package_imports_nothing_heavy() -> None:
    script = "import sys, diffc.batch; print({'numpy', 'ray', 'torch'} & set(sys.modules))"
    command = [sys.executable, "-c", script]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout == "set()\n"


@pytest.mark.parametrize("flag", ["--address=auto", "--num-gpus=1"])
def test_flags_of_ray_are_refused_elsewhere(
    photos: Path, flag: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["batch", "encode", str(photos), "-o", str(photos / "out"), flag]) == 2
    assert "is for --executor ray: drop it" in capsys.readouterr().err
