"""Sizes of a CoD-Lite network: what its checkpoints differ in, and what is the same for all."""

from __future__ import annotations

from dataclasses import dataclass

from diffc.codecs.shared.cod.sizes import PATCH, check_sizes

__all__ = ["PATCH", "CodConfig"]

STRIDES = (4, 8, 16, 32)
_LARGEST = {"bits": 16, "patch_blocks": 256, "pixel_blocks": 256}


@dataclass(frozen=True)
class CodConfig:
    """Sizes of a network; the defaults are those of the published checkpoint of 0.0312 bpp.

    Parameters
    ----------
    stride : int
        Pixels between tokens, each way: 4, 8, 16 or 32.
    bits : int
        Of a token.
    width, pixel_width : int
        Channels of the denoiser for each patch, and for each pixel.
    patch_blocks, pixel_blocks : int
        How many of each.
    expansion : int
        Of the patch blocks' inner width.
    encoder_width : int
        Channels of the condition encoder at half the size; at the tokens it has four times as many.
    code_length : int
        Components of a code word.
    noise_features, time_features, frequencies : int
        Features of a noisy patch and of the time, which one step from no noise does not need;
        cosines each way for the place of a pixel in its patch.
    groups : int
        Of the condition networks' group normalisation.
    window : int
        Positions each way that attention is confined to.
    """

    stride: int = 16
    bits: int = 8
    width: int = 384
    pixel_width: int = 32
    patch_blocks: int = 21
    pixel_blocks: int = 3
    expansion: int = 4
    encoder_width: int = 128
    code_length: int = 128
    noise_features: int = 128
    time_features: int = 256
    frequencies: int = 8
    groups: int = 32
    window: int = 32

    def __post_init__(self) -> None:
        """Check types and ranges: a configuration is read from a file.

        Raises
        ------
        ValueError
            If one is wrong.
        """
        check_sizes(self, _LARGEST, STRIDES)

    @property
    def decoder_attentions(self) -> int:
        """Layers of attention in the condition decoder."""
        return 2

    @property
    def multiple(self) -> int:
        """Sides of pictures are padded to multiples of it."""
        return max(self.stride, PATCH)
