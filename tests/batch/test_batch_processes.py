"""Batches in several processes, and their sudden ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import batch_codecs
import pytest
from PIL import Image

import diffc
from diffc import batch

# tests that run in the background ignore interrupts, and so would their children
SCRIPT = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from diffc.cli.main import main; sys.exit(main())"
)
CLI = [sys.executable, "-c", SCRIPT]
SECONDS = 120
RESULTS = "diffc-batch.jsonl"


@pytest.fixture(autouse=True)
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where workers write that they have read a model."""
    batch_codecs.register()
    monkeypatch.setenv(batch_codecs.LOG, str(tmp_path / "log"))
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    return tmp_path / "log"


@pytest.fixture
def photos(tmp_path: Path, photo: Image.Image) -> Path:
    """A folder of pictures."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(16):
        photo.resize((16, 16)).rotate(22 * number, expand=True).save(folder / f"{number:02}.png")
    return folder


def run(photos: Path, out: Path, executor: batch.Executor) -> batch.Summary:
    """Encode a folder with the codec that logs what it does."""
    return batch.run(
        "encode",
        photos,
        out,
        executor=executor,
        initializer=batch_codecs.register,
        backend="logged",
        quality=50,
    )


def contents(folder: Path) -> dict[str, bytes]:
    """Return the files of a folder, but for the results."""
    found = {path.name: path.read_bytes() for path in folder.iterdir()}
    found.pop(RESULTS, None)
    return found


def lines_of(folder: Path) -> list[bytes]:
    """Return the whole lines of results."""
    path = folder / RESULTS
    found = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    return [line for line in found if line.endswith(b"\n")]


def until(condition: Callable[[], Any]) -> None:
    """Wait for something to be so."""
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def children(process: int) -> list[int]:
    """Return the processes that a process has started."""
    text = Path(f"/proc/{process}/task/{process}/children").read_text()
    return [int(each) for each in text.split()]


def is_running(process: int) -> bool:
    """Return whether a process has not ended."""
    try:
        status = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return status != "Z"


def test_files_do_not_depend_on_who_makes_them(photos: Path, tmp_path: Path, log: Path) -> None:
    assert run(photos, tmp_path / "alone", batch.Serial()).made == 16
    log.unlink()
    red = Image.new("RGB", (8, 8), "red")
    # the last one, so that few workers have to be started
    red.save(photos / "red.png")
    summary = run(photos, tmp_path / "out", batch.Processes(2))
    assert (summary.made, summary.kept, summary.failed) == (16, 0, 1)
    assert contents(tmp_path / "out") == contents(tmp_path / "alone")
    rows = [json.loads(line) for line in lines_of(tmp_path / "out")]
    (failed,) = [row for row in rows if row["status"] == "error"]
    assert failed["source"].endswith("red.png")
    assert failed["error"] == "workers die of this file: the last one was ended by signal 9"
    # each reads the model once
    lines = log.read_text().splitlines()
    assert len(set(lines)) == len(lines)
    assert 2 <= len(lines) <= 4
    assert {line.split()[1] for line in lines} == {"1"}
    assert str(os.getpid()) not in {line.split()[0] for line in lines}


@pytest.mark.skipif(sys.platform != "linux", reason="finds the workers in /proc")
def test_a_run_that_is_killed_leaves_no_pieces_and_nothing_is_made_twice(
    photos: Path, tmp_path: Path
) -> None:
    run(photos, tmp_path / "alone", batch.Serial())
    out = tmp_path / "out"
    script = tmp_path / "script.py"
    script.write_text(batch_codecs.SCRIPT)
    path = os.pathsep.join([str(Path(batch_codecs.__file__).parent), *sys.path])
    command = [sys.executable, script, photos, out]
    environment = os.environ | {"PYTHONPATH": path}
    with subprocess.Popen([*map(str, command)], env=environment) as process:
        until(lambda: len(lines_of(out)) >= 3)
        workers = children(process.pid)
        process.kill()
        process.wait(SECONDS)
    until(lambda: not any(map(is_running, workers)))
    kept = lines_of(out)
    assert len(kept) < 16
    for name, data in contents(out).items():
        if not name.startswith("."):
            assert data == (tmp_path / "alone" / name).read_bytes()
    summary = run(photos, out, batch.Serial())
    assert (summary.made, summary.kept, summary.failed) == (16 - len(kept), len(kept), 0)
    assert contents(out) == contents(tmp_path / "alone")
    # rows tell seconds: those of files that were made again would be others
    assert set(kept) <= set(lines_of(out))
    assert len(lines_of(out)) == 16


@pytest.mark.skipif(sys.platform == "win32", reason="interrupts are sent in another way")
def test_an_interrupt_ends_all_cleanly(photos: Path, tmp_path: Path, model: str) -> None:
    out = tmp_path / "out"
    # more than can be done before anybody looks
    sources = [f"photos/{number % 16:02}.png" for number in range(3000)]
    lines = [
        json.dumps({"source": source, "target": f"out/{number}.diffc"})
        for number, source in enumerate(sources)
    ]
    manifest = tmp_path / "list.jsonl"
    manifest.write_text("\n".join(lines))
    assert photos == tmp_path / "photos"
    command = [*CLI, "batch", "encode", manifest, "-o", out, "--model", model, "--workers", "1"]
    with subprocess.Popen(
        [*map(str, command)], stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        until(lambda: len(lines_of(out)) >= 2)
        # as a terminal does, to all of them
        os.killpg(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=SECONDS)
    assert process.returncode == 130
    (line,) = said.splitlines()
    assert line == "diffc: stopped; what is done is whole: run the command again to go on"
    made = contents(out)
    assert 2 <= len(made) < 3000
    assert all(diffc.info(data).codec == "relay" for data in made.values())


def test_workers_that_cannot_start_end_the_batch(
    photos: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(OSError, match="a worker ended with 1 before it could start"):
        batch.run(
            "encode",
            photos,
            tmp_path / "out",
            executor=batch.Processes(1),
            initializer=batch_codecs.fail,
        )
    assert "no such luck" in capfd.readouterr().err
    assert contents(tmp_path / "out") == {}


@pytest.mark.parametrize("workers", [0, 1.5, True, 5000])
def test_numbers_of_workers(workers: Any) -> None:
    with pytest.raises(ValueError, match="workers are 1 to 1024"):
        batch.Processes(workers)
