"""A codec is added to diffc by one folder and one line: everything else knows it from that."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "diffc-thumbnail" / "diffc_thumbnail.py"
LINE = '    "halves": "diffc.codecs.halves.codec:Halves",\n'

SCRIPT = """
import io, os, sys
from contextlib import redirect_stdout
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import diffc
assert diffc.__file__ == os.path.abspath("diffc/__init__.py"), diffc.__file__
from PIL import Image
from diffc.cli.main import main

def said(*arguments):
    stream = io.StringIO()
    with redirect_stdout(stream):
        assert main(arguments) == 0, arguments
    return stream.getvalue()

assert diffc.codecs_available()["halves"].origin == "built in"
assert "--levels LEVELS" in said("codecs", "halves")
assert "| `halves` | a small copy of the picture" in said("codecs", "--markdown")
assert "| `levels=` | 2 to 256 | `32` |" in said("codecs", "--markdown")
assert "--levels LEVELS" in said("encode", "--backend", "halves", "--help")
image = Image.linear_gradient("L").convert("RGB").resize((48, 32))
image.save("a.png")
said("encode", "a.png", "--backend", "halves", "--levels", "7", "--bpp", "1")
wanted = diffc.encode(image, backend="halves", levels=7, bpp=1)
assert Path("a.diffc").read_bytes() == wanted
assert Image.open("a.diffc").info["diffc"] == {"codec": "halves", "generative": False}

from diffc.adapters.opencv import constants
assert constants.IMWRITE_DIFFC_BACKEND_HALVES == 77

from diffc.bench.contenders.lookup import contender, known
assert "halves" in known()
attempt = contender("halves:levels=7", None, None).encode(image, len(wanted))
assert len(attempt.data) <= len(wanted)

from diffc.registry import load_codec
from diffc.testing import checks
for check in checks(load_codec("halves"), sizes=[(1, 1), (9, 7)], time_limit=600):
    check()

import make_frozen
make_frozen.main("halves", Path("frozen"))
assert len(list(Path("frozen").glob("*.diffc"))) >= 6
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the package where a codec was added."""
    package = tmp_path / "diffc"
    ignored = shutil.ignore_patterns("__pycache__", "weights")
    for source, target in (("plugin", "."), ("codecs", "codecs"), ("adapters", "adapters")):
        shutil.copytree(ROOT / source, package / target, ignore=ignored, dirs_exist_ok=True)
    (package / "codecs" / "weights").symlink_to(ROOT / "codecs" / "weights")
    folder = package / "codecs" / "halves"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    text = EXAMPLE.read_text(encoding="utf-8").replace("class Thumbnail(", "class Halves(")
    text = text.replace('"thumbnail", 1\n', '"halves", 1\n    number = 77\n')
    (folder / "codec.py").write_text(text, encoding="utf-8")
    table = package / "builtin_codecs.py"
    lines = table.read_text(encoding="utf-8").replace("BUILT_IN = {\n", "BUILT_IN = {\n" + LINE)
    table.write_text(lines, encoding="utf-8")
    return tmp_path


def test_one_folder_and_one_line_add_a_codec(tree: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT, str(ROOT / "tests")],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
