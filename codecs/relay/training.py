"""The stages that train the restoring network of ``relay``, and write its folder."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from safetensors.torch import save_file

from diffc.codecs.relay.model import KIND, WEIGHTS, restoring_weights
from diffc.codecs.relay.network import RestoringConfig, RestoringNetwork
from diffc.codecs.relay.training_bases import BASES, Pair, PairCrops, encode_bases, pairs
from diffc.codecs.relay.training_restoring import RelayLosses, RelayStage
from diffc.codecs.relay.training_texture import TextureStage
from diffc.codecs.training.photos import photos
from diffc.codecs.training.presets import StageSettings
from diffc.codecs.training.run import Run, TrainingStage
from diffc.models.byte_weights import to_bytes

MODEL, START = "relay-model", "relay-start"


@dataclass(frozen=True)
class RelaySettings(StageSettings):
    """Of the stage ``relay``; ``variants`` are base pictures of each photo."""

    variants: int
    network: RestoringConfig
    losses: RelayLosses


def write_restoring_model(folder: Path, network: RestoringNetwork) -> None:
    """Write weights and the configuration that `diffc.codecs.relay.model` reads."""
    folder.mkdir(parents=True, exist_ok=True)
    state = {name: value.cpu() for name, value in network.state_dict().items()}
    save_file(to_bytes(state), folder / WEIGHTS)
    config = {"kind": KIND, KIND: asdict(network.config)}
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")


def _train_relay(run: Run) -> bool:
    settings = run.preset.settings("relay", RelaySettings)
    run.seed_weights()
    start = run.paths.get(START)
    stage = RelayStage(
        PairCrops(_pairs(run, settings), settings.crop, run.generator(3)),
        config=settings.network,
        losses=settings.losses,
        perceptual_weights=run.perceptual(),
        batch=settings.batch,
        learning_rate=settings.learning_rate,
        device=run.device,
        start=None if start is None else restoring_weights(start),
    )
    return run.train(stage, "relay", settings)


def _pairs(run: Run, settings: RelaySettings) -> list[Pair]:
    path, full_size = run.folder / BASES, (1.0,)
    if not path.exists():
        encode_bases(
            photos(run.shards, scales=full_size),
            path,
            variants=settings.variants,
            seed=run.preset.seed,
        )
    return pairs(photos(run.shards, scales=full_size), path)


def _train_texture(run: Run) -> bool:
    settings = run.preset.settings("texture", StageSettings)
    relay = run.preset.settings("relay", RelaySettings)
    run.seed_weights()
    stage = TextureStage(
        PairCrops(_pairs(run, relay), settings.crop, run.generator(4)),
        _load(run, "relay"),
        batch=settings.batch,
        learning_rate=settings.learning_rate,
        device=run.device,
    )
    return run.train(stage, "texture", settings)


def _load(run: Run, stage: str) -> RestoringNetwork:
    """Load the averaged network of the latest checkpoint of a stage."""
    network = RestoringNetwork(run.preset.settings("relay", RelaySettings).network)
    network.load_state_dict(run.averaged(stage, "restoring"))
    return network


def _export(run: Run) -> bool:
    write_restoring_model(run.export_folder(MODEL), _load(run, "texture"))
    return True


STAGES = (
    TrainingStage(
        "relay", _train_relay, {"relay": RelaySettings}, perceptual=True, begins_with=START
    ),
    TrainingStage(
        "texture",
        _train_texture,
        {"relay": RelaySettings, "texture": StageSettings},
        needs=("relay",),
    ),
    TrainingStage(
        "export-relay", _export, {"relay": RelaySettings}, needs=("texture",), writes=MODEL
    ),
)
