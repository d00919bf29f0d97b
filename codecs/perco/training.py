"""The stages that train the tokens of ``perco``, and write its folder."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from diffc.codecs.perco.control import ControlConfig, TokenControl
from diffc.codecs.perco.model import KIND, WEIGHTS
from diffc.codecs.perco.tokeniser import TokenConfig, TokenNetwork
from diffc.codecs.perco.training_distil import DistilLosses, DistilStage
from diffc.codecs.perco.training_index import IndexStage, write_index_model
from diffc.codecs.perco.training_index_network import IndexConfig, IndexNetwork
from diffc.codecs.perco.training_tokens import TokenLosses, TokenStage
from diffc.codecs.shared.latents.training import (
    LATENT_MODEL,
    BasisSettings,
    DenoiserSettings,
    SynthesisSettings,
    load_basis,
    load_denoiser,
    load_synthesis,
)
from diffc.codecs.shared.models import fingerprint
from diffc.codecs.training.export import write_model
from diffc.codecs.training.presets import StageSettings
from diffc.codecs.training.run import Run, TrainingStage

MODEL = "perco-model"


@dataclass(frozen=True)
class TokenSettings(StageSettings):
    """Of the stage ``tokens``."""

    network: TokenConfig
    control: ControlConfig
    losses: TokenLosses


@dataclass(frozen=True)
class DistilSettings(StageSettings):
    """Of the stage ``distil``."""

    losses: DistilLosses


def write_token_model(
    folder: Path, tokens: TokenNetwork, control: TokenControl, shared: Path
) -> None:
    """Write what `diffc.codecs.perco.model` reads, but for the index model.

    Parameters
    ----------
    folder : Path
        Where to.
    tokens, control : TokenNetwork, TokenControl
        Trained together.
    shared : Path
        The folder of the denoiser that they were trained with.
    """
    state = {f"tokens.{name}": value for name, value in tokens.state_dict().items()}
    state |= {f"control.{name}": value for name, value in control.state_dict().items()}
    config = {
        "kind": KIND,
        "shared": fingerprint(shared).hex(),
        "tokens": asdict(tokens.config),
        "control": asdict(control.config),
    }
    write_model(folder, config, {WEIGHTS: state})


def _train_tokens(run: Run) -> bool:
    transform, _ = load_basis(run)
    settings = run.preset.settings("tokens", TokenSettings)
    run.seed_weights()
    stage = TokenStage(
        transform,
        load_denoiser(run),
        load_synthesis(run),
        run.crops(settings.crop, 5),
        config=settings.network,
        control=settings.control,
        losses=settings.losses,
        batch=settings.batch,
        learning_rate=settings.learning_rate,
        device=run.device,
    )
    return run.train(stage, "tokens", settings)


def _train_distil(run: Run) -> bool:
    settings = run.preset.settings("distil", DistilSettings)
    run.seed_weights()
    stage = DistilStage(
        load_denoiser(run),
        load_synthesis(run),
        *_load_tokens(run),
        run.crops(settings.crop, 7),
        losses=settings.losses,
        perceptual_weights=run.perceptual(),
        batch=settings.batch,
        learning_rate=settings.learning_rate,
        device=run.device,
    )
    return run.train(stage, "distil", settings)


def _train_index(run: Run) -> bool:
    transform, std = load_basis(run)
    settings = run.preset.settings("index", StageSettings)
    run.seed_weights()
    stage = IndexStage(
        transform,
        std,
        _load_tokens(run)[0],
        run.crops(settings.crop, 6),
        config=IndexConfig(),
        batch=settings.batch,
        learning_rate=settings.learning_rate,
        device=run.device,
    )
    return run.train(stage, "index", settings)


def _load_tokens(run: Run) -> tuple[TokenNetwork, TokenControl]:
    """Load the averaged networks of the latest checkpoint of the stage ``tokens``."""
    settings = run.preset.settings("tokens", TokenSettings)
    denoiser = run.preset.settings("denoiser", DenoiserSettings).network
    network = TokenNetwork(settings.network)
    control = TokenControl(settings.control, settings.network, denoiser)
    network.load_state_dict(run.averaged("tokens", "tokens", "tokens."))
    control.load_state_dict(run.averaged("tokens", "tokens", "control."))
    return network, control


def _export(run: Run) -> bool:
    tokens, control = _load_tokens(run)
    control.load_state_dict(run.averaged("distil", "control"))
    index = IndexNetwork(list(tokens.codebooks), IndexConfig())
    index.load_state_dict(run.averaged("index", "index"))
    folder = run.export_folder(MODEL)
    write_token_model(folder, tokens, control, run.export_folder(LATENT_MODEL))
    write_index_model(folder, index)
    return True


_TABLES: dict[str, type] = {
    "basis": BasisSettings,
    "denoiser": DenoiserSettings,
    "synthesis": SynthesisSettings,
    "tokens": TokenSettings,
}

STAGES = (
    TrainingStage("tokens", _train_tokens, _TABLES, needs=("denoiser", "synthesis")),
    TrainingStage(
        "distil",
        _train_distil,
        {**_TABLES, "distil": DistilSettings},
        needs=("tokens",),
        perceptual=True,
    ),
    TrainingStage("index", _train_index, {**_TABLES, "index": StageSettings}, needs=("tokens",)),
    TrainingStage(
        "export-perco", _export, _TABLES, needs=("distil", "index", "export"), writes=MODEL
    ),
)
