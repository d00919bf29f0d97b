"""Seconds and memory of encoding and decoding, each measured in fresh processes."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from diffc.bench.contenders.specs import parse_spec, target_text
from diffc.bench.run.records import SPEED, JsonLines, Row, RowStore, Speed, read_speed
from diffc.bench.run.run_file import Places, RunFile
from diffc.errors import reason_of

REPEATS = 3


@dataclass(frozen=True)
class Job:
    """A measurement to make: a row's file, on a device."""

    row: Row
    device: str

    @property
    def key(self) -> tuple[str, float, str, str]:
        """What it is about."""
        return self.row.codec, self.row.target_bpp, self.device, self.row.image


def jobs(
    folder: Path, run_file: RunFile, *, images: int = 1, every_target: bool = False
) -> list[Job]:
    """Return the measurements that are missing.

    Parameters
    ----------
    folder : Path
        The run's; rows with an error are left out.
    run_file : RunFile
        What was asked.
    images : int
        The first so many images.
    every_target : bool
        Measure at all targets, not only at the middle one.
    """
    there = {
        (each["codec"], each["target_bpp"], each["device"], each["image"])
        for each in read_speed(folder)
    }
    names = [each["name"] for each in run_file.images[:images]]
    middle = run_file.targets[(len(run_file.targets) - 1) // 2]
    targets = run_file.targets if every_target else [middle]
    rows = {row.key: row for row in RowStore(folder).rows() if row.error is None}
    found = []
    for codec in run_file.codecs:
        for target in targets:
            for name in names:
                row = rows.get((name, codec, target))
                for device in _devices(codec) if row is not None else ():
                    assert row is not None
                    found.append(Job(row, device))
    return [job for job in found if job.key not in there]


def _devices(codec: str) -> Iterator[str]:
    """Yield where a codec can run: a GPU, too, for those of the registry."""
    from diffc.registry import known_codecs

    name, options = parse_spec(codec)
    if "device" in options:
        yield str(options["device"])
        return
    yield "cpu"
    if name in known_codecs():
        import torch

        if torch.cuda.is_available():
            yield "cuda"


def measure(folder: Path, job: Job) -> Speed:
    """Measure, append to ``speed.jsonl`` and return what was found.

    Raises
    ------
    OSError
        If a process fails; its last line of stderr says why.
    """
    row = job.row
    places = Places(folder)
    common = {
        "codec": row.codec,
        "device": job.device,
        "original": str(places.original(row.image)),
        # the codec knows what its files end in
        "file_without_extension": str(places.coded(row.codec, row.target_bpp, row.image, "")),
        "setting": row.setting,
        "limit": math.floor(row.target_bpp * row.width * row.height / 8),
        "repeats": REPEATS,
    }
    encode = _child(common | {"operation": "encode"})
    decode = _child(common | {"operation": "decode"})
    speed = Speed(
        codec=row.codec,
        target_bpp=row.target_bpp,
        device=job.device,
        image=row.image,
        width=row.width,
        height=row.height,
        encode_first_seconds=encode["first_seconds"],
        encode_seconds=encode["warm_seconds"],
        decode_first_seconds=decode["first_seconds"],
        decode_seconds=decode["warm_seconds"],
        resident_before_bytes=encode["resident_before_bytes"],
        encode_peak_bytes=encode["peak_bytes"],
        decode_peak_bytes=decode["peak_bytes"],
        encode_peak_device_bytes=encode["peak_device_bytes"],
        decode_peak_device_bytes=decode["peak_device_bytes"],
    )
    JsonLines(folder / SPEED).append(asdict(speed))
    return speed


def measure_all(
    folder: Path,
    todo: list[Job],
    *,
    progress: Callable[[str, int, int], None] = lambda name, done, total: None,
    complain: Callable[[str], None] = print,
) -> int:
    """Make all measurements; return how many failed.

    Parameters
    ----------
    folder : Path
        The run's.
    todo : list of Job
        See `jobs`.
    progress : callable
        Called with what comes next, how many are done, and of how many.
    complain : callable
        Told in one line of each that failed.
    """
    failed = 0
    for number, job in enumerate(todo):
        where = f"{job.row.codec} at {target_text(job.row.target_bpp)} bpp on {job.device}"
        progress(f"speed of {where}", number, len(todo))
        try:
            measure(folder, job)
        except (OSError, ValueError) as error:
            failed += 1
            complain(f"diffc: speed of {where}: {reason_of(error)}")
    progress("", len(todo), len(todo))
    return failed


def _child(job: dict[str, Any]) -> dict[str, Any]:
    ran = subprocess.run(
        # -P: what happens to lie in the working directory is not imported
        [sys.executable, "-P", "-m", "diffc.bench.run.speed_child"],
        input=json.dumps(job),
        env=os.environ | {"DIFFC_DEVICE": job["device"]},
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode != 0:
        lines = ran.stderr.strip().splitlines()
        raise OSError(lines[-1] if lines else f"the process ended with code {ran.returncode}")
    found: dict[str, Any] = json.loads(ran.stdout.strip().splitlines()[-1])
    return found
