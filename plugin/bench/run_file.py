"""``run.json``: what a run was asked, so that it is resumed only with the same question."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from diffc.api import write_whole
from diffc.bench.places import RUN


@dataclass(frozen=True)
class RunFile:
    """What a run was asked.

    Parameters
    ----------
    diffc : str
        Version.
    images : list of dict
        ``name``, ``width``, ``height`` and ``sha256`` (of the RGB pixels) of each.
    codecs : list of str
        Specs in order.
    labels : dict
        What a codec is called in tables, by spec.
    targets : list of float
        Bits per pixel, ascending.
    perceptual_weights : str, optional
        SHA-256 of the file.
    distance : str
        The measure by which ``-ds`` codecs choose their scale.
    measures : list of str
        Those that can be computed.
    missing : dict
        Why others cannot, by their names.
    device : str
        Where networks ran.
    machine : dict
        See `diffc.bench.machine.describe_machine`.
    """

    diffc: str
    images: list[dict[str, Any]]
    codecs: list[str]
    labels: dict[str, str]
    targets: list[float]
    perceptual_weights: str | None
    distance: str
    measures: list[str]
    missing: dict[str, str] = field(default_factory=dict)
    device: str = "cpu"
    machine: dict[str, str] = field(default_factory=dict)

    def label(self, codec: str) -> str:
        """Return what a codec is called in tables."""
        return self.labels.get(codec, codec)


_FIXED = {
    "images": "other images",
    "perceptual_weights": "other perceptual weights",
    "measures": "other measures",
    "diffc": "another version of diffc",
    "device": "another device",
}


def read_run(folder: Path) -> RunFile:
    """Return what the run of a folder was asked.

    Raises
    ------
    ValueError
        If the folder holds no run of this version.
    """
    try:
        value = json.loads((folder / RUN).read_bytes())
    except FileNotFoundError:
        raise ValueError(f"{folder} holds no run of diffc bench: name its --out") from None
    except ValueError:
        value = None
    if not isinstance(value, dict) or set(value) != {each.name for each in fields(RunFile)}:
        raise ValueError(
            f"{folder / RUN} is not of this version of diffc: name another folder with --out"
        )
    return RunFile(**value)


def open_run(folder: Path, asked: RunFile) -> RunFile:
    """Begin a run in a folder, or go on with the one there; return the two together.

    Codecs and targets may be added to those that are there.

    Raises
    ------
    ValueError
        If the run there has other images, weights, version or device.
    """
    if (folder / RUN).exists():
        there = read_run(folder)
        for name, what in _FIXED.items():
            if getattr(there, name) != getattr(asked, name):
                raise ValueError(
                    f"{folder} holds a run with {what}: name another folder with --out"
                )
        asked = replace(
            asked,
            codecs=list(dict.fromkeys([*there.codecs, *asked.codecs])),
            labels=there.labels | asked.labels,
            targets=sorted({*there.targets, *asked.targets}),
        )
    # what a kill left before there was a run is hidden
    elif folder.exists() and any(not each.name.startswith(".") for each in folder.iterdir()):
        raise ValueError(f"{folder} holds something else: name an empty folder with --out")
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(asdict(asked), ensure_ascii=False, indent=1) + "\n"
    write_whole(folder / RUN, text.encode())
    return asked


def file_sha256(path: Path) -> str:
    """Return a file's SHA-256, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
