"""The ``cod`` codec: CoD-Lite, tokens of fixed length and one step of a convolutional diffusion.

Compression-oriented diffusion (CoD, arXiv 2511.18706; CoD-Lite, arXiv 2604.12525).  A condition
encoder maps the picture to a grid of vectors, of which each is coded as the index of the nearest
code word; a network that was distilled to one step makes the picture from these.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from diffc.codec import (
    Codec,
    Coded,
    DecodeOptions,
    Encoded,
    Progress,
    Rate,
    Settings,
    no_progress,
)
from diffc.codecs.cod import model
from diffc.codecs.cod.config import CodConfig
from diffc.codecs.cod.rates import choices, chosen, folder_for, grid_of
from diffc.codecs.shared.models import fingerprint
from diffc.codecs.shared.pictures import padded, too_large
from diffc.codecs.shared.tokens.fixed_length import pack, unpack
from diffc.devices import device_of


class CodCodec(Codec):
    """CoD-Lite with a model that the caller names."""

    name: ClassVar[str] = "cod"
    bitstream_version: ClassVar[int] = 1
    description: ClassVar[str] = "CoD-Lite: image tokens and a one-step diffusion network"

    @torch.inference_mode()
    def encode(
        self,
        image: Tensor,
        settings: Settings,
        rate: Rate,
        progress: Progress = no_progress,
    ) -> Encoded:
        """Choose the model that the rate asks for, and map the picture to its tokens."""
        height, width = image.shape[1:]
        device = device_of(settings.device)
        choice = chosen(choices(settings.model, (width, height)), rate)
        if complaint := too_large("the picture", width, height, choice.config.multiple):
            raise ValueError(complaint)
        progress(0, 1)
        encoder = model.load_encoder(choice.folder, device)
        tokens = encoder.tokens(padded(image[None], choice.config.multiple))
        payload = pack(tokens, choice.config.bits)
        progress(1, 1)
        return Encoded(payload, _parameters(choice.config), fingerprint(choice.folder))

    @torch.inference_mode()
    def decode(self, coded: Coded, options: DecodeOptions) -> Tensor:
        """Map the tokens to a picture."""
        width, height = coded.size
        device = device_of(options.device)
        decoder = model.load_decoder(folder_for(coded.fingerprint, options), device)
        config = decoder.config
        if coded.parameters != _parameters(config):
            raise OSError(
                f"a file of this model has the parameters {_parameters(config).hex()}, not "
                f"{coded.parameters[:8].hex()}: the file is damaged"
            )
        if complaint := too_large("the file's picture", width, height, config.multiple):
            raise OSError(complaint)
        tokens = unpack(coded.payload, grid_of(config, coded.size), config.bits)
        options.progress(0, 1)
        picture = decoder.picture(tokens)[0, :, :height, :width].cpu()
        options.progress(1, 1)
        return picture.add_(1).mul_(0.5).clamp_(0, 1)


def _parameters(config: CodConfig) -> bytes:
    """Return the parameters of a file: what one has to know to read its tokens."""
    return bytes([(config.stride.bit_length() - 1) << 4 | config.bits - 1])
