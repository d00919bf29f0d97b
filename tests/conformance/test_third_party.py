"""A codec in a package of its own: built, installed, found, used and tested, and then missing."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "diffc-thumbnail"
GUIDE = ROOT / "docs" / "adding-a-codec.md"
SOURCES = ("diffc_thumbnail.py", "pyproject.toml", "README.md", "test_thumbnail.py")

WITH_PACKAGE = """
import sys
from pathlib import Path
import diffc
from PIL import Image

listed = diffc.codecs_available()["thumbnail"]
assert listed.installed and listed.origin == "diffc-thumbnail", listed
assert "diffc_thumbnail" not in sys.modules and "torch" not in sys.modules

image = Image.linear_gradient("L").convert("RGB").resize((120, 80))
image.save("photo.diffc", backend="thumbnail", bpp=0.5)
assert Path("photo.diffc").stat().st_size <= 0.5 * 120 * 80 / 8
image.save("small.diffc", format="DIFFC", backend="thumbnail", target_size=90)
assert Path("small.diffc").stat().st_size <= 90
lengths = [len(diffc.encode(image, backend="thumbnail", quality=q, levels=16)) for q in (0, 50, 99)]
assert lengths == sorted(lengths) and lengths[0] < lengths[-1], lengths
for wrong in ({"bpp": 0.001}, {"levels": 1}, {"levels": "many"}, {"model": 5}, {"label": 4}):
    try:
        diffc.encode(image, backend="thumbnail", **wrong)
    except ValueError as error:
        assert next(iter(wrong)) in str(error), error
    else:
        raise AssertionError(f"{wrong} was accepted")

with Image.open("photo.diffc") as opened:
    assert opened.size == (120, 80) and opened.info["diffc"]["codec"] == "thumbnail"
    apart = [abs(a - b) for a, b in zip(opened.tobytes(), image.tobytes(), strict=True)]
assert sum(apart) / len(apart) < 8, sum(apart) / len(apart)
assert diffc.codecs_available()["thumbnail"].description.startswith("a small copy")

import pytest
sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", "test_thumbnail.py"]))
"""

WITHOUT_PACKAGE = """
import diffc
from PIL import Image

assert "thumbnail" not in diffc.codecs_available()
with Image.open("photo.diffc") as opened:
    assert opened.size == (120, 80)
    try:
        opened.load()
    except OSError as error:
        assert "'thumbnail' is not installed: " in str(error), error
    else:
        raise AssertionError("the picture was decoded")
assert diffc.info("photo.diffc").codec == "thumbnail"
"""


def run(*arguments: str, folder: Path, package: Path | None = None) -> None:
    """Run Python in a folder, with the files of a package beside the installed ones or without."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    if package is not None:
        environment["PYTHONPATH"] = str(package)
    ran = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder where the example's wheel was built from a copy, and installed."""
    folder = tmp_path_factory.mktemp("third-party")
    (folder / "source").mkdir()
    for name in SOURCES:
        shutil.copy(EXAMPLE / name, folder / "source")
    offline = ("-m", "pip", "--disable-pip-version-check", "--no-input")
    build = ("wheel", "--no-deps", "--no-build-isolation", "--no-index", "-w", "wheels", "./source")
    run(*offline, *build, folder=folder)
    (wheel,) = (folder / "wheels").glob("*.whl")
    install = ("install", "--no-deps", "--no-index", "--target", "site", str(wheel))
    run(*offline, *install, folder=folder)
    shutil.copy(EXAMPLE / "test_thumbnail.py", folder)
    return folder


def test_the_wheel_holds_the_module_and_the_entry_point(workshop: Path) -> None:
    (wheel,) = (workshop / "wheels").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (points,) = [name for name in names if name.endswith("entry_points.txt")]
        assert "diffc_thumbnail.py" in names
        assert not [name for name in names if name.startswith(("diffc/", "test_"))]
        assert archive.read(points).decode().split() == [
            "[diffc.codecs]",
            "thumbnail",
            "=",
            "diffc_thumbnail:Thumbnail",
        ]


def test_an_installed_package_adds_a_codec_and_its_absence_is_an_error(workshop: Path) -> None:
    run("-W", "error", "-c", WITH_PACKAGE, folder=workshop, package=workshop / "site")
    run("-W", "error", "-c", WITHOUT_PACKAGE, folder=workshop)


def blocks(text: str, language: str) -> list[str]:
    """Return the fenced blocks of a language."""
    parts = text.split("```")[1::2]
    return [part.removeprefix(language).lstrip("\n") for part in parts if part.startswith(language)]


def test_the_guide_quotes_the_example_as_it_is() -> None:
    text = GUIDE.read_text()
    codec, tests = blocks(text, "python")
    (entry_point,) = blocks(text, "toml")
    assert codec == (EXAMPLE / "diffc_thumbnail.py").read_text()
    assert tests in (EXAMPLE / "test_thumbnail.py").read_text()
    assert entry_point in (EXAMPLE / "pyproject.toml").read_text()


def code_lines(source: str) -> set[int]:
    """Return the numbers of lines that are neither blank, comments nor docstrings."""
    lines = enumerate(source.splitlines(), 1)
    found = {number for number, text in lines if text.strip() and text.strip()[0] != "#"}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(
            node
        ):
            text = node.body[0]
            found -= set(range(text.lineno, (text.end_lineno or 0) + 1))
    return found


def test_the_guide_and_its_codec_stay_short() -> None:
    assert len(code_lines((EXAMPLE / "diffc_thumbnail.py").read_text())) <= 45
    assert len(GUIDE.read_text().splitlines()) <= 100


def test_building_leaves_no_litter_in_the_tree(workshop: Path) -> None:
    # caches of tools are no litter of a build
    kept = {path.name for path in EXAMPLE.iterdir() if not path.name.startswith((".", "__"))}
    assert kept == set(SOURCES)
    assert (workshop / "site" / "diffc_thumbnail.py").is_file()
