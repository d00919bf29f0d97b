"""Run ``diffc batch`` in every way on the same photos, end it by force, and look at what is left.

    python examples/compare_executors.py PHOTOS --count 200 --side 512

Photos of a folder are copied, at most so large; two files that are no pictures are put beside them.
One process, two processes and Ray with two workers encode them: the files have to be the same.  Then a
worker is killed in the middle of a run, and later the main process; the run is started again.  At last, a
manifest of 100 000 lines is planned.  Times mean something only on a machine that does nothing else.
Needs Linux, and ``pip install 'diffc[ray]'`` unless ``--executors serial process``.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from PIL import Image

RESULTS = "diffc-batch.jsonl"
ROWS = 100_000
WAYS = {
    "serial": ["--executor", "serial"],
    "process": ["--executor", "process", "--workers", "2"],
    "ray": ["--executor", "ray", "--workers", "2"],
}


def copy_photos(source: Path, target: Path, count: int, side: int) -> None:
    """Copy photos of a folder, smaller where they are too large, and put two bad files beside them."""
    target.mkdir()
    names = sorted(each for each in source.iterdir() if each.suffix in (".jpg", ".jpeg", ".png"))
    if len(names) < count:
        raise SystemExit(f"{source} has {len(names)} photos, not {count}: pass --count")
    for path in names[:count]:
        with Image.open(path) as image:
            image.draft("RGB", (side, side))
            small = image.convert("RGB")
            small.thumbnail((side, side))
            small.save(target / f"{path.stem}.png")
    whole = (target / f"{names[0].stem}.png").read_bytes()
    (target / "cut.png").write_bytes(whole[: len(whole) // 2])
    (target / "empty.png").touch()


def command(photos: Path, out: Path, way: str, options: list[str]) -> list[str]:
    """Return the command that encodes a folder."""
    start = [sys.executable, "-m", "diffc.cli.main", "batch", "encode", str(photos), "-o", str(out)]
    return [*start, *WAYS[way], *options]


def encode(photos: Path, out: Path, way: str, options: list[str]) -> tuple[float, str]:
    """Encode a folder to the end; return seconds and what the command says."""
    start = time.perf_counter()
    done = subprocess.run(
        command(photos, out, way, options), check=False, capture_output=True, text=True
    )
    if done.returncode != 3:
        raise SystemExit(f"exit code {done.returncode}, not 3 for two bad files: {done.stderr}")
    if "2 failed" not in done.stdout:
        raise SystemExit(f"more than two bad files: {done.stderr.splitlines()[0]}")
    return time.perf_counter() - start, done.stdout.strip()


def files(out: Path) -> dict[str, bytes]:
    """Return all files in a folder but the results."""
    return {each.name: each.read_bytes() for each in out.iterdir() if each.name != RESULTS}


def rows_made(out: Path) -> list[str]:
    """Return the rows of files that were made, as they are written."""
    path = out / RESULTS
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    return [line for line in lines if line.endswith("\n") and json.loads(line)["status"] == "ok"]


def descendants(process: int) -> list[int]:
    """Return a process's children, theirs, and so on."""
    try:
        text = Path(f"/proc/{process}/task/{process}/children").read_text()
    except OSError:
        return []
    found = [int(each) for each in text.split()]
    return found + [deeper for each in found for deeper in descendants(each)]


def is_worker(process: int) -> bool:
    """Return whether a process is one that codes files."""
    try:
        said = Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return False
    return b"spawn_main" in said or said.startswith(b"ray::Worker")


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    """Wait for something to be so while a process runs."""
    while not condition():
        if process.poll() is not None:
            raise SystemExit("the run has ended before anything was killed: pass a larger --count")
        time.sleep(0.02)


def kill_and_resume(photos: Path, out: Path, way: str, options: list[str], whole: Path) -> None:
    """Kill a worker, then the main process; start again, and say what was found."""
    expected = files(whole)
    count = len(expected)
    start = command(photos, out, way, options)
    silent = subprocess.DEVNULL
    with subprocess.Popen(start, stdout=silent, stderr=silent, start_new_session=True) as process:
        if way != "serial":
            wait_for(lambda: len(rows_made(out)) >= count // 4, process)
            victim = next(each for each in descendants(process.pid) if is_worker(each))
            os.kill(victim, signal.SIGKILL)
        wait_for(lambda: len(rows_made(out)) >= count // 2, process)
        left = descendants(process.pid)
        process.kill()
    end = time.monotonic() + 60
    while any(map(is_worker, left)) and time.monotonic() < end:
        time.sleep(0.05)
    orphans = sum(map(is_worker, left))
    rows, found = rows_made(out), files(out)
    visible = {name: data for name, data in found.items() if not name.startswith(".")}
    partial = sum(data != expected[name] for name, data in visible.items())
    _, said = encode(photos, out, way, options)
    again = set(rows) - set(rows_made(out))
    same = files(out) == expected
    killed = "the main process" if way == "serial" else "a worker and the main process"
    print(f"{way}, {killed} killed: {len(rows)} of {count} files were made")
    print(f"  {partial} of them in pieces, {orphans} workers left over")
    print(f"  then: {said}")
    print(f"  {len(again)} files coded twice; all files the same: {'yes' if same else 'NO'}")


def plan(folder: Path) -> str:
    """Plan a long manifest; return what the command says."""
    (folder / "a.jpg").touch()
    manifest = folder / "list.jsonl"
    with manifest.open("w") as file:
        for number in range(ROWS):
            row = {"source": "a.jpg", "target": f"{number}.diffc", "options": {"bpp": 0.1}}
            file.write(json.dumps(row) + "\n")
    start = [sys.executable, "-m", "diffc.cli.main", "batch", "encode", str(manifest)]
    done = subprocess.run(
        [*start, "--results", str(folder / RESULTS), "--plan-only"],
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


def main() -> None:
    """Compare, kill, and say what was found."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--side", type=int, default=512, help="longest, in pixels")
    parser.add_argument("--executors", nargs="+", default=list(WAYS), choices=WAYS)
    parser.add_argument("--bpp", default="0.1")
    parser.add_argument("--backend", default="relay")
    args = parser.parse_args()
    options = ["--bpp", args.bpp, "--backend", args.backend]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        photos = folder / "photos"
        copy_photos(args.photos, photos, args.count, args.side)
        print(f"{args.count} photos of at most {args.side} pixels, and 2 bad files", flush=True)
        first: tuple[str, float] | None = None
        for way in args.executors:
            seconds, said = encode(photos, folder / way, way, options)
            same = first is None or files(folder / way) == files(folder / first[0])
            first = first or (way, seconds)
            print(f"{way}: {seconds:.1f} s, {seconds / first[1]:.2f} of {first[0]}; {said}")
            print(f"  the same files: {'yes' if same else 'NO'}", flush=True)
        assert first is not None
        for way in args.executors:
            kill_and_resume(photos, folder / f"{way}-killed", way, options, folder / first[0])
        (folder / "plan").mkdir()
        print(f"a manifest of {ROWS} lines: {plan(folder / 'plan')}")


if __name__ == "__main__":
    main()
