"""The stages that train the tokens of ``perco``, and write its folder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from diffc.codec import DecodeOptions
from diffc.codecs.perco.control import ControlConfig, TokenControl
from diffc.codecs.perco.model import INDEX_WEIGHTS, KIND, WEIGHTS, TokenModel
from diffc.codecs.perco.tokeniser import TokenConfig, TokenNetwork
from diffc.codecs.perco.training_distil import DistilLosses, DistilStage
from diffc.codecs.perco.training_index import IndexStage, write_index_model
from diffc.codecs.perco.training_index_network import IndexConfig, IndexNetwork
from diffc.codecs.perco.training_synthesis import estimates
from diffc.codecs.perco.training_tokens import TokenLosses, TokenStage
from diffc.codecs.shared.latents.patch_model import KIND as PATCH_KIND
from diffc.codecs.shared.latents.patch_model import PatchModel
from diffc.codecs.shared.latents.pixels import SYNTHESIS
from diffc.codecs.shared.latents.synthesis import Synthesis
from diffc.codecs.shared.latents.training import (
    LATENT_MODEL,
    BasisSettings,
    DenoiserSettings,
    SynthesisSettings,
    load_basis,
    load_denoiser,
    train_synthesis,
    trained_synthesis,
)
from diffc.codecs.shared.latents.training_estimates import Estimate, record
from diffc.codecs.shared.latents.training_export import EXACT, pixel_networks
from diffc.codecs.shared.models import config_of, fingerprint, folder_with
from diffc.codecs.training.export import write_model
from diffc.codecs.training.presets import StageSettings
from diffc.codecs.training.run import Run, TrainingStage

MODEL, START = "perco-model", "perco-start"


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
    """Write what `diffc.codecs.perco.model` reads, but for the index model and a synthesis.

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
        _load_synthesis(run),
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
        _load_synthesis(run),
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


def _load_synthesis(run: Run) -> Synthesis:
    settings = run.preset.settings("synthesis", SynthesisSettings)
    return trained_synthesis(run, settings, "synthesis")[0]


def _load_tokens(run: Run) -> tuple[TokenNetwork, TokenControl]:
    """Load the averaged networks of the latest checkpoint of the stage ``tokens``."""
    settings = run.preset.settings("tokens", TokenSettings)
    denoiser = run.preset.settings("denoiser", DenoiserSettings).network
    network = TokenNetwork(settings.network)
    control = TokenControl(settings.control, settings.network, denoiser)
    network.load_state_dict(run.averaged("tokens", "tokens", "tokens."))
    control.load_state_dict(run.averaged("tokens", "tokens", "control."))
    return network, control


def _first_model(run: Run) -> tuple[Path, Path]:
    """Return the folders that the synthesis begins with: of the tokens, and of their denoiser."""
    named = run.paths.get(START)
    if named is not None:
        wanted = bytes.fromhex(config_of(named)["shared"])
        return named, folder_with(wanted, DecodeOptions(), PATCH_KIND)
    shared, folder = run.export_folder(LATENT_MODEL), run.folder / START
    if not (folder / "config.json").exists():
        tokens, control = _load_tokens(run)
        control.load_state_dict(run.averaged("distil", "control"))
        index = IndexNetwork(list(tokens.codebooks), IndexConfig())
        index.load_state_dict(run.averaged("index", "index"))
        write_index_model(folder, index)
        write_token_model(folder, tokens, control, shared)
    return folder, shared


def _train_synthesis(run: Run) -> bool:
    settings = run.preset.settings("perco-synthesis", SynthesisSettings)
    first, shared = _first_model(run)
    folder = run.folder / "perco-estimates"
    model = TokenModel(first, run.device, PatchModel(shared, run.device))
    chances = run.preset.settings("tokens", TokenSettings).losses.prefixes

    def part(number: int) -> Iterator[Estimate]:
        crops = run.crops(settings.estimate_crop, 9, number)
        return estimates(model, crops, chances, run.preset.seed + number)

    record(folder, part, settings.estimates)
    start = first if SYNTHESIS in config_of(first) else shared
    return train_synthesis(run, settings, folder, start, "perco-synthesis")


def _export(run: Run) -> bool:
    first, _ = _first_model(run)
    folder = run.export_folder(MODEL)
    settings = run.preset.settings("perco-synthesis", SynthesisSettings)
    tables, files = pixel_networks(*trained_synthesis(run, settings, "perco-synthesis"))
    write_model(folder, config_of(first) | tables, files, EXACT)
    for name in (WEIGHTS, INDEX_WEIGHTS):
        (folder / name).write_bytes((first / name).read_bytes())
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
        "perco-synthesis",
        _train_synthesis,
        {**_TABLES, "perco-synthesis": SynthesisSettings},
        needs=("distil", "index", "export"),
        perceptual=True,
        begins_with=START,
    ),
    TrainingStage(
        "export-perco",
        _export,
        {**_TABLES, "perco-synthesis": SynthesisSettings},
        needs=("perco-synthesis",),
        writes=MODEL,
    ),
)
