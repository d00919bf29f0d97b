"""``run.json``: what a run was asked, so that only the same question resumes it; and where what is kept."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from diffc.bench.contenders.specs import slug, target_text
from diffc.bench.measures.available import MEASURES
from diffc.bench.run.records import parse, record
from diffc.file_io import write_whole

RUN, SUMMARY, ORIGINAL = "run.json", "summary.json", "original"


@dataclass(frozen=True)
class Places:
    """Paths in the folder of a run.

    Parameters
    ----------
    folder : Path
        The run's.
    """

    folder: Path

    def original(self, image: str) -> Path:
        """Return where the original is, as PNG."""
        return self.folder / "originals" / f"{image}.png"

    def coded(self, codec: str, target_bpp: float, image: str, extension: str) -> Path:
        """Return where a coded file is."""
        return self._of("files", codec, target_bpp) / (image + extension)

    def picture(self, codec: str, target_bpp: float, image: str) -> Path:
        """Return where a decoded picture is, as PNG."""
        return self._of("pictures", codec, target_bpp) / f"{image}.png"

    def features(self, measure: str, codec: str, target_bpp: float, image: str) -> Path:
        """Return where a decoded picture's features for a measure of sets are."""
        return self._of(f"features/{measure}", codec, target_bpp) / f"{image}.npy"

    def original_features(self, measure: str, image: str) -> Path:
        """Return where the original's features for a measure of sets are."""
        return self.folder / "features" / measure / ORIGINAL / f"{image}.npy"

    def _of(self, kind: str, codec: str, target_bpp: float) -> Path:
        return self.folder / kind / slug(codec) / target_text(target_bpp)


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
    perceptual_weights : str
        SHA-256 of the file.
    measures : list of str
        Those that can be computed.
    missing : dict
        Why others cannot, by their names.
    device : str
        Where networks ran.
    machine : dict
        See `diffc.bench.run.machine.describe_machine`; where a run went on elsewhere, each value of
        the machines it has had.
    identities : dict
        What makes the files of a codec, by spec: version and model.
    comparison : bool
        Whether `diffc.bench.comparison` has made it.
    """

    diffc: str
    images: list[dict[str, Any]]
    codecs: list[str]
    labels: dict[str, str]
    targets: list[float]
    perceptual_weights: str
    measures: list[str]
    missing: dict[str, str] = field(default_factory=dict)
    device: str = "cpu"
    machine: dict[str, str] = field(default_factory=dict)
    identities: dict[str, str] = field(default_factory=dict)
    comparison: bool = False


@dataclass(frozen=True)
class _Image:
    """What `RunFile.images` says of each."""

    name: str
    width: int
    height: int
    sha256: str


# between what one machine and the next has
_THEN, _NONE = "; later ", "none"
_FIXED = {
    "images": "other images",
    "perceptual_weights": "other perceptual weights",
    "measures": "other measures",
    "diffc": "another version of diffc",
    "device": "another device",
    "comparison": "another purpose (diffc bench, or diffc compare)",
}


def read_run(folder: Path) -> RunFile:
    """Return what the run of a folder was asked.

    Raises
    ------
    ValueError
        If the folder holds no run of this version.
    """
    try:
        found = record(RunFile, parse((folder / RUN).read_bytes()))
    except FileNotFoundError:
        raise ValueError(f"{folder} holds no run of diffc bench: name its --out") from None
    except ValueError:
        found = None
    if found is None or not _makes_sense(found):
        raise ValueError(
            f"{folder / RUN} is not of this version of diffc: name another folder with --out"
        )
    return found


def _makes_sense(run: RunFile) -> bool:
    if not (run.images and run.codecs and run.targets):
        return False
    if not set(run.measures) <= set(MEASURES):
        return False
    return all(record(_Image, each) is not None for each in run.images)


def open_run(folder: Path, wanted: RunFile) -> RunFile:
    """Begin a run in a folder, or go on with the one there; return the two together.

    Codecs and targets may be added to those that are there.  Labels that several codecs share are
    numbered.

    Raises
    ------
    ValueError
        If the run there has other images, weights, version or device, or another model or version
        of a codec.
    """
    if (folder / RUN).exists():
        there = read_run(folder)
        for name, what in _FIXED.items():
            if getattr(there, name) != getattr(wanted, name):
                raise ValueError(
                    f"{folder} holds a run with {what}: name another folder with --out"
                )
        _check_identities(folder, there, wanted)
        wanted = replace(
            wanted,
            codecs=list(dict.fromkeys([*there.codecs, *wanted.codecs])),
            labels=_unlike(there.labels, wanted.labels),
            targets=sorted({*there.targets, *wanted.targets}),
            identities=there.identities | wanted.identities,
            machine=_both(there.machine, wanted.machine),
        )
    # what a kill left before there was a run is hidden
    elif folder.exists() and any(not each.name.startswith(".") for each in folder.iterdir()):
        raise ValueError(f"{folder} holds something else: name an empty folder with --out")
    else:
        wanted = replace(wanted, labels=_unlike({}, wanted.labels))
    text = (json.dumps(asdict(wanted), ensure_ascii=False, indent=1) + "\n").encode()
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / RUN, text)
    return wanted


def _check_identities(folder: Path, there: RunFile, wanted: RunFile) -> None:
    for codec, now in wanted.identities.items():
        before = there.identities.get(codec, now)
        if before != now:
            raise ValueError(
                f"{folder} holds rows of codec {codec!r} by {before}, which is now {now}: name "
                "another folder with --out"
            )


def _unlike(there: dict[str, str], wanted: dict[str, str]) -> dict[str, str]:
    """Return labels by spec; those that others have are numbered."""
    labels = dict(there)
    for spec, plain in wanted.items():
        if spec in labels:
            continue
        label, number = plain, 2
        while label in labels.values():
            label, number = f"{plain} ({number})", number + 1
        labels[spec] = label
    return labels


def _both(before: dict[str, str], now: dict[str, str]) -> dict[str, str]:
    """Return two descriptions of machines in one, without repeating what they share."""
    found = {}
    for name in dict.fromkeys([*before, *now]):
        values = [*before.get(name, _NONE).split(_THEN), now.get(name, _NONE)]
        found[name] = _THEN.join(dict.fromkeys(values))
    return found
