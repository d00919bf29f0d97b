"""How the modules hang together: who imports whom, and what none of them may do."""

from __future__ import annotations

import ast
import configparser
import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = {"plugin": "diffc", "codecs": "diffc.codecs", "adapters": "diffc.adapters"}
OUTSIDE = {"socket", "ssl", "http", "urllib", "urllib3", "requests", "httpx", "aiohttp", "ftplib"}
PICKLES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
FOLDER_NAMES = {"plugin", "codecs", "adapters"}
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


def defines_codec(tree: ast.AST) -> bool:
    """Return whether a module derives a class from Codec, or registers one."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and "Codec" in map(last_name, node.bases):
            return True
        if isinstance(node, ast.Call) and last_name(node.func) == "register_codec":
            return True
    return False


def last_name(node: ast.AST) -> str:
    """Return ``c`` of ``a.b.c``."""
    if isinstance(node, ast.Subscript):
        node = node.value
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def forbidden_imports(name: str, tree: ast.AST, codecs: set[str]) -> list[str]:
    """Return the imports of a module that go against the direction of the house."""
    found = []
    for imported in imports(tree):
        core = below(imported, "diffc") and not (
            below(imported, "diffc.codecs") or below(imported, "diffc.adapters")
        )
        if below(name, "diffc.adapters"):
            wrong = below(imported, "diffc") and not core
            # an adapter may be split into modules of its own
            wrong = wrong and not below(imported, "diffc.adapters")
        elif below(name, "diffc.codecs"):
            wrong = below(imported, "diffc.adapters")
            wrong = wrong or (name in codecs and imported in codecs and imported != name)
            training = below(imported, "diffc.codecs.training")
            wrong = wrong or (training and not below(name, "diffc.codecs.training"))
        else:
            wrong = below(imported, "diffc") and not core
        if wrong:
            found.append(imported)
    return found


def only_weights(call: ast.Call) -> bool:
    """Return whether ``weights_only=True`` is written in a call of torch.load."""
    given = {each.arg: ast.unparse(each.value) for each in call.keywords}
    return given.get("weights_only") == "True"


def dangers(name: str, tree: ast.AST) -> list[str]:
    """Return what a module does that none may; one of them may read a released checkpoint."""
    found = []
    for imported in imports(tree):
        top = imported.partition(".")[0]
        if top in OUTSIDE | PICKLES | FOLDER_NAMES or imported.startswith("."):
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


SOURCES = {name: path.read_text(encoding="utf-8") for name, path in MODULES.items()}
TREES = {name: ast.parse(source) for name, source in SOURCES.items()}
CODECS = {
    name for name, tree in TREES.items() if below(name, "diffc.codecs") and defines_codec(tree)
}


def test_the_tree_was_found() -> None:
    assert {"diffc", "diffc.registry", "diffc.codecs.ddcm", "diffc.adapters.pillow"} <= set(MODULES)
    assert "diffc.codecs.ddcm" in CODECS


@pytest.mark.parametrize("name", MODULES)
def test_imports_keep_their_direction(name: str) -> None:
    assert forbidden_imports(name, TREES[name], CODECS) == []


@pytest.mark.parametrize("name", MODULES)
def test_no_module_reaches_outside_or_runs_data(name: str) -> None:
    assert dangers(name, TREES[name]) == []


@pytest.mark.parametrize("name", MODULES)
def test_every_module_says_what_it_is(name: str) -> None:
    # an empty __init__.py holds nothing to describe
    assert ast.get_docstring(TREES[name]) or not TREES[name].body  # type: ignore[attr-defined]


@pytest.mark.parametrize("path", ["tests", "examples"])
def test_tests_and_examples_import_the_package_by_its_name(path: str) -> None:
    for file in sorted((ROOT / path).rglob("*.py")):
        tops = {imported.partition(".")[0] for imported in imports(ast.parse(file.read_text()))}
        assert not tops & FOLDER_NAMES, file


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("diffc.api", "import diffc.codecs.ddcm"),
        ("diffc.api", "from diffc import codecs"),
        ("diffc.api", "def late():\n    from diffc.adapters.pillow import register"),
        ("diffc.codecs.ddcm", "from diffc.adapters import pillow"),
        ("diffc.codecs.ddcm", "from diffc.codecs.relay import RelayCodec"),
        ("diffc.codecs.ddcm", "from diffc.codecs import relay"),
        ("diffc.codecs.blocks", "from diffc.codecs.training.export import write_model"),
        ("diffc.adapters.pillow", "from diffc.codecs.ddcm import DdcmCodec"),
    ],
)
def test_a_wrong_import_is_noticed(name: str, source: str) -> None:
    assert forbidden_imports(name, ast.parse(source), {"diffc.codecs.ddcm", "diffc.codecs.relay"})


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


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("class A(Codec): ...", True),
        ("class A(diffc.codec.Codec): ...", True),
        ("register_codec('a', 'b:C')", True),
        ("class A(Codecs): ...", False),
        ("from diffc.codec import Codec", False),
    ],
)
def test_modules_of_codecs_are_told_from_shared_ones(source: str, expected: bool) -> None:
    assert defines_codec(ast.parse(source)) == expected


def test_every_codec_module_is_in_the_registry() -> None:
    from diffc import registry

    targets = {str(entry.target).partition(":")[0] for entry in registry._BUILT_IN.values()}
    assert targets == CODECS


def test_the_package_list_is_the_tree() -> None:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    listed = parser["options"]["packages"].split()
    packages = {module_name(path) for path in MODULES.values() if path.name == "__init__.py"}
    assert sorted(listed) == sorted(packages)
    # a folder with modules but without __init__.py would not be installed
    assert {path.parent / "__init__.py" for path in MODULES.values()} <= set(MODULES.values())
    places = dict(
        line.split(" = ") for line in parser["options"]["package_dir"].split("\n") if line
    )
    assert places == {package: folder for folder, package in FOLDERS.items()}


def test_modules_are_small() -> None:
    lengths = {name: len(source.splitlines()) for name, source in SOURCES.items()}
    assert statistics.median(lengths.values()) < 150, lengths
