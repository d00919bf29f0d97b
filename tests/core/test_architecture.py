"""How the rooms hang together: who imports whom, and what no module may do."""

from __future__ import annotations

import ast
import re
import runpy
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = {"plugin": "diffc", "codecs": "diffc.codecs", "adapters": "diffc.adapters"}
# the core from the ground up: a room imports itself and those before it
GROUND = (
    "errors values urls threads torch_state progress devices file_io optional_packages key_value option"
    " rate codec decode_options builtin_codecs registry"
)
ROOMS = (
    {*GROUND.split()},
    {"entropy", "parameters"},
    {"noise"},
    {"container"},
    {"pictures"},
    {"models", "codec_list"},
    {"captions", "options", "encoding", "reconstruction"},
    {"sources"},
    {"api", "autoload"},
    {"batch", "restoration"},
    {"conformance", "testing"},
    {"bench"},
    {"cli"},
    {"__pyinstaller"},
)
# to be emptied: (module or room, what it imports against the rules)
EXCEPTIONS = {
    # another name of it, for type checkers to follow
    ("diffc.cv", "diffc.adapters.opencv"),
}
OUTSIDE = {"socket", "ssl", "http", "urllib", "urllib3", "requests", "httpx", "aiohttp", "ftplib"}
PICKLES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
RUNS_TEXT = {"eval", "exec", "compile", "__import__"}


def module_name(path: Path) -> str:
    """Return the name that a file of the package is imported by."""
    folder, *rest = path.relative_to(ROOT).with_suffix("").parts
    return ".".join([FOLDERS[folder], *rest]).removesuffix(".__init__")


MODULES = {
    module_name(path): path
    for folder in FOLDERS
    for path in sorted((ROOT / folder).rglob("*.py"))
    if "__pycache__" not in path.parts
}
SOURCES = {name: path.read_text(encoding="utf-8") for name, path in MODULES.items()}
TREES = {name: ast.parse(source) for name, source in SOURCES.items()}


def imports(tree: ast.AST) -> Iterator[str]:
    """Yield what a module imports anywhere, functions and type checking included.

    Of ``from a import b`` both ``a`` and ``a.b``, for ``b`` may be a module.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            yield module
            yield from (f"{module}.{each.name}" for each in node.names)


def below(module: str, package: str) -> bool:
    """Return whether a module is a package or in it."""
    return module == package or module.startswith(f"{package}.")


def codec_of(module: str) -> str:
    """Return the package of a codec that a module is in; empty if it is in none."""
    parts = module.split(".")
    if parts[:2] != ["diffc", "codecs"] or len(parts) < 3 or parts[2] in ("shared", "training"):
        return ""
    return ".".join(parts[:3])


def floor_of(module: str) -> int:
    """Return how high up in the core a module's room is; -1 if it is in no room."""
    first = module.removeprefix("diffc.").partition(".")[0]
    return next((floor for floor, names in enumerate(ROOMS) if first in names), -1)


def against_the_rules(name: str, imported: str) -> bool:
    """Return whether a module may not import another."""
    if not below(imported, "diffc"):
        return False
    if below(name, "diffc.adapters"):
        return below(imported, "diffc.codecs")
    if below(imported, "diffc.adapters"):
        return True
    if not below(name, "diffc.codecs"):
        return below(imported, "diffc.codecs") or -1 < floor_of(name) < floor_of(imported)
    if below(imported, "diffc.codecs.training"):
        # coding and decoding never need what trains their models
        in_training = below(name, "diffc.codecs.training")
        return not (in_training or name.split(".")[-1].startswith("training"))
    return bool(codec_of(imported)) and codec_of(imported) != codec_of(name)


def forbidden_imports(name: str, tree: ast.AST) -> set[tuple[str, str]]:
    """Return the imports of a module that go against the rules, codecs in short."""
    found = {
        (codec_of(name) or name, codec_of(imported) or imported)
        for imported in imports(tree)
        if against_the_rules(name, imported)
    }
    # names in a module that is wrong already
    return {(a, b) for a, b in found if not any(below(b, c) and b != c for _, c in found)}


def only_weights(call: ast.Call) -> bool:
    """Return whether ``weights_only=True`` is written in a call of torch.load."""
    given = {each.arg: ast.unparse(each.value) for each in call.keywords}
    return given.get("weights_only") == "True"


def dangers(name: str, tree: ast.AST) -> list[str]:
    """Return what a module does that none may; one of them may read a released checkpoint."""
    found = []
    for imported in imports(tree):
        top = imported.partition(".")[0]
        if top in OUTSIDE | PICKLES | set(FOLDERS) or imported.startswith("."):
            found.append(imported)
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Name) and node.func.id in RUNS_TEXT:
            found.append(node.func.id)
        if ast.unparse(node.func) == "torch.load" and not (
            below(name, "diffc.models.checkpoint") and only_weights(node)
        ):
            found.append("torch.load")
        if any(each.arg in ("allow_pickle", "trust_remote_code") for each in node.keywords):
            found.append("unsafe keyword")
    return found


