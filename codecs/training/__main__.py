"""Train the embedded models: ``python -m diffc.codecs.training --help``.

Every built-in codec that has a module ``training`` offers its stages there.  Run it again with the
same folder and it goes on where it stopped, whether by its time limit or not.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from diffc.builtin_codecs import BUILT_IN
from diffc.codecs.training.photos import pack
from diffc.codecs.training.presets import read_preset
from diffc.codecs.training.run import Run, TrainingStage, in_order


def offered_stages() -> list[TrainingStage]:
    """Return the stages of all built-in codecs, in an order that they can be run in."""
    found: dict[str, TrainingStage] = {}
    for name in BUILT_IN:
        package = f"diffc.codecs.{name.replace('-', '_')}"
        spec = find_spec(package)
        # a codec may be a single module
        folder = spec is not None and spec.submodule_search_locations is not None
        if folder and find_spec(f"{package}.training"):
            stages: tuple[TrainingStage, ...] = import_module(f"{package}.training").STAGES
            found |= {stage.name: stage for stage in stages}
    return in_order(found)


def _parser(stages: list[TrainingStage]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m diffc.codecs.training", description=__doc__)
    parser.add_argument("folder", type=Path, help="the run's folder: shards, checkpoints, logs")
    parser.add_argument("--photos", type=Path, help="folder of photos; packed on the first run")
    parser.add_argument("--pattern", default="*.jpg", help="which of them (default: %(default)s)")
    parser.add_argument("--preset", default="cpu", help="cpu, gpu or a TOML file")
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default: %(default)s)")
    names = [stage.name for stage in stages]
    parser.add_argument(
        "--stages", nargs="+", choices=names, default=names, metavar="STAGE", help=", ".join(names)
    )
    using = ", ".join(stage.name for stage in stages if stage.perceptual)
    parser.add_argument(
        "--perceptual-weights", type=Path, help=f"distilled VGG-19, for the stages {using}"
    )
    parser.add_argument(
        "--minutes", type=float, default=math.inf, help="stop with a checkpoint after so long"
    )
    for stage in stages:
        if stage.writes:
            parser.add_argument(
                f"--{stage.writes}",
                type=Path,
                help=f"where {stage.name} writes (default: in the run's folder)",
            )
        if stage.begins_with:
            parser.add_argument(
                f"--{stage.begins_with}",
                type=Path,
                help=f"model folder whose weights {stage.name} begins with",
            )
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run the stages in order; return 0 if all are done and 3 if the time ran out before."""
    stages = offered_stages()
    parser = _parser(stages)
    options = parser.parse_args(arguments)
    chosen = [stage for stage in stages if stage.name in options.stages]
    preset = read_preset(options.preset)
    # what is missing is said before hours have passed
    for stage in chosen:
        if stage.perceptual and options.perceptual_weights is None:
            parser.error(f"the stage {stage.name} needs --perceptual-weights: name the file")
        for name, kind in stage.tables.items():
            preset.settings(name, kind)
    deadline = time.monotonic() + 60 * options.minutes
    shards = sorted((options.folder / "shards").glob("*.safetensors"))
    if not shards:
        found = sorted(options.photos.glob(options.pattern)) if options.photos else []
        if not found:
            parser.error(f"--photos has no files that match {options.pattern}: name a folder")
        shards = pack(found, options.folder / "shards")
    names = [name for stage in stages for name in (stage.writes, stage.begins_with) if name]
    given = {name: getattr(options, name.replace("-", "_")) for name in names}
    run = Run(
        options.folder,
        shards,
        preset,
        options.device,
        deadline,
        options.perceptual_weights,
        {name: path for name, path in given.items() if path is not None},
    )
    return 0 if all(stage.run(run) for stage in chosen) else 3


if __name__ == "__main__":
    sys.exit(main())
