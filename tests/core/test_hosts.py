"""What other tools know of the package: web frameworks, type checkers, freezers."""

from __future__ import annotations

import io
import runpy
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path
from pkgutil import walk_packages
from types import ModuleType
from typing import Any

import codecs_for_tests  # noqa: F401 - registers codecs
import pytest
from PIL import Image

import diffc


@pytest.mark.parametrize("before", ["", "import mimetypes; mimetypes.init()"])
@pytest.mark.parametrize("after", ["", "mimetypes.init()"])
def test_the_type_of_a_file_is_known_by_its_name(before: str, after: str) -> None:
    if before and after:
        after = ""
    script = f"""{before}
import diffc, mimetypes
{after}
print(mimetypes.guess_type("folder/photo.diffc"), mimetypes.guess_extension("image/x-diffc"))
print(mimetypes.guess_type("photo.DIFFC"), mimetypes.guess_type("photo.png"))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    )
    assert done.stdout == (
        "('image/x-diffc', None) .diffc\n('image/x-diffc', None) ('image/png', None)\n"
    )


def test_an_image_says_that_it_is_one_picture(photo: Image.Image) -> None:
    image: Any = Image.open(io.BytesIO(diffc.encode(photo, backend="planes")))
    assert (image.n_frames, image.is_animated) == (1, False)
    image.seek(0)
    with pytest.raises(EOFError):
        image.seek(1)
    assert image.get_format_mimetype() == "image/x-diffc"
    assert Image.registered_extensions()[".diffc"] == "DIFFC"


def test_type_checkers_know_the_names_for_opencv(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    (tmp_path / "right.py").write_text(
        "import diffc.cv as dcv\n"
        "from diffc import cv\n"
        "image = dcv.imread('a.diffc')\n"
        "ok: bool = dcv.imwrite('b.diffc', image, [dcv.IMWRITE_DIFFC_QUALITY, 5])\n"
        "try:\n"
        "    cv.imencode('.diffc', image)\n"
        "except dcv.error:\n"
        "    pass\n"
    )
    (tmp_path / "wrong.py").write_text("import diffc.cv as dcv\ndcv.imreed('a.diffc')\n")
    command = [sys.executable, "-m", "mypy", "--follow-imports=silent", "--cache-dir", "cache"]
    for name, code in (("right.py", 0), ("wrong.py", 1)):
        done = subprocess.run(
            [*command, name], check=False, cwd=tmp_path, capture_output=True, text=True
        )
        assert done.returncode == code, done.stdout


def test_pyinstaller_is_told_what_it_cannot_follow(monkeypatch: pytest.MonkeyPatch) -> None:
    (point,) = [
        each for each in entry_points(group="pyinstaller40") if each.value.startswith("diffc.")
    ]
    (folder,) = point.load()()

    def collect_submodules(package: str, filter: Any) -> list[str]:  # noqa: A002
        found = [each.name for each in walk_packages(diffc.__path__, f"{package}.")]
        return [name for name in [package, *found] if filter(name)]

    hooks: Any = ModuleType("PyInstaller.utils.hooks")
    hooks.collect_submodules = collect_submodules
    hooks.collect_data_files = lambda package: [(f"data of {package}", ".")]
    hooks.copy_metadata = lambda name: [(f"metadata of {name}", ".")]
    for name in ("PyInstaller", "PyInstaller.utils"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, hooks.__name__, hooks)
    found = runpy.run_path(str(Path(folder) / "hook-diffc.py"))
    named = set(found["hiddenimports"])
    names = ("cod", "ddcm", "dither", "perco", "posterior", "relay")
    wanted = {f"diffc.codecs.{name}.codec" for name in names}
    assert {*wanted, "diffc.adapters.pillow", "diffc.adapters.opencv", "diffc.cv"} <= named
    assert not any(name.startswith(("diffc.bench", "diffc.codecs.training")) for name in named)
    # hosts as large as these come only with an application that imports their adapters
    adapters = {name.split(".")[2] for name in named if name.startswith("diffc.adapters.")}
    shared = {"augmentation", "chunks", "fsspec", "opencv", "pillow", "pillow_options"}
    assert adapters == shared
    assert found["datas"] == [("data of diffc", "."), ("metadata of diffc", ".")]