def test_imports_keep_to_the_rules() -> None:
    found = {each for name, tree in TREES.items() for each in forbidden_imports(name, tree)}
    assert found == EXCEPTIONS


def test_every_module_of_the_core_is_in_a_room() -> None:
    core = {
        name
        for name in MODULES
        if not below(name, "diffc.codecs") and not below(name, "diffc.adapters")
    }
    assert {name for name in core if floor_of(name) < 0} == {
        "diffc",
        "diffc.cv",
        "diffc.registration",
    }


@pytest.mark.parametrize("name", MODULES)
def test_every_module_is_documented_short_and_harmless(name: str) -> None:
    assert ast.get_docstring(TREES[name])
    assert len(SOURCES[name].splitlines()) <= 400
    assert dangers(name, TREES[name]) == []


@pytest.mark.parametrize("path", ["tests", "examples"])
def test_tests_and_examples_import_the_package_by_its_name(path: str) -> None:
    for file in sorted((ROOT / path).rglob("*.py")):
        tops = {imported.partition(".")[0] for imported in imports(ast.parse(file.read_text()))}
        assert not tops & set(FOLDERS), file


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("diffc.api", "import diffc.codecs.ddcm"),
        ("diffc.api", "from diffc import codecs"),
        ("diffc.api", "def late():\n    from diffc.adapters.pillow import register"),
        ("diffc.api", "from diffc.bench import run"),
        ("diffc.container.reader", "from diffc.pictures.pixels import to_tensor"),
        ("diffc.codecs.ddcm.codec", "from diffc.adapters import pillow"),
        ("diffc.codecs.ddcm.codec", "from diffc.codecs.relay.codec import RelayCodec"),
        ("diffc.codecs.ddcm.codec", "from diffc.codecs import relay"),
        ("diffc.codecs.ddcm.codec", "from diffc.codecs.training import loop"),
        ("diffc.codecs.shared.models", "from diffc.codecs.ddcm import codec"),
        ("diffc.codecs.training.loop", "import diffc.codecs.ddcm.codec"),
        ("diffc.adapters.pillow", "from diffc.codecs.ddcm.codec import DdcmCodec"),
    ],
)
def test_a_wrong_import_is_noticed(name: str, source: str) -> None:
    assert forbidden_imports(name, ast.parse(source))


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from codecs import open",
        "import plugin.api",
        "from . import api",
        "from .. import api",
        "def late():\n    import urllib.request",
        "import requests",
        "torch.load(path)",
        "eval('1')",
        "exec('')",
        "numpy.load(path, allow_pickle=True)",
    ],
)
def test_a_danger_is_noticed(source: str) -> None:
    assert dangers("diffc.api", ast.parse(source))


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("diffc.models.checkpoint", "torch.load(path)"),
        ("diffc.models.checkpoint", "torch.load(path, weights_only=False)"),
        ("diffc.models.checkpoint", "torch.load(path, weights_only=wanted)"),
        ("diffc.models.transfer", "torch.load(path, weights_only=True)"),
    ],
)
def test_only_one_module_reads_checkpoints_and_only_weights(name: str, source: str) -> None:
    assert dangers(name, ast.parse(source))


def test_the_picture_of_the_rooms_has_all_of_them() -> None:
    words = set(re.findall(r"\w+", (ROOT / "docs" / "images" / "rooms.svg").read_text()))
    rooms = [path for path in (ROOT / "plugin").iterdir() if path.is_dir()]
    rooms += [path for path in (ROOT / "codecs").iterdir() if path.is_dir()]
    assert {path.name for path in rooms if not path.name.startswith("__")} - words == set()


def test_all_folders_are_installed() -> None:
    setup = runpy.run_path(str(ROOT / "setup.py"))
    installed = set(setup["packages"](ROOT))
    packages = {module_name(path) for path in MODULES.values() if path.name == "__init__.py"}
    data = {"diffc.codecs.training.presets"} | {
        f"diffc.codecs.weights.{each.name}" for each in (ROOT / "codecs" / "weights").iterdir()
    }
    assert installed == packages | data
    # a folder with modules but without __init__.py would be another kind of package
    assert {path.parent / "__init__.py" for path in MODULES.values()} <= set(MODULES.values())
    assert setup["PLACES"] == {package: folder for folder, package in FOLDERS.items()}


def test_every_file_is_installed() -> None:
    patterns = ["*.py", *runpy.run_path(str(ROOT / "setup.py"))["DATA"]]
    files = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.is_file()]
    left = [
        path
        for path in files
        if "__pycache__" not in path.parts and not any(map(path.match, patterns))
    ]
    assert left == []
