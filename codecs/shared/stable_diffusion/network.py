"""The predicting networks of diffusers behind one call, ``prediction = network(x, t)``.

They are asked in tiles where a latent is much larger than what they were trained on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from diffc.codecs.shared.diffusion.feature_reuse import FeatureReuse
from diffc.codecs.shared.stable_diffusion.folder import TRANSFORMER
from diffc.codecs.shared.stable_diffusion.outer_layers import transformer_in_parts, unet_in_parts
from diffc.codecs.shared.stable_diffusion.prompt_embedding import Embedding, Widths
from diffc.codecs.shared.tiling.blended import Tiling, blended

# numbers that tell a network of Stable Diffusion XL how its training picture had been cropped
_TIME_IDS = 6
# options of a UNet that need inputs which nothing here could give
_UNUSABLE = (
    "class_embed_type",
    "num_class_embeds",
    "encoder_hid_dim",
    "encoder_hid_dim_type",
    "time_cond_proj_dim",
)


@dataclass(frozen=True)
class NetworkShape:
    """What the configuration of a network says about its inputs.

    Parameters
    ----------
    channels : int
        Of the latent.
    widths : Widths
        Of a text.
    tiling : Tiling
        Largest latents it is asked about; its ``multiple`` divides their sides.
    """

    channels: int
    widths: Widths
    tiling: Tiling


def shape_of(name: str, config: Mapping[str, Any]) -> NetworkShape:
    """Read the configuration of a network of a class.

    Raises
    ------
    ValueError
        If it needs inputs that a codec does not have, such as a mask.
    """
    channels = int(config["in_channels"])
    if config.get("out_channels", channels) != channels:
        raise ValueError(
            f"a network of {channels} channels that returns {config['out_channels']} is made for "
            "something else: use another model"
        )
    if name == TRANSFORMER:
        patch = int(config["patch_size"])
        widths = Widths(int(config["joint_attention_dim"]), int(config["pooled_projection_dim"]))
        most = int(config["pos_embed_max_size"]) * patch
        return NetworkShape(channels, widths, _tiling(config, patch, most))
    for key in _UNUSABLE:
        if config.get(key) is not None:
            raise ValueError(f"a UNet with {key} needs inputs that there are none of: use another")
    multiple = 2 ** (len(config["block_out_channels"]) - 1)
    widths = Widths(_cross_attention(config), _pooled(config))
    return NetworkShape(channels, widths, _tiling(config, multiple))


def _cross_attention(config: Mapping[str, Any]) -> int:
    width = config["cross_attention_dim"]
    found = set(width) if isinstance(width, list) else {width}
    if len(found) != 1:
        raise ValueError(f"cross_attention_dim is one number, not {width}: use another model")
    return int(found.pop())


def _pooled(config: Mapping[str, Any]) -> int:
    kind = config.get("addition_embed_type")
    if kind is None:
        return 0
    if kind != "text_time":
        raise ValueError(
            f"addition_embed_type is text_time or none, not {str(kind)[:100]!r}: use another model"
        )
    every = int(config["projection_class_embeddings_input_dim"])
    return every - _TIME_IDS * int(config["addition_time_embed_dim"])


def _tiling(config: Mapping[str, Any], multiple: int, most: int = 1 << 30) -> Tiling:
    """Return tiles of the size that a network was trained on, within 64 to 128 positions."""
    native = config.get("sample_size") or 64
    trained = max(native) if isinstance(native, list) else int(native)
    tile = min(min(max(trained, 64), 128), most) // multiple * multiple
    return Tiling(largest=min(tile * 3 // 2, most), tile=tile, overlap=tile // 4, multiple=multiple)


class ConditionedUNet:
    """A ``UNet2DConditionModel`` under a prompt.

    Parameters
    ----------
    network : Module
        The UNet.
    embedding : Embedding
        On its device, in its precision.
    tiling : Tiling
        See `NetworkShape`.
    factor : int
        Pixels for each position; Stable Diffusion XL is told the picture's size.
    reuse : FeatureReuse, optional
        Of the walk whose evaluations these are; None where each of them is whole.
    """

    def __init__(
        self,
        network: nn.Module,
        embedding: Embedding,
        tiling: Tiling,
        factor: int,
        reuse: FeatureReuse | None = None,
    ) -> None:
        self.network: Any = network
        self.embedding, self.tiling, self.factor = embedding, tiling, factor
        self.reuse = reuse

    def __call__(self, x: Tensor, t: float) -> Tensor:
        """Return the prediction for ``x`` at the network's own time."""
        time = torch.tensor([t], dtype=torch.float32, device=x.device)
        added = self._added(x)
        reuse, hidden = self.reuse, self.embedding.hidden
        if reuse is not None:
            reuse.next_evaluation()

        def network(tile: Tensor) -> Tensor:
            tile = tile.to(hidden.dtype)
            if reuse is not None:
                return unet_in_parts(self.network, tile, time, hidden, reuse, added).float()
            made: Tensor = self.network(
                tile,
                time,
                encoder_hidden_states=hidden,
                added_cond_kwargs=added,
                return_dict=False,
            )[0]
            return made.float()

        return _finite(blended(network, x, self.tiling))

    def _added(self, x: Tensor) -> dict[str, Tensor] | None:
        pooled = self.embedding.pooled
        if pooled is None:
            return None
        height, width = (side * self.factor for side in x.shape[2:])
        # the picture's size, no cropping, and its size again
        numbers = [height, width, 0, 0, height, width]
        sizes = torch.tensor([numbers], dtype=pooled.dtype, device=pooled.device)
        return {"text_embeds": pooled, "time_ids": sizes}


class ConditionedTransformer:
    """An ``SD3Transformer2DModel`` under a prompt; see `ConditionedUNet`."""

    def __init__(
        self,
        network: nn.Module,
        embedding: Embedding,
        tiling: Tiling,
        reuse: FeatureReuse | None = None,
    ) -> None:
        self.network: Any = network
        self.embedding, self.tiling, self.reuse = embedding, tiling, reuse

    def __call__(self, x: Tensor, t: float) -> Tensor:
        """Return the prediction for ``x`` at the network's own time."""
        time = torch.tensor([t], dtype=torch.float32, device=x.device)
        reuse, hidden, pooled = self.reuse, self.embedding.hidden, self.embedding.pooled
        if reuse is not None:
            reuse.next_evaluation()

        def network(tile: Tensor) -> Tensor:
            tile = tile.to(hidden.dtype)
            if reuse is not None:
                found = transformer_in_parts(self.network, tile, time, hidden, pooled, reuse)
                return found.float()
            made: Tensor = self.network(
                hidden_states=tile,
                timestep=time,
                encoder_hidden_states=hidden,
                pooled_projections=pooled,
                return_dict=False,
            )[0]
            return made.float()

        return _finite(blended(network, x, self.tiling))


def _finite(prediction: Tensor) -> Tensor:
    if not bool(torch.isfinite(prediction).all()):
        raise OSError(
            "the model's network returned a number that is not finite: its weights are damaged, or "
            "it overflows in this device's precision"
        )
    return prediction
