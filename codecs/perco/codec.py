"""The ``perco`` codec: a photograph in a hundred bytes of image tokens, and a picture made of them.

Vector-quantised tokens say what is where, and a diffusion model draws a picture that they could
have been taken from (PerCo, ICLR 2024).  The tokens are one coarse-to-fine sequence, of which every
prefix is a picture, so that one model serves all rates; all that is entropy-coded is integers.

What loads numpy and torch is imported inside methods, so that lists may read the declaration.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from diffc.captions import MOST_CHARACTERS
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
from diffc.codecs.shared.declarations import seed_option
from diffc.registry import load_codec

if TYPE_CHECKING:
    from torch import Tensor

TOKENS = ModelKind("tokens", embedded={"tiny": "diffc.codecs:weights/perco-tiny"})
# their files had this codec's name before they had one of their own
_RELEASED = "perco-sd"


@dataclass(frozen=True)
class PercoCodec(Codec):
    """Image tokens with the embedded model."""

    name = "perco"
    description = "vector-quantised image tokens, and a picture sampled from them"
    traits = Traits(generative=True, continuous_rate=True, progressive=True, caption=True)
    kinds = (TOKENS,)
    weights_licence = "MIT"
    needs = ("torch",)
    rates = (0.0007, 0.13)
    number = 3

    caption: str | None = option(
        None,
        longest=MOST_CHARACTERS,
        help="what the picture shows, stored in the file; auto asks a captioning model. The embedded "
        "model has no text encoder, and does not draw by it",
    )
    seed: int = seed_option("the noise that decoding starts from")

    def encode(self, picture: Picture, rate: Rate, progress: Progress = no_progress) -> Encoded:
        """Find the tokens, and write as many of them as the rate allows."""
        import torch

        from diffc.codecs.perco.model import TokenModel
        from diffc.codecs.perco.rates import Stream, at_quality, fit
        from diffc.codecs.shared import models
        from diffc.codecs.shared.pictures import pad_picture

        padded = pad_picture(picture, TokenModel.multiple)
        model = models.chosen(TokenModel, self)
        progress(0, 2)
        with torch.inference_mode():
            tokens = model.analyse(padded.to(model.device))
            progress(1, 2)
            layout = model.layout(*picture.size)
            stream = Stream(layout, model.index, layout.sequence(tokens), self.seed)
            count = fit(stream, rate) if rate.bounded else at_quality(layout, rate.quality)
            payload, parameters = stream.encode(count)
        progress(2, 2)
        return Encoded(payload, parameters.pack(), model.fingerprint)

    @classmethod
    def decode(cls, coded: Coded, options: DecodeOptions) -> Tensor:
        """Read the tokens, and draw a picture that they could have been taken from."""
        import torch

        from diffc.codecs.perco import coding, packing
        from diffc.codecs.perco.bitstream import PercoParameters
        from diffc.codecs.perco.decoder import render
        from diffc.codecs.perco.model import TokenModel
        from diffc.codecs.shared import models
        from diffc.codecs.shared.pictures import check_padded_size, crop
        from diffc.devices import device_of

        found = PercoParameters.unpack(coded.parameters)
        folder = models.folder_with(coded.fingerprint, options, TOKENS.name, _RELEASED)
        if models.kind_of(folder) == _RELEASED:
            return load_codec(_RELEASED).decode(coded, options)
        check_padded_size(coded.size, TokenModel.multiple)
        model = models.load_once(TokenModel, folder, device_of(options.device))
        layout = model.layout(*coded.size)
        with torch.inference_mode():
            if found.modelled:
                sequence = coding.decode(
                    layout, model.index, coded.payload, found.count, truncated=coded.truncated
                )
            else:
                sequence = packing.unpack(
                    layout, coded.payload, found.count, truncated=coded.truncated
                )
            tokens = layout.tokens(sequence).to(model.device)
            present = [each.to(model.device) for each in layout.present(len(sequence))]
            return crop(render(model, tokens, present, found.seed, options), coded.size)
