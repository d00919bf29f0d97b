"""The ``relay`` codec: a standard's intra picture as base, restored by few steps of diffusion.

Relay residual diffusion (RDEIC, arXiv 2410.02640): decoding starts from the base picture plus
noise of its own error's size, and residual and noise leave together.  All that is entropy-coded
is the base, whose decoder is exact by specification; what is rendered may differ by rounding.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import ClassVar

import torch
from PIL import Image
from torch import Tensor

from diffc.codec import (
    Capabilities,
    Codec,
    Coded,
    DecodeOptions,
    Encoded,
    Progress,
    Rate,
    Settings,
    no_progress,
)
from diffc.codecs.relay import model as restoring_model
from diffc.codecs.relay.bitstream import SCALES, RelayParameters, error_level, packed_length
from diffc.codecs.relay.decoder import render
from diffc.codecs.relay.model import KIND
from diffc.codecs.relay.rate_search import (
    ROUGH,
    UNUSED,
    Trials,
    at_quality,
    base_size,
    fit,
    refined,
    smallest,
)
from diffc.codecs.shared import models as model_folder
from diffc.codecs.shared.base_pictures.av1_picture import FAST, Av1Coder
from diffc.codecs.shared.base_pictures.coders import BaseCoder, base_coder
from diffc.codecs.shared.pictures import grey_or_color
from diffc.devices import device_of
from diffc.errors import RateError
from diffc.progress import part_of


@dataclass(frozen=True)
class RelaySettings(Settings):
    """Options of the ``relay`` encoder.

    Parameters
    ----------
    base : str
        Standard whose intra picture is the base: ``"av1"``, or ``"hevc"``, which needs pillow-heif
        to encode and to decode.
    scale : float, optional
        How many times smaller than the picture the base is: 1, 1.5, 2 or 3.  None chooses.
    speed : int, optional
        Of AV1's encoder, 0 to 10, as in Pillow's AVIF; less makes a better picture of the same
        bytes and takes longer.  None searches for a rate at 6 and codes what is kept at 4, bases of
        more than 2**18 pixels at 5, and of more than 2**22 at 6.
    seed : int
        Of the noise, 0 to 2**32 - 1; 0 costs no bytes.
    """

    base: str = "av1"
    scale: float | None = None
    speed: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        """Check types and ranges."""
        super().__post_init__()
        if self.base not in ("av1", "hevc"):
            raise ValueError(f"base is 'av1' or 'hevc', not {self.base!r}: choose one of them")
        if self.scale is not None and (isinstance(self.scale, bool) or self.scale not in SCALES):
            raise ValueError(f"scale is 1, 1.5, 2 or 3, not {self.scale!r}: choose one of them")
        speed = self.speed
        if speed is not None:
            if self.base != "av1":
                raise ValueError(f"speed is that of base 'av1', not of {self.base!r}: leave it out")
            if isinstance(speed, bool) or not isinstance(speed, int) or not 0 <= speed <= 10:
                raise ValueError(
                    f"speed is a whole number from 0 to 10, not {speed!r}: choose one in that range"
                )
        seed = self.seed
        if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**32:
            raise ValueError(
                f"seed is a whole number from 0 to {2**32 - 1}, not {seed!r}: choose one in that "
                "range"
            )


# what is decoded together, with its padding
_BATCH_PIXELS = 1 << 21


class RelayCodec(Codec):
    """An AV1 picture, restored by relay diffusion with the embedded model."""

    name: ClassVar[str] = "relay"
    bitstream_version: ClassVar[int] = 1
    description: ClassVar[str] = "relay residual diffusion from an AV1 picture"
    models: ClassVar[tuple[str, ...]] = tuple(model_folder.EMBEDDED[KIND])
    weights_licence: ClassVar[str | None] = "MIT"
    capabilities: ClassVar[Capabilities] = Capabilities()
    settings_type: ClassVar[type[Settings]] = RelaySettings

    def encode(
        self,
        image: Tensor,
        settings: RelaySettings,
        rate: Rate,
        progress: Progress = no_progress,
    ) -> Encoded:
        """Code the base picture that fits the rate, and measure its error."""
        folder = model_folder.folder_of(settings.model, KIND)
        fingerprint = model_folder.fingerprint(folder)
        device_of(settings.device)
        coder, fast = _coders(settings)
        picture = grey_or_color(image)
        trials = Trials(fast, picture, settings.scale)
        length = packed_length(settings.seed)
        progress(0, 2)
        if rate.room is None:
            kept = trials if coder is fast else Trials(coder, picture, settings.scale)
            scale, index = at_quality(kept, rate.quality, trials)
            coded = kept.coded(scale, index)
        else:
            room = rate.room(length, True)
            found = fit(trials, room, UNUSED if coder is fast else ROUGH)
            if found is None:
                _, least = smallest(trials)
                most = trials.length(trials.scales[0], trials.last)
                raise RateError(length + least, length + most)
            scale, index = found
            progress(1, 2)
            coded = refined(trials, coder, scale, index, room)
        grey = picture.mode == "L"
        base = coder.decode(coded, base_size(picture.size, scale), grey=grey)
        parameters = RelayParameters(
            coder.identifier, scale, grey, error_level(picture, base), settings.seed
        )
        progress(2, 2)
        return Encoded(coded, parameters.pack(), fingerprint)

    def decode(self, coded: Coded, options: DecodeOptions) -> Tensor:
        """Decode the base picture and restore it."""
        (picture,) = self.decode_batch([coded], options)
        return picture

    @torch.inference_mode()
    def decode_batch(self, coded: Sequence[Coded], options: DecodeOptions) -> list[Tensor]:
        """Decode pictures, neighbours of equal size and model together."""
        made: list[Tensor] = []
        for (fingerprint, size), group in groupby(coded, lambda c: (c.fingerprint, c.size)):
            folder = model_folder.folder_with(fingerprint, options, KIND)
            model = restoring_model.load(folder, device_of(options.device))
            together = list(group)
            count = max(1, _BATCH_PIXELS // math.prod(s + -s % model.multiple for s in size))
            for start in range(0, len(together), count):
                part = together[start : start + count]
                found = [RelayParameters.unpack(each.parameters) for each in part]
                bases = [_enlarged_base(*each) for each in zip(part, found, strict=True)]
                progress = part_of(options.progress, len(made), len(part), len(coded))
                made += render(bases, found, model, replace(options, progress=progress))
        return made


def _coders(settings: RelaySettings) -> tuple[BaseCoder, BaseCoder]:
    """Return the coder of what is kept, and that of the search."""
    if settings.base != "av1":
        coder = base_coder(settings.base)
        return coder, coder
    if settings.speed is not None:
        chosen = Av1Coder(speed=settings.speed)
        return chosen, chosen
    return Av1Coder(), Av1Coder(speed=FAST)


def _enlarged_base(coded: Coded, parameters: RelayParameters) -> Image.Image:
    coder = base_coder(parameters.base)
    size = base_size(coded.size, parameters.scale)
    base = coder.decode(coded.payload, size, grey=parameters.grey)
    return base.resize(coded.size, Image.Resampling.BICUBIC)
