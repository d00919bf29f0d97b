"""Restore pictures of other formats by relay's network: what `diffc.restore` does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from diffc.codec import DecodeOptions, Degraded
from diffc.codecs.relay.codec import RelayCodec
from diffc.codecs.relay.decoder import condition_of, without_color
from diffc.codecs.relay.decoder import restore as restore_bases
from diffc.codecs.relay.jpeg_consistency import make_consistent
from diffc.codecs.relay.model import RestoringModel
from diffc.codecs.relay.source_level import (
    find_jpeg,
    level_by_length,
    level_of_jpeg,
    mean_step,
)
from diffc.codecs.shared import models
from diffc.codecs.shared.base_pictures.jpeg_file import (
    Component,
    JpegHeader,
    read_coefficients,
    read_jpeg_header,
    steps_of,
)
from diffc.codecs.shared.pictures import PictureRows
from diffc.errors import FileError, OptionError

_FAMILIES = {"WEBP": "webp", "AVIF": "av1", "HEIF": "hevc", "JXL": "jxl"}
# of the noise; a picture restored twice is the same
_SEED = 0


@dataclass(frozen=True)
class _Known:
    """A picture's family and error, and where the grid of its blocks begins."""

    family: str
    level: float
    top: int = 0
    left: int = 0


def restore(degraded: Degraded, options: DecodeOptions) -> Image.Image:
    """Return the restored picture, of the mode and size of the one that came.

    Raises
    ------
    ValueError
        If it is to be consistent with a file that is no JPEG, or of a kind that is not read here.
    """
    header = _jpeg_header(degraded)
    followed = header is not None and header.luma_and_color and header.size == degraded.color.size
    if degraded.consistent and not followed:
        raise OptionError(
            "consistent=True needs the data of a JPEG file of luma and colour: pass the file, or "
            "leave consistent out"
        )
    known = _known(degraded, header)
    if known is None:
        return degraded.color.copy()
    made = _restored(degraded.color, known, options)
    if header is not None and followed and degraded.consistent is not False:
        made = _consistent(made, degraded, header)
    return made


def _jpeg_header(degraded: Degraded) -> JpegHeader | None:
    if degraded.format not in ("JPEG", "MPO") or degraded.data is None:
        return None
    try:
        return read_jpeg_header(degraded.data)
    except FileError:  # Pillow has decoded it, so it is of a kind that is not read here
        return None


def _known(degraded: Degraded, header: JpegHeader | None) -> _Known | None:
    color, strength = degraded.color, degraded.strength
    given = None if strength is None else strength / 127.5
    if header is not None and degraded.data is not None:
        level = given or level_of_jpeg(color, mean_step(steps_of(degraded.data, header)))
        return _Known("jpeg-420" if header.subsampled else "jpeg-444", level)
    if degraded.format in _FAMILIES and degraded.data is not None:
        level = given or level_by_length(color, len(degraded.data), degraded.format)
        return _Known(_FAMILIES[degraded.format], level)
    trace = find_jpeg(color)
    if trace is not None:
        level = given or level_of_jpeg(color, trace.step)
        return _Known("jpeg-420", level, trace.top, trace.left)
    return None if given is None else _Known("other", given)


def _restored(color: Image.Image, known: _Known, options: DecodeOptions) -> Image.Image:
    model = models.chosen(RestoringModel, RelayCodec(model=options.model, device=options.device))
    # blocks have to begin where they did when the model was trained
    above, before = -known.top % 8, -known.left % 8
    framed = _with_frame(color, above, before)
    condition = condition_of([known.level], [1.0], [known.family], model.device)
    with torch.inference_mode():
        base = PictureRows([framed], model.multiple, model.device)
        pixels = restore_bases(base, condition, [_SEED], model, options)[0]
        pixels = pixels[:, above : above + color.height, before : before + color.width].cpu()
        if color.mode == "L":
            values = without_color(pixels)[0].mul(255).round_().to(torch.uint8)
            return Image.fromarray(values.contiguous().numpy())
        values = pixels.mul(255).round_().to(torch.uint8).permute(1, 2, 0)
        return Image.fromarray(values.contiguous().numpy())


def _with_frame(color: Image.Image, above: int, before: int) -> Image.Image:
    if not above and not before:
        return color
    pixels = np.asarray(color)
    frame = ((above, 0), (before, 0), (0, 0))[: pixels.ndim]
    return Image.fromarray(np.pad(pixels, frame, mode="edge"))


def _consistent(made: Image.Image, degraded: Degraded, header: JpegHeader) -> Image.Image:
    assert degraded.data is not None  # the header is its own
    components: Sequence[Component] = read_coefficients(degraded.data, header)
    pixels, _ = make_consistent(np.asarray(made), header, components)
    return Image.fromarray(pixels)
