"""The ``perco-sd`` codec: PerCo (SD), one grid of tokens and a caption, drawn by Stable Diffusion.

PerCo (arXiv 2310.10325) as released by others (arXiv 2409.20255): the directory of a model decides
about the rate.  See `diffc.codecs.perco_sd.model`.

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
from diffc.errors import OptionError, RateError
from diffc.parameters import ByteReader, ByteWriter

if TYPE_CHECKING:
    from torch import Tensor

PERCO_SD = ModelKind(
    "perco-sd",
    mark="hyper_enc/config.json",
    parts=(("unet",), ("hyper_enc",), ("vae",)),
    # without a caption, the text is the empty one
    texts=True,
    published="diffc.codecs.perco_sd:models.json",
)
_MOST_TOKENS = 1 << 28


@dataclass(frozen=True)
class PercoSdCodec(Codec):
    """A released PerCo (SD) model."""

    name = "perco-sd"
    description = "PerCo (SD): a grid of tokens and a caption, drawn by Stable Diffusion"
    traits = Traits(generative=True, caption=True)
    kinds = (PERCO_SD,)
    needs = ("torch", "diffusers", "transformers")
    extra = "models"
    number = 5

    caption: str | None = option(
        None,
        longest=MOST_CHARACTERS,
        help="what the picture shows, stored in the file: decoding draws by it; auto asks a "
        "captioning model",
    )
    seed: int = seed_option("the noise that decoding starts from")

    def encode(self, picture: Picture, rate: Rate, progress: Progress = no_progress) -> Encoded:
        """Map the picture to its tokens."""
        import torch

        from diffc.codecs.perco_sd.model import PercoSdModel
        from diffc.codecs.shared import models
        from diffc.codecs.shared.pictures import pad_picture
        from diffc.codecs.shared.tokens.fixed_length import pack, payload_length

        with torch.inference_mode():
            model = models.chosen(PercoSdModel, self)
            padded = pad_picture(picture, model.multiple)
            try:
                model.check_caption(self.caption or "")
            except ValueError as error:
                raise OptionError(f"{error}") from error
            rows, columns = model.grid(*picture.size)
            # the number of tokens over two bits, of which the lower says that a seed follows
            number = rows * columns << 2 | bool(self.seed)
            parameters = ByteWriter().varint(number).seed(self.seed).done()
            length = payload_length(rows * columns, model.bits)
            if rate.bounded and rate.room(len(parameters)) < length:
                raise RateError(len(parameters) + length, len(parameters) + length)
            progress(0, 1)
            tokens = model.tokens(padded)
            progress(1, 1)
            return Encoded(pack(tokens, model.bits), parameters, model.fingerprint)

    @classmethod
    def decode(cls, coded: Coded, options: DecodeOptions) -> Tensor:
        """Draw a picture that the tokens could have been taken from."""
        import torch

        from diffc.codecs.perco_sd.model import READERS
        from diffc.codecs.shared import models
        from diffc.codecs.shared.pictures import check_padded_size, crop
        from diffc.codecs.shared.tokens.fixed_length import unpack

        reader = ByteReader(coded.parameters)
        number = reader.varint(_MOST_TOKENS << 2)
        seed = reader.seed(stored=bool(number & 1))
        reader.done()
        with torch.inference_mode():
            model = models.recorded(READERS[options.precision], cls, coded, options)
            check_padded_size(coded.size, model.multiple)
            rows, columns = grid = model.grid(*coded.size)
            coded.require(
                number >> 1 == rows * columns << 1,
                f"a picture of this size has {rows * columns} tokens of fixed length with this "
                f"model, not {number >> 2}",
            )
            if coded.truncated:
                raise OSError("a file of this model has one grid of tokens, and decodes whole only")
            tokens = unpack(coded.payload, grid, model.bits)
            coded.require(
                int(tokens.max()) < model.words,
                f"a token is below {model.words}, and one here is not",
            )
            if options.realism is not None and options.realism < 1:
                raise OptionError(
                    "a released PerCo model draws all of a picture, "
                    f"realism={options.realism} cannot hold: leave it out"
                )
            return crop(model.render(tokens, coded.caption or "", seed, options), coded.size)
