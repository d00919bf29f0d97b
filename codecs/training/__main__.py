"""Train the embedded model: ``python -m diffc.codecs.training --help``.

Run it again with the same folder and it goes on where it stopped, whether by its time limit or not.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from pathlib import Path

from diffc.codecs.perco.training_index import write_index_model
from diffc.codecs.training.export import write_model, write_restoring_model, write_token_model
from diffc.codecs.training.presets import read_preset
from diffc.codecs.training.shards import pack
from diffc.codecs.training.stages import Run

STAGES = (
    "denoiser",
    "synthesis",
    "export",
    "relay",
    "texture",
    "export-relay",
    "tokens",
    "distil",
    "index",
    "export-perco",
)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m diffc.codecs.training", description=__doc__)
    parser.add_argument("folder", type=Path, help="the run's folder: shards, checkpoints, logs")
    parser.add_argument("--photos", type=Path, help="folder of photos; packed on the first run")
    parser.add_argument("--pattern", default="*.jpg", help="which of them (default: %(default)s)")
    parser.add_argument("--preset", default="cpu", help="cpu, gpu or a TOML file")
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default: %(default)s)")
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=STAGES, metavar="STAGE")
    parser.add_argument(
        "--perceptual-weights",
        type=Path,
        help="distilled VGG-19, for the synthesis, relay and distil stages",
    )
    parser.add_argument(
        "--minutes", type=float, default=math.inf, help="stop with a checkpoint after so long"
    )
    parser.add_argument("--model", type=Path, help="where to write the model folder")
    parser.add_argument("--relay-model", type=Path, help="where to write the one of relay")
    parser.add_argument(
        "--relay-start", type=Path, help="model folder whose weights the relay stage begins with"
    )
    parser.add_argument("--perco-model", type=Path, help="where to write the one of perco")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run the stages in order; return 0 if all are done and 3 if the time ran out before."""
    parser = _parser()
    options = parser.parse_args(arguments)
    deadline = time.monotonic() + 60 * options.minutes
    shards = sorted((options.folder / "shards").glob("*.safetensors"))
    if not shards:
        found = sorted(options.photos.glob(options.pattern)) if options.photos else []
        if not found:
            parser.error(f"--photos has no files that match {options.pattern}: name a folder")
        shards = pack(found, options.folder / "shards")
    run = Run(options.folder, shards, read_preset(options.preset), options.device, deadline)
    if "denoiser" in options.stages and not run.train_denoiser():
        return 3
    if "synthesis" in options.stages:
        if options.perceptual_weights is None:
            parser.error("the synthesis stage needs --perceptual-weights")
        if not run.train_synthesis(options.perceptual_weights):
            return 3
    if "export" in options.stages:
        write_model(options.model or options.folder / "model", run.denoiser(), run.synthesis())
    if "relay" in options.stages:
        if options.perceptual_weights is None:
            parser.error("the relay stage needs --perceptual-weights")
        if not run.train_relay(options.perceptual_weights, options.relay_start):
            return 3
    if "texture" in options.stages and not run.train_texture():
        return 3
    if "export-relay" in options.stages:
        folder = options.relay_model or options.folder / "relay-model"
        write_restoring_model(folder, run.restoring("texture"))
    if "tokens" in options.stages and not run.train_tokens():
        return 3
    if "distil" in options.stages:
        if options.perceptual_weights is None:
            parser.error("the distil stage needs --perceptual-weights")
        if not run.train_distil(options.perceptual_weights):
            return 3
    if "index" in options.stages and not run.train_index():
        return 3
    if "export-perco" in options.stages:
        folder = options.perco_model or options.folder / "perco-model"
        shared = options.model or options.folder / "model"
        write_token_model(folder, run.tokens()[0], run.control(), shared)
        write_index_model(folder, run.index())
    return 0


if __name__ == "__main__":
    sys.exit(main())
