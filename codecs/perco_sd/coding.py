"""Files of ``perco`` with a released PerCo (SD) model: one grid of tokens, a caption, a fixed rate."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from diffc.codec import Coded, DecodeOptions, Encoded, Rate
from diffc.codecs.perco.bitstream import PercoParameters
from diffc.codecs.perco.settings import PercoSettings
from diffc.codecs.perco_sd import model as perco_sd_model
from diffc.codecs.shared.pictures import padded, too_large
from diffc.codecs.shared.tokens.fixed_length import pack, payload_length, unpack
from diffc.errors import OptionError, RateError


def encode(
    image: Tensor, settings: PercoSettings, rate: Rate, folder: Path, device: str
) -> Encoded:
    """Code a picture (3, H, W); the directory decides about the rate, see `diffc.codec.Codec`."""
    model = perco_sd_model.load(folder, device)
    height, width = image.shape[1:]
    if complaint := too_large("the picture", width, height, model.multiple):
        raise ValueError(complaint)
    try:
        model.check_caption(settings.caption or "")
    except ValueError as error:
        raise OptionError(f"{error}") from error
    rows, columns = model.grid(width, height)
    parameters = PercoParameters(rows * columns, False, settings.seed).pack()
    length = payload_length(rows * columns, model.bits)
    if rate.room is not None and rate.room(len(parameters), True) < length:
        raise RateError(len(parameters) + length, len(parameters) + length)
    tokens = model.tokens(padded(image[None], model.multiple).to(device))
    return Encoded(pack(tokens, model.bits), parameters, model.fingerprint)


def decode(
    coded: Coded, found: PercoParameters, folder: Path, device: str, options: DecodeOptions
) -> Tensor:
    """Draw a file's picture, (3, H, W)."""
    model = perco_sd_model.load(folder, device)
    width, height = coded.size
    if complaint := too_large("the file's picture", width, height, model.multiple):
        raise OSError(complaint)
    rows, columns = grid = model.grid(width, height)
    if found.modelled or found.count != rows * columns:
        raise OSError(
            f"a picture of this size has {rows * columns} tokens of fixed length with this model, "
            f"not {found.count}: the file is damaged"
        )
    if coded.truncated:
        raise OSError("a file of this model has one grid of tokens, and decodes whole only")
    tokens = unpack(coded.payload, grid, model.bits)
    if int(tokens.max()) >= model.words:
        raise OSError(f"a token is below {model.words}, one here is not: the file is damaged")
    if options.realism is not None and options.realism < 1:
        raise OptionError(
            f"a released PerCo model draws all of a picture, realism={options.realism} cannot "
            "hold: leave it out"
        )
    pixels = model.render(tokens, coded.caption or "", found.seed, options)
    return pixels[0, :, :height, :width].float().cpu()
