"""JPEG files as bases: kept to the byte, and what is shown consistent with them."""

from __future__ import annotations

import io

import torch
from PIL import Image
from torch import Tensor

from diffc.codec import Encoded, Picture, Rate
from diffc.codecs.relay.bitstream import RelayParameters
from diffc.codecs.relay.jpeg_consistency import make_consistent
from diffc.codecs.relay.source_level import level_of_jpeg, mean_step
from diffc.codecs.shared.base_pictures.jpeg_file import (
    read_coefficients,
    read_jpeg_header,
    steps_of,
)
from diffc.codecs.shared.base_pictures.whole_files import JpegCoder
from diffc.errors import FileError, OptionError, RateError

_CODER = JpegCoder()


def encode_original(picture: Picture, rate: Rate, seed: int) -> Encoded:
    """Keep the JPEG file that a picture was opened from; there is one size that it can have.

    Raises
    ------
    OptionError
        If the picture was opened from no JPEG file, or has been changed since.
    RateError
        If the file is longer than what is asked for.
    """
    file = picture.source
    if file is None or not file.startswith(b"\xff\xd8"):
        raise OptionError(
            "keep_original keeps the JPEG file that an image was opened from, and this image was "
            "opened from none or is not as it was there: open the file by its path, and save that, "
            "with icc_profile= if it has one"
        )
    header = read_jpeg_header(file)
    if not header.luma_and_color:
        raise OptionError(
            "keep_original keeps JPEG files of luma and colour, and this one is of another kind: "
            "leave it out"
        )
    with Image.open(io.BytesIO(file), formats=["JPEG"]) as shown:
        level = level_of_jpeg(shown, mean_step(steps_of(file, header)))
    grey = len(header.sampling) == 1
    parameters = RelayParameters(_CODER.identifier, 1.0, grey, level, seed).pack()
    payload = _CODER.keep(file)
    if rate.bounded and len(payload) > rate.room(len(parameters)):
        length = len(payload) + len(parameters)
        raise RateError(length, length)
    return Encoded(payload, parameters)


def consistent_with_base(pixels: Tensor, payload: bytes, known: RelayParameters) -> Tensor:
    """Return pixels (3, H, W) in [0, 1] which a JPEG base of the picture's size could be of.

    Those of other bases come back as they are.
    """
    if known.base != _CODER.identifier or known.scale != 1:
        return pixels
    file = _CODER.file_of(payload)
    header = read_jpeg_header(file)
    height, width = pixels.shape[1:]
    plain = header.luma_and_color and known.grey == (len(header.sampling) == 1)
    if not plain or header.size != (width, height):
        raise FileError("the JPEG inside is none that is kept here: the file is damaged")
    values = pixels.mul(255).round_().to(torch.uint8).permute(1, 2, 0)
    array = (values[:, :, 0] if known.grey else values).contiguous().numpy()
    moved, _ = make_consistent(array, header, read_coefficients(file, header))
    made = torch.from_numpy(moved).float().div_(255)
    return made.expand(3, -1, -1) if known.grey else made.permute(2, 0, 1)
