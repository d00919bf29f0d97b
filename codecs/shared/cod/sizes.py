"""Sizes of CoD's networks: what their checkpoints differ in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Protocol

PATCH = 16
"""A condition has one vector for each patch of 16x16 pixels."""
LARGEST_STRIDE = 128
STRIDES = (4, 8, 16, 32, LARGEST_STRIDE)

PIXEL, LATENT = "pixel", "latent"
_CHANNELS = {PIXEL: 3, LATENT: 4}
# positions of a patch, each way
_POSITIONS = {PIXEL: PATCH, LATENT: 2}
_LARGEST = {"bits": 16, "patch_blocks": 256, "last_blocks": 256, "decoder_attentions": 64}


class ConditionSizes(Protocol):
    """What the condition codecs of CoD's networks differ in."""

    @property
    def stride(self) -> int:
        """Pixels between tokens, each way: 4, 8, 16, 32 or 128."""

    @property
    def bits(self) -> int:
        """Of a token."""

    @property
    def code_length(self) -> int:
        """Components of a code word."""

    @property
    def encoder_width(self) -> int:
        """Channels of the encoder at half the size; at the tokens there are several times as many."""

    @property
    def width(self) -> int:
        """Channels of the decoder, and of the condition."""

    @property
    def groups(self) -> int:
        """Of group normalisation."""

    @property
    def window(self) -> int | None:
        """Positions each way that attention is confined to; None where it sees all of them."""

    @property
    def decoder_attentions(self) -> int:
        """Layers of attention in the decoder, but for a stride of 128, which has its own."""


def check_sizes(
    sizes: ConditionSizes, largest: Mapping[str, int], strides: tuple[int, ...]
) -> None:
    """Check the whole numbers of a configuration, which is read from a file.

    Parameters
    ----------
    sizes : ConditionSizes
        A dataclass; fields that are declared as ``int`` are checked.
    largest : mapping
        Of some fields; 8192 for the others.
    strides : tuple of int
        Those there may be.

    Raises
    ------
    ValueError
        If one is wrong.
    """
    for field in fields(sizes):  # type: ignore[arg-type]
        if field.type != "int":
            continue
        value, most = getattr(sizes, field.name), largest.get(field.name, 8192)
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
            raise ValueError(
                f"{field.name} of a CoD network is a whole number from 1 to {most}, not "
                f"{value!r}: fetch the model anew"
            )
    if sizes.stride not in strides:
        *others, last = strides
        raise ValueError(
            f"stride of a CoD network is {', '.join(map(str, others))} or {last}, not {sizes.stride}: "
            "fetch the model anew"
        )
    for name in ("width", "encoder_width"):
        if getattr(sizes, name) % sizes.groups:
            raise ValueError(
                f"{name} of a CoD network is a multiple of its {sizes.groups} groups, not "
                f"{getattr(sizes, name)}: fetch the model anew"
            )


@dataclass(frozen=True)
class VelocityConfig:
    """Sizes of a velocity network; the defaults are those of the published pixel network.

    Parameters
    ----------
    space : str
        ``pixel``, or ``latent`` for that of an autoencoder with 4 channels and a factor of 8.
    stride, bits, code_length, encoder_width, width, groups, decoder_attentions : int
        See `ConditionSizes`; ``width`` is also that of the blocks.
    heads : int
        Of the blocks' attention.
    patch_blocks, last_blocks : int
        Blocks that see patches and time, and those behind them.
    inner_width : int
        Of the blocks' linear layers.
    time_features : int
        Cosines and sines of the time.
    pixel_width, expansion, frequencies : int
        Of pixel networks: channels of a pixel, how many times as many in the middle of a block, and
        cosines each way for its place in the patch.
    guidance : float
        At decoding, if the caller says nothing.
    one_step : str
        Of a network that was tuned to one step, what it predicts: ``x``, the picture, or ``v``, the
        velocity; empty for one of many steps.
    noise_level : float
        Of the noise that such a network starts from.
    """

    space: str = PIXEL
    stride: int = 32
    bits: int = 4
    width: int = 1152
    heads: int = 16
    patch_blocks: int = 26
    last_blocks: int = 4
    inner_width: int = 3072
    pixel_width: int = 64
    expansion: int = 2
    frequencies: int = 8
    time_features: int = 256
    encoder_width: int = 128
    code_length: int = 128
    decoder_attentions: int = 3
    groups: int = 32
    guidance: float = 3.0
    one_step: str = ""
    noise_level: float = 0.0

    def __post_init__(self) -> None:
        """Check types and ranges: a configuration is read from a file.

        Raises
        ------
        ValueError
            If one is wrong.
        """
        check_sizes(self, _LARGEST, STRIDES)
        if self.space not in _CHANNELS:
            raise ValueError(
                f"space of a CoD network is pixel or latent, not {self.space!r}: fetch the model "
                "anew"
            )
        if self.width % (4 * self.heads):
            raise ValueError(
                f"width of a CoD network is a multiple of four times its {self.heads} heads, not "
                f"{self.width}: fetch the model anew"
            )
        if self.time_features % 2:
            raise ValueError(
                f"time_features of a CoD network is even, not {self.time_features}: fetch the model "
                "anew"
            )
        if self.one_step not in ("", "x", "v") or (self.one_step and self.space != PIXEL):
            raise ValueError(
                f"one_step of a CoD network is x or v for pixels and else empty, not "
                f"{self.one_step!r} for {self.space}: fetch the model anew"
            )
        for name, most in (("guidance", 20), ("noise_level", 1)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise ValueError(
                    f"{name} of a CoD network is a number, not {value!r}: fetch the model anew"
                )
            if not 0 <= value <= most:
                raise ValueError(
                    f"{name} of a CoD network is 0 to {most}, not {value}: fetch the model anew"
                )

    @property
    def window(self) -> None:
        """Attention sees all positions."""
        return

    @property
    def multiple(self) -> int:
        """Sides of pictures are padded to multiples of it."""
        return max(self.stride, PATCH)

    @property
    def channels(self) -> int:
        """Of what the network denoises."""
        return _CHANNELS[self.space]

    @property
    def patch(self) -> int:
        """Positions of a patch each way, of what the network denoises."""
        return _POSITIONS[self.space]
