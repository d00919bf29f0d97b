"""The stage that trains the restoring network of ``relay``, and writes its folder."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from diffc.codecs.relay.model import KIND, WEIGHTS, restoring_weights
from diffc.codecs.relay.network import Restorer, RestorerConfig
from diffc.codecs.relay.training_data import INDEX, SCALES, Degraded, DegradedCrops, prepare
from diffc.codecs.relay.training_restorer import RestorerStage
from diffc.codecs.training.detail_losses import DetailLosses
from diffc.codecs.training.export import write_model
from diffc.codecs.training.photos import photos
from diffc.codecs.training.presets import StageSettings
from diffc.codecs.training.run import Run, TrainingStage

MODEL, START = "relay-model", "relay-start"


@dataclass(frozen=True)
class RelaySettings(StageSettings):
    """Of the stage ``relay``.

    ``detailed`` crops of a batch are those whose detail is drawn and judged; ``variants`` are base
    pictures by AV1 of each photo, ``shares`` how often a crop is of which family, ``drawings`` how
    many pictures of text and graphics are made.
    """

    detailed: int
    variants: int
    shares: dict[str, float]
    network: RestorerConfig
    losses: DetailLosses
    drawings: int = 60


def write_restoring_model(folder: Path, network: Restorer) -> None:
    """Write weights and the configuration that `diffc.codecs.relay.model` reads."""
    config = {"kind": KIND, KIND: asdict(network.config)}
    write_model(folder, config, {WEIGHTS: network.state_dict()})


def _train(run: Run) -> bool:
    settings = run.preset.settings("relay", RelaySettings)
    start = run.paths.get(START)
    data = run.folder / "relay-data"
    if not (data / INDEX).exists():
        prepare(
            photos(run.shards, scales=SCALES),
            data,
            families=settings.shares,
            variants=settings.variants,
            seed=run.preset.seed,
            drawings=settings.drawings,
        )
    run.seed_weights()
    stage = RestorerStage(
        DegradedCrops(Degraded(data), settings.crop, run.generator(3), shares=settings.shares),
        config=settings.network,
        losses=settings.losses,
        perceptual_weights=run.perceptual(),
        batch=settings.batch,
        detailed=settings.detailed,
        learning_rate=settings.learning_rate,
        device=run.device,
        start=None if start is None else restoring_weights(start),
    )
    return run.train(stage, "relay", settings)


def _export(run: Run) -> bool:
    network = Restorer(run.preset.settings("relay", RelaySettings).network)
    network.mean.load_state_dict(run.averaged("relay", "mean"))
    network.detail.load_state_dict(run.averaged("relay", "detail"))
    write_restoring_model(run.export_folder(MODEL), network)
    return True


STAGES = (
    TrainingStage("relay", _train, {"relay": RelaySettings}, perceptual=True, begins_with=START),
    TrainingStage(
        "export-relay", _export, {"relay": RelaySettings}, needs=("relay",), writes=MODEL
    ),
)
