"""The UNet of PerCo (SD): one of Stable Diffusion that sees tokens beside the noisy latent.

The public training code (Nikolai10/PerCo, ``unet_2d_perco.py``) adds a second first convolution,
``conv_in_extended``, over the latent's channels and then those that tokens stand for, repeated up
to the latent's size.  It keeps the first one, ``conv_in``, in the weights and never calls it; the
configuration says nothing of the wider one.  Both were read in that code; the released weights
themselves have not been read here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from diffc.codecs.shared.diffusion.denoisers import guide
from diffc.codecs.shared.diffusion.feature_reuse import FeatureReuse
from diffc.codecs.shared.networks.strict_weights import read_weights
from diffc.codecs.shared.stable_diffusion.folder import Pipeline
from diffc.codecs.shared.stable_diffusion.outer_layers import unet_in_parts
from diffc.codecs.shared.stable_diffusion.prompt_embedding import Embedding
from diffc.codecs.shared.tiling.blended import Tiling, blended
from diffc.codecs.shared.tokens.vector_quantiser import words
from diffc.optional_packages import models_class

FIRST, WIDER = "conv_in", "conv_in_extended"


def read_widened_unet(pipeline: Pipeline, channels: int, dtype: torch.dtype) -> nn.Module:
    """Read a UNet whose first convolution is the wider one; every key has to be there, and no other.

    Parameters
    ----------
    pipeline : Pipeline
        Whose component ``unet`` it is.
    channels : int
        What tokens stand for has so many; they follow those of the latent.
    dtype : torch.dtype
        It computes in.

    Raises
    ------
    OSError
        If the weights are missing, incomplete, or of another network.
    ModelNotAvailableError
        If diffusers is not installed.
    """
    kind = models_class("diffusers", pipeline.classes["unet"])
    config = pipeline.config("unet")
    narrow = int(config["in_channels"])
    if config.get("center_input_sample"):
        raise OSError(
            f"a UNet with center_input_sample as in {pipeline.folder} is not supported with tokens: "
            "use another model"
        )
    with torch.device("meta"):
        network: nn.Module = kind.from_config({**config, "in_channels": narrow + channels})
    shapes = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    wanted = {_renamed(name, FIRST, WIDER): shape for name, shape in shapes.items()}
    kernel = shapes[f"{FIRST}.weight"]
    unused = {
        f"{FIRST}.weight": (kernel[0], narrow, *kernel[2:]),
        f"{FIRST}.bias": shapes[f"{FIRST}.bias"],
    }
    weights = read_weights(pipeline.folder / "unet", wanted | unused, dtype, tuple(unused))
    network.load_state_dict(
        {_renamed(name, WIDER, FIRST): value for name, value in weights.items()}, assign=True
    )
    return network.eval().requires_grad_(False)


def _renamed(name: str, old: str, new: str) -> str:
    return f"{new}.{name.removeprefix(f'{old}.')}" if name.startswith(f"{old}.") else name


class TokenConditionedUNet:
    """A widened UNet under tokens and a text, with classifier-free guidance by the text.

    Parameters
    ----------
    network : Module
        From `read_widened_unet`.
    table : Tensor
        What every token stands for, (words, channels), float32.
    tokens : Tensor
        Indices, int64 (1, h, w).
    stride : int
        Positions along a side for each token.
    text, empty : Embedding
        Of the caption and of the empty one, on the network's device and in its precision.
    guidance : float
        1 is the prediction under the caption alone, which then costs one evaluation.
    tiling : Tiling
        Largest latents that the network is asked about at once.
    cache : int
        The network runs whole at every so many evaluations, see `FeatureReuse`.
    """

    def __init__(
        self,
        network: nn.Module,
        table: Tensor,
        tokens: Tensor,
        stride: int,
        text: Embedding,
        empty: Embedding,
        guidance: float,
        tiling: Tiling,
        cache: int = 1,
    ) -> None:
        self._network: Any = network
        self._reuse = None if cache == 1 else FeatureReuse(cache)
        self._table, self._tiling, self._guidance = table, tiling, guidance
        # a number of one channel; the many that it stands for are there for one tile at a time
        self._indices = tokens[:, None].repeat_interleave(stride, 2).repeat_interleave(stride, 3)
        self._hidden = text.hidden if guidance == 1 else torch.cat([empty.hidden, text.hidden])

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the latent."""
        return self._indices.shape[2], self._indices.shape[3]

    def __call__(self, x: Tensor, t: float) -> Tensor:
        """Return the prediction for ``x`` (1, channels, H, W) at the network's own time."""
        if self._reuse is not None:
            self._reuse.next_evaluation()
        made = blended(self._at(t), torch.cat([x, self._indices.to(x)], dim=1), self._tiling)
        if not bool(torch.isfinite(made).all()):
            raise OSError(
                "the model's network returned a number that is not finite: its weights are damaged, "
                "or it overflows in this device's precision"
            )
        return made

    def _at(self, t: float) -> Callable[[Tensor], Tensor]:
        def network(tile: Tensor) -> Tensor:
            # every index is below 2**16, which float32 holds exactly
            features = words(tile[:, -1].long(), self._table)
            seen = torch.cat([tile[:, :-1], features], dim=1).to(self._hidden.dtype)
            seen = seen.expand(len(self._hidden), -1, -1, -1)
            time = torch.tensor([t], dtype=torch.float32, device=tile.device)
            made = self._predicted(seen, time).float()
            if len(made) == 1:
                return made
            return guide(made[1:], made[:1], self._guidance)

        return network

    def _predicted(self, seen: Tensor, time: Tensor) -> Tensor:
        if self._reuse is not None:
            return unet_in_parts(self._network, seen, time, self._hidden, self._reuse)
        made: Tensor = self._network(
            seen, time, encoder_hidden_states=self._hidden, return_dict=False
        )[0]
        return made
