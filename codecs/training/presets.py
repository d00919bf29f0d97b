"""Training presets: TOML files with the sizes, weights and lengths of every stage."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from diffc.codecs.perco.control import ControlConfig
from diffc.codecs.perco.tokeniser import TokenConfig
from diffc.codecs.perco.training import TokenLosses
from diffc.codecs.perco.training_distil import DistilLosses
from diffc.codecs.relay.network import RestoringConfig
from diffc.codecs.relay.training import RelayLosses
from diffc.codecs.shared.latents.denoiser import DenoiserConfig
from diffc.codecs.shared.latents.synthesis import SynthesisConfig
from diffc.codecs.training.synthesis_stage import SynthesisLosses


@dataclass(frozen=True)
class StageSettings:
    """Length and batches of a stage: crops a step, their side in pixels, steps, AdamW's rate."""

    batch: int
    crop: int
    steps: int
    learning_rate: float


@dataclass(frozen=True)
class Preset:
    """All that a training run is made of besides its photos."""

    seed: int
    basis_channels: int
    basis_crops: int
    basis_crop: int
    denoiser: StageSettings
    denoiser_network: DenoiserConfig
    synthesis: StageSettings
    synthesis_network: SynthesisConfig
    losses: SynthesisLosses
    base_variants: int
    relay: StageSettings
    relay_network: RestoringConfig
    relay_losses: RelayLosses
    texture: StageSettings
    tokens: StageSettings
    token_network: TokenConfig
    token_control: ControlConfig
    token_losses: TokenLosses
    distil: StageSettings
    distil_losses: DistilLosses
    index: StageSettings


def read_preset(name: str) -> Preset:
    """Read a preset by its name (``cpu``, ``gpu``) or from a TOML file.

    Raises
    ------
    ValueError
        If there is none of that name.
    """
    built_in = files("diffc.codecs.training").joinpath("presets", f"{name}.toml")
    if built_in.is_file():
        text = built_in.read_text()
    elif Path(name).is_file():
        text = Path(name).read_text()
    else:
        raise ValueError(f"a preset is cpu, gpu or a TOML file, not {name!r}: name one of them")
    table = tomllib.loads(text)
    network = _tupled(table["synthesis"].pop("network"))
    relay_network = _tupled(table["relay"].pop("network"))
    relay_losses = table["relay"].pop("losses")
    variants: int = table["relay"].pop("variants")
    losses = table["synthesis"].pop("losses")
    denoiser_network: dict[str, Any] = table["denoiser"].pop("network")
    token_network = table["tokens"].pop("network")
    token_control = table["tokens"].pop("control")
    token_losses = table["tokens"].pop("losses")
    token_losses["prefixes"] = tuple(token_losses["prefixes"])
    distil_losses = table["distil"].pop("losses")
    distil_losses["prefixes"] = tuple(distil_losses["prefixes"])
    return Preset(
        seed=table["seed"],
        basis_channels=table["basis"]["channels"],
        basis_crops=table["basis"]["crops"],
        basis_crop=table["basis"]["crop"],
        denoiser=StageSettings(**table["denoiser"]),
        denoiser_network=DenoiserConfig(**denoiser_network),
        synthesis=StageSettings(**table["synthesis"]),
        synthesis_network=SynthesisConfig(**network),
        losses=SynthesisLosses(**losses),
        base_variants=variants,
        relay=StageSettings(**table["relay"]),
        relay_network=RestoringConfig(**relay_network),
        relay_losses=RelayLosses(**relay_losses),
        texture=StageSettings(**table["texture"]),
        tokens=StageSettings(**table["tokens"]),
        token_network=TokenConfig(**token_network),
        token_control=ControlConfig(**token_control),
        token_losses=TokenLosses(**token_losses),
        distil=StageSettings(**table["distil"]),
        distil_losses=DistilLosses(**distil_losses),
        index=StageSettings(**table["index"]),
    )


def _tupled(network: dict[str, Any]) -> dict[str, Any]:
    return network | {"widths": tuple(network["widths"]), "blocks": tuple(network["blocks"])}
