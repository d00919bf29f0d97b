"""Which files a batch reads and writes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from diffc.batch.items import Item, Plan

CLI = [sys.executable, "-c", "import sys; from diffc.cli.main import main; sys.exit(main())"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with files of many kinds."""
    names = "b.jpg a.PNG deep/er/c.heic deep/d.diffc e.txt .hidden.jpg .git/f.jpg g.jpeg"
    for name in names.split():
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path / "in"


def planned(plan: Plan, root: Path) -> list[tuple[str, str]]:
    """Return sources and targets, relative to a folder."""
    assert plan.count() == len(list(plan))
    return [(os.path.relpath(i.source, root), os.path.relpath(i.target, root)) for i in plan]


def test_folders_are_searched_in_order_and_mirrored(folder: Path, tmp_path: Path) -> None:
    plan = Plan([str(folder)], tmp_path / "out", "encode", ".diffc")
    assert planned(plan, tmp_path) == [
        ("in/a.PNG", "out/a.diffc"),
        ("in/b.jpg", "out/b.diffc"),
        ("in/deep/er/c.heic", "out/deep/er/c.diffc"),
        ("in/g.jpeg", "out/g.diffc"),
    ]
    assert planned(Plan([str(folder)], None, "decode", ".png"), tmp_path) == [
        ("in/deep/d.diffc", "in/deep/d.png")
    ]


def test_the_folder_of_outputs_is_no_input(folder: Path) -> None:
    plan = Plan([str(folder)], folder / "deep", "transcode", ".diffc")
    assert planned(plan, folder) == []


def test_patterns_and_files(folder: Path, tmp_path: Path) -> None:
    plan = Plan([f"{folder}/**/*.[jh]*", f"{folder}/e.txt"], tmp_path / "out", "encode", ".diffc")
    assert planned(plan, tmp_path) == [
        ("in/b.jpg", "out/b.diffc"),
        ("in/deep/er/c.heic", "out/deep/er/c.diffc"),
        ("in/g.jpeg", "out/g.diffc"),
        ("in/e.txt", "out/e.diffc"),
    ]


@pytest.mark.parametrize("name", ["gone", "gone/*.jpg", "gone.jsonl"])
def test_a_missing_input_is_an_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="an input is a folder, a file or a pattern"):
        Plan([str(tmp_path / name)], None, "encode", ".diffc")


def test_manifests(tmp_path: Path) -> None:
    lines = [
        {"source": "a.jpg"},
        {"source": "sub/b.jpg", "target": "x/y.diffc", "options": {"bpp": 0.1}},
        {"source": "/far/away.png"},
    ]
    manifest = tmp_path / "list.jsonl"
    manifest.write_text("\n\n".join(map(json.dumps, lines)))
    plan = Plan([str(manifest)], tmp_path / "out", "encode", ".diffc")
    assert planned(plan, tmp_path)[:2] == [
        ("a.jpg", "out/a.diffc"),
        ("sub/b.jpg", "x/y.diffc"),
    ]
    last = Item("/far/away.png", str(tmp_path / "out" / "away.diffc"))
    assert [each.options for each in plan] == [{}, {"bpp": 0.1}, {}]
    assert list(plan)[-1] == last


@pytest.mark.parametrize(
    "line",
    [
        "nonsense",
        "[]",
        '{"target": "a"}',
        '{"source": 3}',
        '{"source": "a", "options": 3}',
        "[" * 100_000,
    ],
)
def test_a_wrong_line_is_an_item_that_says_so(tmp_path: Path, line: str) -> None:
    manifest = tmp_path / "list.jsonl"
    manifest.write_text(f'{{"source": "a"}}\n{line}\n{{"source": "b"}}\n')
    first, wrong, last = Plan([str(manifest)], tmp_path, "encode", ".diffc")
    assert (first.error, last.error) == (None, None)
    assert wrong.source == f"{manifest}:2"
    assert wrong.error is not None
    assert "manifest" in wrong.error


@pytest.mark.skipif(sys.platform != "linux", reason="memory is said on Linux")
def test_memory_does_not_grow_with_the_manifest(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()

    def peak(count: int) -> float:
        manifest = tmp_path / "list.jsonl"
        with manifest.open("w") as file:
            for number in range(count):
                file.write(json.dumps({"source": "a.jpg", "target": f"out/{number}.diffc"}) + "\n")
        command = [*CLI, "batch", "encode", manifest, "--plan-only", "--results", tmp_path / "r"]
        done = subprocess.run(
            [*map(str, command)], check=True, capture_output=True, text=True
        ).stdout
        assert done.startswith(f"{count} to encode, 0 to keep, 0 to fail; planned in ")
        return float(done.split(" with ")[1].split(" MB")[0])

    small, large = peak(100), peak(20_000)
    assert large < 300
    # the index of targets may hold 16 MB in memory before it goes to the disk
    assert large - small < 20
