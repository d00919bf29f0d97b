"""The ``cod`` codec: CoD-Lite, tokens of fixed length and one step of a convolutional diffusion.

Compression-oriented diffusion (CoD, arXiv 2511.18706; CoD-Lite, arXiv 2604.12525).  A condition
encoder maps the picture to a grid of vectors, of which each is coded as the index of the nearest
code word; a network that was distilled to one step makes the picture from these.

What loads numpy and torch is imported inside methods, so that lists may read the declaration.
"""

from __future__ import annotations

from dataclasses import dataclass
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
)
from diffc.parameters import ByteWriter

if TYPE_CHECKING:
    from torch import Tensor

    from diffc.codecs.cod.config import CodConfig

COD = ModelKind(
    "cod",
    converter="diffc.codecs.cod.convert:write_model",
    published="diffc.codecs.cod:models.json",
)


@dataclass(frozen=True)
class CodCodec(Codec):
    """CoD-Lite with models that were fetched or converted; each has one rate."""

    name = "cod"
    description = "CoD-Lite: image tokens and a one-step diffusion network"
    traits = Traits(generative=True)
    kinds = (COD,)
    needs = ("torch",)
    number = 4

    def encode(self, picture: Picture, rate: Rate, progress: Progress = no_progress) -> Encoded:
        """Choose the model that the rate asks for, and map the picture to its tokens."""
        import torch

        from diffc.codecs.cod.model import CodEncoder
        from diffc.codecs.cod.rates import choices, chosen
        from diffc.codecs.shared import models
        from diffc.codecs.shared.pictures import padded, too_large
        from diffc.codecs.shared.tokens.fixed_length import pack
        from diffc.devices import device_of

        device = device_of(self.device)
        choice = chosen(choices(self.model, picture.size), rate)
        config = choice.config
        if complaint := too_large("the picture", *picture.size, config.multiple):
            raise ValueError(complaint)
        progress(0, 1)
        encoder = models.load_once(CodEncoder, choice.folder, device)
        with torch.inference_mode():
            tokens = encoder.tokens(padded(picture.pixels[None], config.multiple))
        payload = pack(tokens, config.bits)
        progress(1, 1)
        return Encoded(payload, _parameters(config), models.fingerprint(choice.folder))

    @classmethod
    def decode(cls, coded: Coded, options: DecodeOptions) -> Tensor:
        """Map the tokens to a picture."""
        import torch

        from diffc.codecs.cod.model import CodDecoder
        from diffc.codecs.cod.rates import folder_for, grid_of
        from diffc.codecs.shared import models
        from diffc.codecs.shared.pictures import too_large
        from diffc.codecs.shared.tokens.fixed_length import unpack
        from diffc.devices import device_of

        width, height = coded.size
        folder = folder_for(coded.fingerprint, options)
        decoder = models.load_once(CodDecoder, folder, device_of(options.device))
        config = decoder.config
        coded.require(
            coded.parameters == _parameters(config),
            f"a file of this model has the parameters {_parameters(config).hex()}, not "
            f"{coded.parameters[:8].hex()}",
        )
        if complaint := too_large("the file's picture", width, height, config.multiple):
            raise OSError(complaint)
        tokens = unpack(coded.payload, grid_of(config, coded.size), config.bits)
        options.progress(0, 1)
        with torch.inference_mode():
            picture = decoder.picture(tokens)[0, :, :height, :width].cpu()
            options.progress(1, 1)
            return picture.add_(1).mul_(0.5).clamp_(0, 1)


def _parameters(config: CodConfig) -> bytes:
    """Return the parameters of a file: what one has to know to read its tokens."""
    return ByteWriter().bits(config.bits - 1, 4).bits(config.stride.bit_length() - 1, 4).done()
