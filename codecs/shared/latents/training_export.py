"""Write the model of patch latents as a folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import Tensor

from diffc.codecs.shared.latents.denoiser import LatentDenoiser
from diffc.codecs.shared.latents.patch_model import DENOISER, KIND
from diffc.codecs.shared.latents.pixels import DETAIL, SYNTHESIS
from diffc.codecs.shared.latents.synthesis import Synthesis, SynthesisDetail
from diffc.codecs.shared.models import config_of
from diffc.codecs.training.export import write_model

EXACT = frozenset({"transform.basis", "channel_std"})
"""The orthonormal basis keeps its precision: it decides how exactly a picture is represented."""
_SIGMAS = {"smallest": 0.05, "largest": 60.0, "count": 1000, "warp": 0.7}


def write_latent_model(
    folder: Path,
    denoiser: LatentDenoiser | Path,
    synthesis: Synthesis,
    detail: SynthesisDetail | None = None,
) -> None:
    """Write what `diffc.codecs.shared.latents.patch_model` reads.

    Parameters
    ----------
    folder : Path
        Where to.
    denoiser : LatentDenoiser or Path
        A model folder is one whose denoiser is taken over, byte for byte.
    synthesis, detail : Synthesis, SynthesisDetail
        The latter may be missing.
    """
    tables, files = pixel_networks(synthesis, detail)
    name = f"{DENOISER}.safetensors"
    if isinstance(denoiser, Path):
        known = config_of(denoiser)
        tables |= {DENOISER: known[DENOISER], "sigmas": known["sigmas"]}
    else:
        tables |= {DENOISER: asdict(denoiser.config), "sigmas": _SIGMAS}
        files[name] = denoiser.state_dict()
    write_model(folder, {"kind": KIND, **tables}, files, EXACT)
    if isinstance(denoiser, Path):
        (folder / name).write_bytes((denoiser / name).read_bytes())


def pixel_networks(
    synthesis: Synthesis, detail: SynthesisDetail | None
) -> tuple[dict[str, Any], dict[str, Mapping[str, Tensor]]]:
    """Return the tables and the files that `PixelDecoder` reads."""
    tables: dict[str, Any] = {SYNTHESIS: asdict(synthesis.config)}
    files: dict[str, Mapping[str, Tensor]] = {f"{SYNTHESIS}.safetensors": synthesis.state_dict()}
    if detail is not None:
        tables[DETAIL] = asdict(detail.config)
        files[f"{DETAIL}.safetensors"] = detail.state_dict()
    return tables, files
