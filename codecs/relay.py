"""The ``relay`` codec: a standard's intra picture as base, restored by few steps of diffusion.

Relay residual diffusion (RDEIC, arXiv 2410.02640): decoding starts from the base picture plus
noise of its own error's size, and residual and noise leave together.  All that is entropy-coded
is the base, whose decoder is exact by specification; what is rendered may differ by rounding.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import ClassVar

import numpy as np
import torch
from PIL import Image
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
from diffc.codecs import model_folder, restoring_model
from diffc.codecs.base_pictures import base_coder
from diffc.codecs.base_search import Trials, at_quality, base_size, fit, smallest
from diffc.codecs.picture_tensors import grey_or_color, padded, to_unit
from diffc.codecs.relay_diffusion import ratios
from diffc.codecs.relay_settings import SCALES, RelaySettings
from diffc.codecs.restoring_model import KIND
from diffc.codecs.texture import texture
from diffc.devices import device_of
from diffc.errors import RateError
from diffc.noise import Purpose, random_normals

DEFAULT_STEPS = 2
# what of the missing detail's deviation is drawn: all of it would be as strong as a photograph's,
# but twice the error; see docs/relay.md
TEXTURE = 0.3

# bits of the first byte: base (3), scale (2), grey, seed follows; then the level; then the seed
_PARAMETERS = struct.Struct(">BB")
_SEED = struct.Struct(">I")
# a step of the level is a 24th of an octave, 3 %
_LEVELS = 24
_BATCH_PIXELS = 1 << 21
_NOISE_PIXELS = 1 << 19


@dataclass(frozen=True)
class _Parameters:
    base: int
    scale: float
    grey: bool
    level: float
    seed: int

    def pack(self) -> bytes:
        first = self.base | SCALES.index(self.scale) << 3 | self.grey << 5 | bool(self.seed) << 6
        code = min(max(round(-_LEVELS * math.log2(max(self.level, 1e-9))), 0), 255)
        packed = _PARAMETERS.pack(first, code)
        return packed + _SEED.pack(self.seed) if self.seed else packed

    @classmethod
    def unpack(cls, data: bytes) -> _Parameters:
        if len(data) < _PARAMETERS.size:
            raise OSError(f"relay has 2 or 6 parameter bytes, not {len(data)}: the file is damaged")
        first, code = _PARAMETERS.unpack_from(data)
        seeded = bool(first >> 6 & 1)
        expected = _PARAMETERS.size + (_SEED.size if seeded else 0)
        if first >> 7 or len(data) != expected:
            raise OSError(
                f"relay's parameters {data[:8].hex()} are none of this version: the file is "
                "damaged, or update diffc"
            )
        seed = _SEED.unpack_from(data, _PARAMETERS.size)[0] if seeded else 0
        level = 2.0 ** (-code / _LEVELS)
        return cls(first & 7, SCALES[first >> 3 & 3], bool(first >> 5 & 1), level, seed)


class RelayCodec(Codec):
    """An AV1 picture, restored by relay diffusion with the embedded model."""

    name: ClassVar[str] = "relay"
    bitstream_version: ClassVar[int] = 1
    description: ClassVar[str] = "relay residual diffusion from an AV1 picture"
    models: ClassVar[tuple[str, ...]] = tuple(model_folder.EMBEDDED[KIND])
    weights_licence: ClassVar[str | None] = "MIT"
    capabilities: ClassVar[Capabilities] = Capabilities()
    settings_type: ClassVar[type[Settings]] = RelaySettings

    def encode(
        self,
        image: Tensor,
        settings: RelaySettings,
        rate: Rate,
        progress: Progress = no_progress,
    ) -> Encoded:
        """Code the base picture that fits the rate, and measure its error."""
        folder = model_folder.folder_of(settings.model, KIND)
        fingerprint = model_folder.fingerprint(folder)
        device_of(settings.device)
        coder = base_coder(settings.base)
        picture = grey_or_color(image)
        trials = Trials(coder, picture, settings.scale)
        length = _PARAMETERS.size + (_SEED.size if settings.seed else 0)
        progress(0, 2)
        if rate.room is None:
            scale, index = at_quality(trials, rate.quality)
        else:
            found = fit(trials, rate.room(length, True))
            if found is None:
                _, least = smallest(trials)
                most = trials.length(trials.scales[0], trials.last)
                raise RateError(length + least, length + most)
            scale, index = found
        progress(1, 2)
        coded = trials.coded(scale, index)
        grey = picture.mode == "L"
        base = coder.decode(coded, base_size(picture.size, scale), grey=grey)
        parameters = _Parameters(
            coder.identifier, scale, grey, _level(picture, base), settings.seed
        )
        progress(2, 2)
        return Encoded(coded, parameters.pack(), fingerprint)

    def decode(self, coded: Coded, options: DecodeOptions) -> Tensor:
        """Decode the base picture and restore it."""
        (picture,) = self.decode_batch([coded], options)
        return picture

    @torch.inference_mode()
    def decode_batch(self, coded: Sequence[Coded], options: DecodeOptions) -> list[Tensor]:
        """Decode pictures, those of equal size and model together."""
        made: list[Tensor] = []
        for (fingerprint, size), group in groupby(coded, lambda c: (c.fingerprint, c.size)):
            device = device_of(options.device)
            folder = model_folder.folder_with(fingerprint, options, KIND)
            model = restoring_model.load(folder, device)
            together = list(group)
            multiple = model.multiple
            count = _BATCH_PIXELS // math.prod(side + -side % multiple for side in size)
            count = max(1, count)
            for start in range(0, len(together), count):
                made += _restored(together[start : start + count], model, options)
        return made


def _restored(
    coded: Sequence[Coded], model: restoring_model.RestoringModel, options: DecodeOptions
) -> list[Tensor]:
    """Restore pictures of equal size."""
    width, height = coded[0].size
    found = [_Parameters.unpack(each.parameters) for each in coded]
    base = torch.stack(
        [_base(each.payload, each.size, p) for each, p in zip(coded, found, strict=True)]
    )
    base = padded(base, model.multiple).to(model.device)
    realism = 1.0 if options.realism is None else options.realism
    if realism > 0:
        seeds = {p.seed: _noise(p.seed, base.shape[2:], model.device) for p in found}
        noise = torch.stack([seeds[p.seed] for p in found])
        del seeds
        level = torch.tensor([p.level for p in found], device=model.device)
        scale = torch.tensor([p.scale for p in found], device=model.device)
        path = ratios(level, options.steps or DEFAULT_STEPS)
        restored, deviation = model.restore(base, noise, level, scale, path, options.progress)
        base.lerp_(restored, realism)
        planes = {p.seed: _plane(p.seed, base.shape[2:], model.device) for p in found}
        grain = texture(torch.stack([planes[p.seed] for p in found]), deviation)
        base.add_(grain, alpha=TEXTURE * realism)
    pixels = base[:, :, :height, :width].add_(1).mul_(0.5).clamp_(0, 1)
    return [
        _without_color(made) if p.grey else made
        for made, p in zip(pixels.cpu(), found, strict=True)
    ]


def _base(payload: bytes, size: tuple[int, int], parameters: _Parameters) -> Tensor:
    coder = base_coder(parameters.base)
    base = coder.decode(payload, base_size(size, parameters.scale), grey=parameters.grey)
    return to_unit(base.resize(size, Image.Resampling.BICUBIC))


def _without_color(pixels: Tensor) -> Tensor:
    return pixels.mean(0, keepdim=True).expand(3, -1, -1)


def _level(picture: Image.Image, base: Image.Image) -> float:
    """Return the root mean square error of the base for pixels in [-1, 1]."""
    enlarged = base.resize(picture.size, Image.Resampling.BICUBIC)
    first, second = (np.asarray(each) for each in (picture, enlarged))
    total = 0
    # rows at a time, for memory; a sum of integers is the same in any order
    for top in range(0, len(first), 256):
        ours, theirs = (each[top : top + 256].astype(np.int32) for each in (first, second))
        total += int(np.square(ours - theirs).sum(dtype=np.int64))
    return math.sqrt(total / first.size) / 127.5


def _noise(seed: int, size: torch.Size, device: str) -> Tensor:
    return _normals(seed, Purpose.INITIAL, 3, size, device)


def _plane(seed: int, size: torch.Size, device: str) -> Tensor:
    return _normals(seed, Purpose.TEXTURE, 1, size, device)


def _normals(seed: int, purpose: Purpose, channels: int, size: torch.Size, device: str) -> Tensor:
    """Return normals (channels, rows, columns) for a padded picture.

    Row y is the stream of index y, in which channel c begins at element c times the columns.
    """
    rows, columns = size
    noise = torch.empty(channels, rows, columns, device=device)
    # a few rows at a time: making them takes six times the memory of the result
    several = max(1, _NOISE_PIXELS // columns)
    for top in range(0, rows, several):
        indices = torch.arange(top, min(rows, top + several))
        made = random_normals(seed, purpose, 0, indices, channels * columns, device)
        noise[:, top : top + several] = made.reshape(-1, channels, columns).permute(1, 0, 2)
    return noise
