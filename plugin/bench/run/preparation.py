"""What is checked and written down before a run: its question, its images, its codecs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import diffc
from diffc.bench.contenders.contender import Contender, Identified
from diffc.bench.contenders.lookup import contenders
from diffc.bench.contenders.specs import target_text
from diffc.bench.run.machine import describe_machine
from diffc.bench.run.pictures import Source, find_pictures, named, read_rgb, sha256_of
from diffc.bench.run.run_file import Places, RunFile, open_run
from diffc.errors import reason_of

if TYPE_CHECKING:
    from diffc.bench.measures.available import Measurer

Complain = Callable[[str], None]


@dataclass(frozen=True)
class Run:
    """A run that is prepared: nothing of it has been coded.

    Parameters
    ----------
    request : RunFile
        What this call asks for.
    run_file : RunFile
        With what earlier calls asked for in the same folder.
    sources : list of Source
        The images that can be read.
    contenders : list of Contender
        In the order asked.
    measurer : Measurer
        With its networks loaded.
    places : Places
        The run's folder.
    unreadable : int
        How many images could not be read.
    """

    request: RunFile
    run_file: RunFile
    sources: list[Source]
    contenders: list[Contender]
    measurer: Measurer
    places: Places
    unreadable: int


def prepare(
    images: Path | Sequence[Path],
    codecs: Sequence[str],
    bpps: Sequence[float],
    out: Path,
    *,
    perceptual_weights: Path | None = None,
    device: str | None = None,
    comparison: bool = False,
    clear: Callable[[Path], None] = lambda folder: None,
    complain: Complain = print,
) -> Run:
    """Check everything that can be, and begin or resume a run.

    Parameters
    ----------
    images : Path or sequence of Path
        A folder, or files.
    codecs : sequence of str
        Specs, see `diffc.bench.contenders.lookup.contender`.
    bpps : sequence of float
        Targets in bits per pixel of the original.
    out : Path
        The run's folder.
    perceptual_weights : Path, optional
        VGG-19 as far as conv3_1, instead of the package's.
    device : str, optional
        Where networks run; None is DIFFC_DEVICE, else the CPU.
    comparison : bool
        Whether the folder is to be that of a comparison.
    clear : callable
        Called with the folder when all else has been checked, before anything is written.
    complain : callable
        Told in one line of every image that cannot be read.

    Raises
    ------
    ValueError, OSError
        If nothing can be done as asked.
    """
    paths = find_pictures(images) if isinstance(images, Path) else list(images)
    targets = _checked_targets(bpps)
    from diffc.bench.measures.available import Measurer
    from diffc.bench.measures.perceptual import weights_sha256
    from diffc.devices import device_of

    used_device = device_of(device)
    measurer = Measurer(perceptual_weights, used_device)
    made = contenders(codecs, measurer.distance, device)
    sources, described = [], []
    for source in named(paths):
        try:
            described.append(_described(source))
        # what is no picture can make its reader raise anything
        except Exception as error:  # noqa: BLE001
            complain(f"diffc: {source.path.name}: {reason_of(error)}")
        else:
            sources.append(source)
    if not sources:
        raise ValueError("no image can be read: name others")
    request = RunFile(
        diffc=diffc.__version__,
        images=described,
        codecs=list(codecs),
        labels={each.spec: each.label for each in made},
        targets=targets,
        perceptual_weights=weights_sha256(perceptual_weights),
        measures=list(measurer.available),
        missing=dict(measurer.missing),
        device=used_device,
        machine=describe_machine(),
        identities={each.spec: each.identity() for each in made if isinstance(each, Identified)},
        comparison=comparison,
    )
    clear(out)
    run_file = open_run(out, request)
    unreadable = len(paths) - len(sources)
    return Run(request, run_file, sources, made, measurer, Places(out), unreadable)


def _checked_targets(bpps: Sequence[float]) -> list[float]:
    for bpp in bpps:
        if not (math.isfinite(bpp) and bpp > 0):
            raise ValueError(f"a target is bits per pixel above 0, not {bpp!r}: try 0.1")
    texts = [target_text(bpp) for bpp in bpps]
    for text in texts:
        if texts.count(text) > 1:
            raise ValueError(f"target {text} is given twice: drop one of them")
    if not texts:
        raise ValueError("at least one target is needed: try 0.1")
    return sorted(bpps)


def _described(source: Source) -> dict[str, Any]:
    picture = read_rgb(source.path)
    return {
        "name": source.name,
        "width": picture.width,
        "height": picture.height,
        "sha256": sha256_of(picture),
    }
