"""The ``relay`` codec: a standard's or another codec's picture as base, restored by diffusion.

Relay residual diffusion (RDEIC, arXiv 2410.02640): decoding starts from the base picture plus
noise of its own error's size, and residual and noise leave together.  All that is entropy-coded
is the base, whose decoder is exact by specification; what is rendered may differ by rounding.

What loads numpy and torch is imported inside methods, so that lists may read the declaration.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING

from diffc.codec import (
    Codec,
    Coded,
    DecodeOptions,
    Encoded,
    ModelKind,
    Picture,
    Progress,
    Rate,
    Traits,
    no_progress,
    option,
)
from diffc.errors import CodecNotAvailableError, RateError
from diffc.parameters import SEED_END

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

    from diffc.codecs.shared.base_pictures.coders import BaseCoder, BaseDecoder

RESTORING = ModelKind("restoring", embedded={"tiny": "diffc.codecs:weights/relay-tiny"})
SCALES = (1.0, 1.5, 2.0, 3.0)
STANDARDS = ("av1", "hevc", "jpeg", "webp", "jxl")
"""Those that code bases; what else there is for it are other codecs."""

# what is decoded together, with its padding
_BATCH_PIXELS = 1 << 21


@dataclass(frozen=True)
class RelayCodec(Codec):
    """An AV1 picture, restored by relay diffusion with the embedded model."""

    name = "relay"
    description = "relay residual diffusion from an AV1 picture"
    traits = Traits(generative=True)
    kinds = (RESTORING,)
    weights_licence = "MIT"
    needs = ("torch",)
    rates = (0.007, 3.7)
    number = 2

    base: str = option(
        "av1",
        longest=1000,
        help="what codes the base: av1, jpeg or webp; hevc or jxl (pillow-heif or pillow-jxl-plugin are "
        "needed on both sides); or another codec, with its model behind a colon if need be, such as perco or compressai:mbt2018-mean:1",
    )
    keep_original: bool = option(
        False,
        help="keep the JPEG file that the picture was opened from, to the byte, as the base: opening "
        "shows it restored, and diffc extract gives it back",
    )
    scale: float | None = option(
        None,
        choices=SCALES,
        help="how many times smaller than the picture the base is; left out, the rate decides",
    )
    speed: int | None = option(
        None,
        low=0,
        high=10,
        help="of AV1's encoder, as in Pillow's AVIF: less makes a better picture of the same bytes "
        "and takes longer; left out, the search goes at 6, and what is kept at 4 to 6 by its size",
    )
    seed: int = option(0, low=0, high=SEED_END - 1, help="of the noise; 0 costs no bytes")

    def __post_init__(self) -> None:
        """Check types and ranges."""
        super().__post_init__()
        if self.base not in STANDARDS:
            self._other_codec()
        if self.speed is not None and self.base != "av1":
            raise ValueError(f"speed is that of base 'av1', not of {self.base!r}: leave it out")
        if self.keep_original and (self.base not in ("av1", "jpeg") or self.scale not in (None, 1)):
            raise ValueError(
                "keep_original makes the JPEG file itself the base, at its size: leave base and "
                "scale out"
            )

    @property
    def takes_source(self) -> bool:
        """Whether the original file is asked for."""
        return self.keep_original

    def encode(self, picture: Picture, rate: Rate, progress: Progress = no_progress) -> Encoded:
        """Code the base picture that fits the rate, and measure its error."""
        from diffc.codecs.relay.bitstream import (
            OTHER_CODEC,
            RelayParameters,
            error_level,
            packed_length,
        )
        from diffc.codecs.relay.codec_base import CodecBase, encode_base
        from diffc.codecs.relay.rate_search import base_size
        from diffc.codecs.shared import models
        from diffc.codecs.shared.base_pictures.coders import base_coder
        from diffc.codecs.shared.pictures import grey_or_color
        from diffc.devices import device_of

        fingerprint = models.fingerprint(models.folder_of(self.model, RESTORING.name))
        device_of(self.device)
        if self.keep_original:
            from diffc.codecs.relay.kept_original import encode_original

            return replace(encode_original(picture, rate, self.seed), fingerprint=fingerprint)
        original = grey_or_color(picture.pixels)
        progress(0, 2)
        length = packed_length(self.seed)
        if self.base in STANDARDS:
            standard = base_coder(self.base)
            decoder: BaseDecoder = standard
            number = standard.identifier
            scale, coded = self._by_standard(original, rate, length, progress)
        else:
            codec = self._other_codec()
            decoder = CodecBase(DecodeOptions(device=self.device, model=codec.model))
            number = OTHER_CODEC
            scale, coded = encode_base(codec, original, rate, length, self.scale)
            progress(1, 2)
        grey = original.mode == "L"
        base = decoder.decode(coded, base_size(original.size, scale), grey=grey)
        level = error_level(original, base)
        parameters = RelayParameters(number, scale, grey, level, self.seed)
        progress(2, 2)
        return Encoded(coded, parameters.pack(), fingerprint)

    def _by_standard(
        self, original: Image, rate: Rate, length: int, progress: Progress
    ) -> tuple[float, bytes]:
        """Return scale and bytes of a standard's base that fits, beside so many bytes of parameters."""
        from diffc.codecs.relay.rate_search import (
            ROUGH,
            UNUSED,
            Trials,
            at_quality,
            fit,
            refine_base,
            smallest,
        )

        coder, fast = self._coders()
        trials = Trials(fast, original, self.scale)
        if not rate.bounded:
            kept = trials if coder is fast else Trials(coder, original, self.scale)
            scale, index = at_quality(kept, rate.quality, trials)
            return scale, kept.coded(scale, index)
        room = rate.room(length)
        found = fit(trials, room, UNUSED if coder is fast else ROUGH)
        if found is None:
            largest = partial(trials.length, trials.scales[0], trials.last)
            raise RateError(length + smallest(trials)[1], lambda: length + largest())
        scale, index = found
        progress(1, 2)
        return scale, refine_base(trials, coder, scale, index, room)

    def _other_codec(self) -> Codec:
        """Return the codec that codes the base, of those that are no standard's."""
        from diffc.registry import known_codecs, load_codec

        name, _, model = self.base.partition(":")
        if name == self.name or name not in known_codecs():
            raise ValueError(
                f"base is {', '.join(STANDARDS)}, or another codec that is here, with a model if need be "
                f"as in 'compressai:mbt2018-mean:1', not {self.base[:100]!r}: choose one of them"
            )
        try:
            kind = load_codec(name)
        except CodecNotAvailableError as error:
            raise ValueError(f"base={self.base[:100]!r}: {error}") from error
        return kind(model=model or None, device=self.device)

    def _coders(self) -> tuple[BaseCoder, BaseCoder]:
        """Return the coder of what is kept, and that of the search."""
        from diffc.codecs.shared.base_pictures.av1_picture import FAST, Av1Coder
        from diffc.codecs.shared.base_pictures.coders import base_coder

        if self.base != "av1":
            coder = base_coder(self.base)
            return coder, coder
        if self.speed is not None:
            given = Av1Coder(speed=self.speed)
            return given, given
        return Av1Coder(), Av1Coder(speed=FAST)

    @classmethod
    def decode(cls, coded: Coded, options: DecodeOptions) -> Tensor:
        """Decode the base picture and restore it."""
        (picture,) = cls.decode_batch([coded], options)
        return picture

    @classmethod
    def decode_batch(cls, coded: Sequence[Coded], options: DecodeOptions) -> list[Tensor]:
        """Decode pictures, neighbours of equal size and model together."""
        import torch

        from diffc.codecs.relay.bitstream import OTHER_CODEC, RelayParameters
        from diffc.codecs.relay.codec_base import options_of_both
        from diffc.codecs.relay.decoder import base_decoder, enlarged_base, render
        from diffc.codecs.relay.kept_original import consistent_with_base
        from diffc.codecs.relay.model import RestoringModel
        from diffc.codecs.shared import models
        from diffc.progress import part_of

        made: list[Tensor] = []
        for (_, size), group in groupby(coded, lambda each: (each.fingerprint, each.size)):
            together = list(group)
            known = [RelayParameters.unpack(each.parameters) for each in together]
            ours = theirs = options
            if any(each.base == OTHER_CODEC for each in known):
                ours, theirs = options_of_both(options)
            model = models.recorded(RestoringModel, cls, together[0], ours)
            count = max(1, _BATCH_PIXELS // math.prod(s + -s % model.multiple for s in size))
            for start in range(0, len(together), count):
                part, found = together[start : start + count], known[start : start + count]
                pairs = list(zip(part, found, strict=True))
                bases = [enlarged_base(each.payload, each.size, of, theirs) for each, of in pairs]
                families = [base_decoder(of, theirs).family(each.payload) for each, of in pairs]
                progress = part_of(options.progress, len(made), len(part), len(coded))
                with torch.inference_mode():
                    shown = replace(options, progress=progress)
                    pictures = render(bases, found, families, model, shown)
                made += [
                    consistent_with_base(pixels, each.payload, of)
                    for pixels, (each, of) in zip(pictures, pairs, strict=True)
                ]
        return made

    @classmethod
    def file_inside(cls, coded: Coded) -> bytes:
        """Return the base picture as a file that other programs open."""
        from diffc.codecs.relay.bitstream import RelayParameters
        from diffc.codecs.relay.decoder import base_decoder
        from diffc.codecs.relay.rate_search import base_size

        known = RelayParameters.unpack(coded.parameters)
        small = base_size(coded.size, known.scale)
        return base_decoder(known, DecodeOptions()).file_of(coded.payload, small, grey=known.grey)
