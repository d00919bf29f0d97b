"""CoD's models of many steps, and those tuned to one, on a device: pixels to tokens and back.

A state on the straight path is x_t = t data + (1 - t) noise in CoD's letters.  Here it is x_s with
s = 1 - t, and the network's velocity is the flow's with the other sign: a model is a
`diffc.codecs.shared.diffusion.denoisers.FlowDenoiser`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn

from diffc.codec import Progress, no_progress
from diffc.codecs.shared.cod.folder import (
    WEIGHTS,
    describe,
    empty,
    fill,
    read_autoencoder,
    read_velocity_config,
)
from diffc.codecs.shared.cod.sizes import PATCH, PIXEL
from diffc.codecs.shared.cod.tokens import TokenDecoder, TokenEncoder
from diffc.codecs.shared.cod.velocity_network import VelocityNetwork
from diffc.codecs.shared.diffusion.denoisers import Denoiser, FlowDenoiser, flow_sigma, guided
from diffc.codecs.shared.diffusion.feature_reuse import FeatureReuse
from diffc.codecs.shared.diffusion.samplers import sample_flow
from diffc.codecs.shared.diffusion.schedules import flow_walk
from diffc.codecs.shared.models import fast_dtype
from diffc.codecs.shared.networks.blocks import to_device
from diffc.codecs.shared.stable_diffusion.autoencoder import LatentAutoencoder

DEFAULT_STEPS = 25
# of the published sampler: where the last step starts, and up to where there is guidance
_LAST_STEP, _GUIDED_UP_TO = 0.04, flow_sigma(0.9)
# the published latents are scaled twice by Stable Diffusion's factor
_LATENT_SCALE = 0.18215**2
# small layers whose rounding would show: colours are finer than bfloat16
_EXACT = ("t_embedder.", "x_embedder.", "final_layer.")


class Autoencoder(Protocol):
    """Pixels (1, 3, H, W) in [0, 1] to what a network denoises, and back."""

    def analyse(self, pixels: Tensor) -> Tensor:
        """Map pixels."""

    def synthesise(self, latent: Tensor) -> Tensor:
        """Map to pixels."""


class PixelValues:
    """Pixels from -1 to 1, what a network without an autoencoder denoises."""

    def analyse(self, pixels: Tensor) -> Tensor:
        """Map pixels from [0, 1]."""
        return 2 * pixels - 1

    def synthesise(self, latent: Tensor) -> Tensor:
        """Map to pixels in [0, 1]."""
        return latent.add(1).mul_(0.5).clamp_(0, 1)


class VelocityModel:
    """A velocity network with its condition codec and its autoencoder.

    Parameters
    ----------
    network : VelocityNetwork
        Is moved to the device.
    device : str
        Where it runs.
    dtype : torch.dtype
        Of the condition codec's products; the other layers keep theirs.
    autoencoder : Autoencoder
        Of what the network denoises.

    Attributes
    ----------
    config : VelocityConfig
        Of the network.
    factor : int
        Pixels along a side for each position of what the network denoises.
    """

    def __init__(
        self, network: VelocityNetwork, device: str, dtype: torch.dtype, autoencoder: Autoencoder
    ) -> None:
        self.config, self.device = network.config, device
        codec = network.y_embedder
        self._encoder = TokenEncoder(codec, self.config, device, dtype)
        self._decoder = TokenDecoder(codec, self.config, device, dtype)
        self.network = to_device(network, device)
        self._autoencoder = autoencoder
        self.factor = PATCH // self.config.patch

    def tokens(self, pixels: Tensor) -> Tensor:
        """Map pixels (1, 3, H, W) in [0, 1], sides multiples of the configuration's, to tokens.

        They are int64 (rows, columns).
        """
        return self._encoder.tokens(pixels)

    def condition(self, tokens: Tensor) -> Tensor:
        """Map tokens to a condition (1, width, H/16, W/16)."""
        return self._decoder.condition(tokens)

    def no_condition(self, grid: tuple[int, int]) -> Tensor:
        """Return the condition of no picture, for a grid of tokens.

        It is that of one that is -1 everywhere, which no pixels are.
        """
        rows, columns = (side * self.config.stride for side in grid)
        nothing = torch.full((1, 3, rows, columns), -1.0)
        return self.condition(self.tokens(nothing))

    def shape(self, grid: tuple[int, int]) -> tuple[int, int, int]:
        """Return channels, rows and columns of what the network denoises, for a grid of tokens."""
        rows, columns = (side * self.config.stride // self.factor for side in grid)
        return self.config.channels, rows, columns

    def denoiser(
        self,
        condition: Tensor,
        times: Sequence[float],
        network_time: Callable[[float], float] = lambda s: 1 - s,
        cache: int = 1,
    ) -> FlowDenoiser:
        """Return the network under a condition, for the steps of one walk.

        Parameters
        ----------
        condition : Tensor
            See `condition`.
        times : sequence of float
            s in (0, 1], rising.
        network_time : callable
            The time t that the network is asked at, of s.
        cache : int
            The network runs whole at every so many steps, see `FeatureReuse`.
        """
        reuse = FeatureReuse(cache) if cache > 1 else None

        def flow(x: Tensor, s: float) -> Tensor:
            time = torch.full((len(x),), network_time(s), dtype=torch.float32, device=x.device)
            if reuse is not None:
                reuse.next_evaluation()
            return -self._velocity(x, time, condition, reuse)

        return FlowDenoiser(flow, times)

    def _velocity(
        self, x: Tensor, time: Tensor, condition: Tensor, reuse: FeatureReuse | None = None
    ) -> Tensor:
        made: Tensor = self.network(x, time, condition, reuse)
        return made

    def draw(
        self,
        tokens: Tensor,
        noise: Tensor,
        *,
        steps: int | None = None,
        guidance: float | None = None,
        order: int = 2,
        cache: int = 1,
        progress: Progress = no_progress,
    ) -> Tensor:
        """Draw a picture that tokens could have been taken from, as the network has it.

        Parameters
        ----------
        tokens : Tensor
            int64 (rows, columns).
        noise : Tensor
            Standard normals, (1, *shape(grid)).
        steps, order : int
            See `diffc.codecs.shared.diffusion.samplers.sample_flow`; a network that was tuned to
            one step takes that one.
        guidance : float, optional
            None is the configuration's; a network of one step has none.
        cache : int
            See `denoiser`.
        progress : callable
            Called with the step that is done and the number of steps.
        """
        condition = self.condition(tokens)
        if self.config.one_step:
            return self._in_one_step(condition, self.config.noise_level * noise, progress)
        times = flow_walk(DEFAULT_STEPS if steps is None else steps, _LAST_STEP)
        table = times[-2::-1]
        guidance = self.config.guidance if guidance is None else guidance
        model: Denoiser = self.denoiser(condition, table, cache=cache)
        if guidance != 1:
            nothing = self.no_condition((tokens.shape[0], tokens.shape[1]))
            other = self.denoiser(nothing, table, cache=cache)
            model = guided(model, other, guidance, _GUIDED_UP_TO)
        return sample_flow(model, noise, times, order=order, progress=progress)

    def _in_one_step(self, condition: Tensor, noise: Tensor, progress: Progress) -> Tensor:
        progress(0, 1)
        made = self._velocity(noise, torch.zeros(1, device=noise.device), condition)
        progress(1, 1)
        return made if self.config.one_step == "x" else noise + made

    def analyse(self, pixels: Tensor) -> Tensor:
        """Map pixels (1, 3, H, W) in [0, 1] to what the network denoises."""
        return self._autoencoder.analyse(pixels)

    def synthesise(self, made: Tensor) -> Tensor:
        """Map what the network denoises to pixels (1, 3, H, W) in [0, 1]."""
        return self._autoencoder.synthesise(made)


def read_model(folder: Path, device: str, dtype: torch.dtype | None = None) -> VelocityModel:
    """Read the model of a folder.

    Parameters
    ----------
    folder : Path
        See `diffc.codecs.shared.cod.folder`.
    device : str
        Where it runs.
    dtype : torch.dtype, optional
        Of the products; None is what the device is fast with.

    Raises
    ------
    ModelNotAvailableError
        If the autoencoder needs a package that is not installed.
    OSError, ValueError
        If the folder holds no such model.
    """
    config = read_velocity_config(folder)
    dtype = dtype or fast_dtype(device)
    network = empty(lambda: VelocityNetwork(config))
    products = {
        f"{name}.{part}"
        for name, module in network.named_modules()
        if isinstance(module, nn.Conv2d | nn.Linear) and not name.startswith(_EXACT)
        for part in ("weight", "bias")
    }
    fill(
        network,
        folder / WEIGHTS,
        describe(config),
        dtype_of=lambda name: dtype if name in products else torch.float32,
    )
    if config.space == PIXEL:
        return VelocityModel(network, device, dtype, PixelValues())
    settings, vae = read_autoencoder(folder)
    autoencoder = LatentAutoencoder(settings, vae, device, scale=_LATENT_SCALE)
    found = autoencoder.channels, autoencoder.factor
    wanted = config.channels, PATCH // config.patch
    if found != wanted:
        raise ValueError(
            f"an autoencoder for CoD has {wanted[0]} channels and a factor of {wanted[1]}, not "
            f"{found[0]} and {found[1]}: convert it with another"
        )
    return VelocityModel(network, device, dtype, autoencoder)
