"""The autoencoder of a latent diffusion model: pixels to a latent of about unit variance, and back.

It computes in float32, for its steps are a small part of the time and rounding shows in its pixels.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from diffc.codecs.shared.networks.blocks import to_device
from diffc.codecs.shared.stable_diffusion.folder import Pipeline
from diffc.codecs.shared.stable_diffusion.parts import read_network
from diffc.codecs.shared.tiling.blended import Tiling, blended

# a tile of 512 pixels keeps the widest layers' features under some 1.5 GB
_TILING = Tiling(largest=96, tile=64, overlap=16, multiple=1)


class LatentAutoencoder:
    """A variational autoencoder whose latent is the posterior's mode.

    Parameters
    ----------
    config : mapping
        Of the network.
    network : Module
        An ``AutoencoderKL`` of diffusers.
    device : str
        Where it runs.
    scale : float, optional
        From the posterior's mode to the latent; None is what the configuration says.

    Attributes
    ----------
    channels : int
        Of the latent.
    factor : int
        Pixels along a side for each position of the latent.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        network: nn.Module,
        device: str,
        *,
        scale: float | None = None,
    ) -> None:
        if config.get("latents_mean") is not None or config.get("latents_std") is not None:
            raise ValueError(
                "latents normalised by channel (latents_mean, latents_std) are not supported here: "
                "use another model"
            )
        self.channels = int(config["latent_channels"])
        self.factor = 2 ** (len(config["block_out_channels"]) - 1)
        self._scale = float(config["scaling_factor"]) if scale is None else scale
        self._shift = float(config.get("shift_factor") or 0.0)
        self._network: Any = to_device(network, device)

    def analyse(self, pixels: Tensor) -> Tensor:
        """Map pixels (1, 3, H, W) in [0, 1], sides multiples of `factor`, to a latent."""

        def mode(tile: Tensor) -> Tensor:
            posterior = self._network.encode(2 * tile - 1, return_dict=False)[0]
            found: Tensor = posterior.mode()
            return found

        latent = blended(mode, pixels, _TILING, before=self.factor)
        return (latent - self._shift) * self._scale

    def synthesise(self, latent: Tensor) -> Tensor:
        """Map a latent to pixels (1, 3, H, W) in [0, 1]."""

        def decoded(tile: Tensor) -> Tensor:
            made: Tensor = self._network.decode(tile, return_dict=False)[0]
            return made

        pixels = blended(decoded, latent / self._scale + self._shift, _TILING, after=self.factor)
        return pixels.add_(1).mul_(0.5).clamp_(0, 1)


def autoencoder_of(pipeline: Pipeline, device: str) -> LatentAutoencoder:
    """Return the component ``vae`` of a pipeline.

    Raises
    ------
    OSError
        If its weights cannot be read.
    ValueError
        If it is of a kind that is not supported.
    """
    network = read_network(pipeline, "vae", torch.float32)
    return LatentAutoencoder(pipeline.config("vae"), network, device)
