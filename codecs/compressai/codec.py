"""The ``compressai`` codec: the learned codecs of CompressAI's zoo, as files that open elsewhere.

Transforms and entropy models are CompressAI's (arXiv 2011.03029); the container, the tables as
integers, and the check that a machine computes what the encoder has computed are ours.

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
from diffc.parameters import ByteReader, ByteWriter

if TYPE_CHECKING:
    from torch import Tensor

    from diffc.codecs.compressai.rates import Setting

COMPRESSAI = ModelKind("compressai", converter="diffc.codecs.compressai.convert:write_model")


@dataclass(frozen=True)
class CompressAICodec(Codec):
    """Models of CompressAI's zoo that were converted; the rate chooses the quality, or the gain."""

    name = "compressai"
    description = "learned codecs of CompressAI's zoo: bmshj2018, mbt2018, cheng2020"
    traits = Traits(generative=False)
    kinds = (COMPRESSAI,)
    needs = ("torch", "compressai")
    extra = "compressai"
    number = 8

    def encode(self, picture: Picture, rate: Rate, progress: Progress = no_progress) -> Encoded:
        """Code the picture with the best of the settings that the rate allows."""
        from diffc.codecs.compressai.rates import settings

        ladder = settings(self.model)
        progress(0, 1)
        made = rate.largest(ladder, lambda setting: self._coded(picture, setting))
        progress(1, 1)
        return made

    def _coded(self, picture: Picture, setting: Setting) -> Encoded:
        from diffc.codecs.compressai.model import ZooModel
        from diffc.codecs.shared import models
        from diffc.codecs.shared.pictures import pad_picture
        from diffc.devices import device_of

        model = models.load_once(ZooModel, setting.folder, device_of(self.device))
        pixels = pad_picture(picture, model.config.multiple)
        strings = model.encode(pixels.contiguous(), setting.gain)
        writer = ByteWriter()
        if model.config.variable:
            writer.varint(setting.gain)
        if model.config.hyper:
            writer.varint(len(strings.first))
            writer.number(int.from_bytes(strings.mark, "big"), len(strings.mark))
        mark = models.fingerprint(setting.folder)
        return Encoded(strings.first + strings.second, writer.done(), mark)

    @classmethod
    def decode(cls, coded: Coded, options: DecodeOptions) -> Tensor:
        """Read the latent, and make the picture of it."""
        from diffc.codecs.compressai.latents import CHECKSUM_BYTES
        from diffc.codecs.compressai.model import Strings, ZooModel
        from diffc.codecs.compressai.rates import folder_for
        from diffc.codecs.shared import models
        from diffc.codecs.shared.pictures import check_padded_size, crop
        from diffc.devices import device_of

        folder = folder_for(coded.fingerprint, options)
        model = models.load_once(ZooModel, folder, device_of(options.device))
        check_padded_size(coded.size, model.config.multiple)
        reader, payload = ByteReader(coded.parameters), coded.payload
        gain = reader.varint(model.gains) if model.config.variable else 0
        strings = Strings(payload)
        if model.config.hyper:
            first = reader.varint(len(payload) + 1)
            mark = reader.number(CHECKSUM_BYTES).to_bytes(CHECKSUM_BYTES, "big")
            strings = Strings(payload[:first], payload[first:], mark)
        reader.done()
        steps = model.rows(coded.size) + 1
        options.progress(0, steps)
        latent = model.latent(strings, coded.size, lambda row: options.progress(row, steps), gain)
        pixels = crop(model.pixels(latent), coded.size)
        options.progress(steps, steps)
        return pixels
