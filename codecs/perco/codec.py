"""The ``perco`` codec: a photograph in a hundred bytes of image tokens, and a picture made of them.

Vector-quantised tokens say what is where, and a diffusion model draws a picture that they could
have been taken from (PerCo, ICLR 2024).  The tokens are one coarse-to-fine sequence, of which every
prefix is a picture, so that one model serves all rates; all that is entropy-coded is integers.
"""

from __future__ import annotations

from typing import ClassVar

import torch
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
from diffc.codecs.perco import coding, packing
from diffc.codecs.perco import model as token_model
from diffc.codecs.perco.bitstream import PercoParameters
from diffc.codecs.perco.decoder import render
from diffc.codecs.perco.model import KIND, TokenModel
from diffc.codecs.perco.rates import Stream, at_quality, fit
from diffc.codecs.perco.settings import PercoSettings
from diffc.codecs.perco.tokeniser import Tokens
from diffc.codecs.shared import models as model_folder
from diffc.codecs.shared.pictures import padded, too_large
from diffc.devices import device_of

KINDS = (KIND, model_folder.PERCO_SD)


class PercoCodec(Codec):
    """Image tokens with the embedded model, or with a released one of PerCo (SD)."""

    name: ClassVar[str] = "perco"
    bitstream_version: ClassVar[int] = 1
    description: ClassVar[str] = "vector-quantised image tokens, and a picture sampled from them"
    models: ClassVar[tuple[str, ...]] = tuple(model_folder.EMBEDDED[KIND])
    weights_licence: ClassVar[str | None] = "MIT"
    capabilities: ClassVar[Capabilities] = Capabilities(
        continuous_rate=True, progressive=True, caption=True
    )
    settings_type: ClassVar[type[Settings]] = PercoSettings

    @torch.inference_mode()
    def encode(
        self,
        image: Tensor,
        settings: PercoSettings,
        rate: Rate,
        progress: Progress = no_progress,
    ) -> Encoded:
        """Find the tokens, and write as many of them as the rate allows."""
        device = device_of(settings.device)
        height, width = image.shape[1:]
        folder = model_folder.folder_of(settings.model, *KINDS)
        if model_folder.kind_of(folder) == model_folder.PERCO_SD:
            # only directories of released models need what it imports
            from diffc.codecs.perco_sd import coding as perco_sd_coding

            return perco_sd_coding.encode(image, settings, rate, folder, device)
        if complaint := too_large("the picture", width, height, TokenModel.multiple):
            raise ValueError(complaint)
        model = token_model.load(folder, device)
        progress(0, 2)
        tokens = model.analyse(padded(image[None], model.multiple).to(device))
        progress(1, 2)
        layout = model.layout(width, height)
        stream = Stream(layout, model.index, layout.sequence(tokens), settings.seed)
        count = at_quality(layout, rate.quality) if rate.room is None else fit(stream, rate.room)
        payload, parameters = stream.written(count)
        progress(2, 2)
        return Encoded(payload, parameters.pack(), model.fingerprint)

    @torch.inference_mode()
    def decode(self, coded: Coded, options: DecodeOptions) -> Tensor:
        """Read the tokens, and draw a picture that they could have been taken from."""
        found = PercoParameters.unpack(coded.parameters)
        width, height = coded.size
        device = device_of(options.device)
        folder = model_folder.folder_with(coded.fingerprint, options, *KINDS)
        if model_folder.kind_of(folder) == model_folder.PERCO_SD:
            from diffc.codecs.perco_sd import coding as perco_sd_coding

            return perco_sd_coding.decode(coded, found, folder, device, options)
        if complaint := too_large("the file's picture", width, height, TokenModel.multiple):
            raise OSError(complaint)
        model = token_model.load(folder, device)
        layout = model.layout(width, height)
        if found.modelled:
            sequence = coding.decode(
                layout, model.index, coded.payload, found.count, truncated=coded.truncated
            )
        else:
            sequence = packing.unpack(layout, coded.payload, found.count, truncated=coded.truncated)
        tokens = layout.tokens(sequence)
        there = Tokens(tokens.of_picture.to(device), tuple(g.to(device) for g in tokens.grids))
        present = [each.to(device) for each in layout.present(len(sequence))]
        pixels = render(model, there, present, found.seed, options)
        return pixels[0, :, :height, :width].float().cpu()
