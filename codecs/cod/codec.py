"""The ``cod`` codec: tokens of fixed length, from which a diffusion made for it draws the picture.

Compression-oriented diffusion (CoD, arXiv 2511.18706; CoD-Lite, arXiv 2604.12525).  A condition
encoder maps the picture to a grid of vectors, of which each is coded as the index of the nearest
code word.  The model's folder says what draws a picture from these: a transformer in many steps, for
pixels or latents, the same tuned to one step, or CoD-Lite's convolutions in one step.

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
    Picture,
    Progress,
    Rate,
    Traits,
    no_progress,
)
from diffc.codecs.shared.declarations import COD
from diffc.parameters import ByteWriter

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from diffc.codecs.cod.config import CodConfig
    from diffc.codecs.shared.cod.sizes import VelocityConfig


# of the noise that a picture is drawn from
_SEED = 0


@dataclass(frozen=True)
class CodCodec(Codec):
    """CoD with models that were fetched or converted; each has one rate."""

    name = "cod"
    description = "CoD: image tokens, and a diffusion made for them, of one step or of many"
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
        from diffc.codecs.shared.pictures import pad_picture
        from diffc.codecs.shared.tokens.fixed_length import pack
        from diffc.devices import device_of

        device = device_of(self.device)
        choice = chosen(choices(self.model, picture.size), rate)
        config = choice.config
        pixels = pad_picture(picture, config.multiple)
        progress(0, 1)
        encoder = models.load_once(CodEncoder, choice.folder, device)
        with torch.inference_mode():
            payload = pack(encoder.tokens(pixels), config.bits)
        progress(1, 1)
        return Encoded(payload, _parameters(config), models.fingerprint(choice.folder))

    @classmethod
    def decode(cls, coded: Coded, options: DecodeOptions) -> Tensor:
        """Map the tokens to a picture."""
        import torch

        from diffc.codecs.cod.folder import read_config
        from diffc.codecs.cod.rates import folder_for, grid_of
        from diffc.codecs.shared.pictures import check_padded_size, crop
        from diffc.codecs.shared.tokens.fixed_length import unpack

        folder = folder_for(coded.fingerprint, options)
        config = read_config(folder)
        coded.require(
            coded.parameters == _parameters(config),
            f"a file of this model has the parameters {_parameters(config).hex()}, not "
            f"{coded.parameters[:8].hex()}",
        )
        check_padded_size(coded.size, config.multiple)
        tokens = unpack(coded.payload, grid_of(config, coded.size), config.bits)
        with torch.inference_mode():
            return crop(_picture(folder, tokens, options), coded.size)


def _picture(folder: Path, tokens: Tensor, options: DecodeOptions) -> Tensor:
    """Return pixels (1, 3, H, W) in [0, 1] of tokens (rows, columns)."""
    from diffc.codecs.cod.model import CodDecoder
    from diffc.codecs.shared import models
    from diffc.codecs.shared.cod.folder import has_velocity_network
    from diffc.codecs.shared.cod.velocity_model import DEFAULT_STEPS, read_model
    from diffc.codecs.shared.diffusion.samplers import initial_noise
    from diffc.devices import device_of

    device = device_of(options.device)
    if has_velocity_network(folder):
        model = models.load_once(read_model, folder, device)
        made = model.draw(
            tokens,
            initial_noise(_SEED, model.shape((tokens.shape[0], tokens.shape[1])), device),
            steps=options.at_least_one_step(DEFAULT_STEPS),
            guidance=options.guidance,
            cache=options.cache or 1,
            progress=options.progress,
        )
        return model.synthesise(made)
    decoder = models.load_once(CodDecoder, folder, device)
    options.progress(0, 1)
    picture = decoder.picture(tokens)
    options.progress(1, 1)
    return picture.add_(1).mul_(0.5).clamp_(0, 1)


def _parameters(config: CodConfig | VelocityConfig) -> bytes:
    """Return the parameters of a file: what one has to know to read its tokens."""
    return ByteWriter().bits(config.bits - 1, 4).bits(config.stride.bit_length() - 1, 4).done()
