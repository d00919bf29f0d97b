"""A pipeline's directory as the model of a latent codec: autoencoder, network and noise levels."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from diffc.codecs.shared.declarations import DIFFUSERS
from diffc.codecs.shared.diffusion.denoisers import Denoiser, TableDenoiser
from diffc.codecs.shared.diffusion.feature_reuse import FeatureReuse
from diffc.codecs.shared.diffusion.schedules import flow_wrap, variance_preserving_wrap
from diffc.codecs.shared.models import fast_dtype, load_once
from diffc.codecs.shared.networks.blocks import to_device
from diffc.codecs.shared.stable_diffusion import prompt_embedding
from diffc.codecs.shared.stable_diffusion.autoencoder import autoencoder_of
from diffc.codecs.shared.stable_diffusion.folder import (
    FLOW_SCHEDULERS,
    TRANSFORMER,
    UNET,
    read_pipeline,
)
from diffc.codecs.shared.stable_diffusion.network import (
    ConditionedTransformer,
    ConditionedUNet,
    shape_of,
)
from diffc.codecs.shared.stable_diffusion.parts import network_dtype, read_network
from diffc.codecs.shared.stable_diffusion.prompt_embedding import Embedding, embedding_of
from diffc.codecs.shared.stable_diffusion.quantised import quantise
from diffc.decode_options import PRECISIONS
from diffc.models.identity import fingerprint

KIND = DIFFUSERS.name

# the least evaluations after the coded steps
_SHORTEST_TAIL = 2


class DiffusersNetworks:
    """What is read of a directory once, whatever the prompt.

    Parameters
    ----------
    folder : Path
        The pipeline's directory.
    device : str
        Where the networks run.
    precision : str, optional
        Of the predicting network's linear layers, see `quantise`; None is as they are.
    """

    def __init__(self, folder: Path, device: str, precision: str | None = None) -> None:
        pipeline = read_pipeline(folder)
        self.folder, self.device = folder, device
        self.name = pipeline.classes[pipeline.network]
        flows = pipeline.classes["scheduler"] in FLOW_SCHEDULERS
        if flows != (self.name == TRANSFORMER):
            raise OSError(
                f"a {self.name} with a {pipeline.classes['scheduler']} as in {folder} is not "
                "supported here: use another model"
            )
        self.shape = shape_of(self.name, pipeline.config(pipeline.network))
        schedule = pipeline.config("scheduler")
        self._wrap = flow_wrap(schedule) if flows else variance_preserving_wrap(schedule)
        self.autoencoder = autoencoder_of(pipeline, device)
        if self.autoencoder.channels != self.shape.channels:
            raise OSError(
                f"a network of {self.shape.channels} channels for latents of "
                f"{self.autoencoder.channels}, as in {folder}, is made for something else: use "
                "another model"
            )
        self.dtype = network_dtype(device, fast_dtype(device))
        self.network = to_device(read_network(pipeline, pipeline.network, self.dtype), device)
        if precision is not None:
            quantise(self.network, precision)
        if self.name == UNET and torch.device(device).type not in ("cpu", "cuda"):
            # where torch has no fused attention, its matrices of positions squared are cut up
            network: Any = self.network
            network.set_attention_slice("auto")

    def denoiser(self, embedding: Embedding, reuse: FeatureReuse | None = None) -> TableDenoiser:
        """Return the denoiser under a prompt, for all uses or for one walk."""
        there = embedding.to(self.device, self.dtype)
        tiling = self.shape.tiling
        if self.name == TRANSFORMER:
            return self._wrap(ConditionedTransformer(self.network, there, tiling, reuse))
        factor = self.autoencoder.factor
        return self._wrap(ConditionedUNet(self.network, there, tiling, factor, reuse))


class DiffusersModel:
    """Pixels to latent, latent to pixels, and a denoiser between, under a prompt.

    Parameters
    ----------
    networks : DiffusersNetworks
        Of the directory.
    prompt : str
        Any text; empty for none.
    """

    # a wrong latent shows in other pixels, by another amount
    keeps_lengths = False
    draws = False

    def __init__(self, networks: DiffusersNetworks, prompt: str) -> None:
        self.fingerprint = fingerprint(networks.folder, prompted=bool(prompt))
        self.device = networks.device
        self.channels = networks.shape.channels
        self.positions = networks.shape.tiling.multiple
        self.multiple = self.positions * networks.autoencoder.factor
        embedding = embedding_of(networks.folder, prompt, networks.shape.widths)
        self.denoiser = networks.denoiser(embedding)
        self.sigmas = list(self.denoiser.sigmas)
        self._autoencoder = networks.autoencoder
        self._networks, self._embedding = networks, embedding

    def walker(self, cache: int) -> Denoiser:
        """Return a denoiser for the steps of one walk, see `LatentModel.walker`."""
        if cache == 1:
            return self.denoiser
        return self._networks.denoiser(self._embedding, FeatureReuse(cache))

    def analyse(self, pixels: Tensor) -> Tensor:
        """Map pixels (1, 3, H, W) in [0, 1], sides multiples of `multiple`, to a latent."""
        return self._autoencoder.analyse(pixels)

    def synthesise(self, latent: Tensor, sigma: float, realism: float, seed: int) -> Tensor:
        """Map a latent estimate to pixels (1, 3, H, W) in [0, 1]; nothing else matters."""
        return self._autoencoder.synthesise(latent)

    def reconstruct(self, latent: Tensor) -> Tensor:
        """Map a latent to pixels: the autoencoder is the only way there is."""
        return self._autoencoder.synthesise(latent)

    def tail(self, left: int) -> int:
        """Return how many evaluations finish a walk that has so many steps left: all of them."""
        return max(_SHORTEST_TAIL, left)


# each reads networks of its own, which are kept under its name
_READERS: dict[str | None, Callable[[Path, str], DiffusersNetworks]] = {
    None: DiffusersNetworks,
    **{each: partial(DiffusersNetworks, precision=each) for each in PRECISIONS},
}


def load(
    folder: Path, device: str, prompt: str = "", precision: str | None = None
) -> DiffusersModel:
    """Return the model of a folder under a prompt; the networks are read once in a process.

    Raises
    ------
    OSError
        If the folder holds no model that can be used here.
    ModelNotAvailableError
        If the packages of the extra ``models`` are not installed, or, for a precision, torchao.
    ValueError
        If the prompt is too long for the model.
    """
    networks = load_once(_READERS[precision], folder, device)
    return DiffusersModel(networks, prompt)


def write_empty_prompt(folder: Path) -> Path:
    """Write ``empty_prompt.safetensors`` into a pipeline's directory, and return its path.

    Without a prompt, the directory's text encoders are not read any more, and may be deleted.

    Raises
    ------
    OSError
        If the folder holds no model that can be used here.
    """
    pipeline = read_pipeline(folder)
    name = pipeline.classes[pipeline.network]
    shape = shape_of(name, pipeline.config(pipeline.network))
    return prompt_embedding.write_empty_prompt(folder, shape.widths)
