"""From base pictures to what ``relay`` shows: noise, restoration, texture, a strip at a time.

Of each picture two are held whole: the base as it is enlarged, in bytes, and the state, float32,
which becomes the result.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from PIL import Image
from torch import Tensor

from diffc.codec import DecodeOptions
from diffc.codecs.relay.bitstream import RelayParameters
from diffc.codecs.relay.diffusion import ratios
from diffc.codecs.relay.model import RestoringModel
from diffc.codecs.relay.texture import REACH, texture
from diffc.codecs.shared.pictures import PictureRows
from diffc.noise.streams import Purpose, random_normals

DEFAULT_STEPS = 1
# what of the missing detail's deviation is drawn in each band, the finest first: all of it would be
# as strong as a photograph's, but twice the error; see docs/relay.md
TEXTURE = (0.15, 0.2, 0.0)

# pixels of rows that are made at a time: normals take six times the memory of the result
_PIECE = 1 << 19


def render(
    pictures: Sequence[Image.Image],
    parameters: Sequence[RelayParameters],
    model: RestoringModel,
    options: DecodeOptions,
) -> list[Tensor]:
    """Restore pictures.

    Parameters
    ----------
    pictures : sequence of PIL.Image.Image
        Decoded bases, enlarged to one size.
    parameters : sequence of RelayParameters
        Of each.
    model : RestoringModel
        For all of them.
    options : DecodeOptions
        Of them count steps, realism and progress.

    Returns
    -------
    list of Tensor
        Pixels (3, height, width), float32 in [0, 1].
    """
    device = model.device
    base = PictureRows(pictures, model.multiple, device)
    state = torch.empty(base.shape, device=device)
    height, width = state.shape[2:]
    pieces = _pieces(height, width)
    realism = 1.0 if options.realism is None else options.realism
    if realism == 0:
        for rows in pieces:
            state[:, :, rows] = _pixels(base(rows))
    else:
        seeds = [each.seed for each in parameters]
        level = torch.tensor([each.level for each in parameters], device=device)
        scale = torch.tensor([each.scale for each in parameters], device=device)
        path = ratios(level, options.steps or DEFAULT_STEPS)
        shares = torch.tensor(TEXTURE, device=device)[None, :, None, None] * realism
        for rows in pieces:
            noise = _normals(seeds, Purpose.INITIAL, 3, rows, width, device)
            state[:, :, rows] = base(rows) + path[0][:, None, None, None] * noise

        def finish(rows: slice, base: Tensor, made: Tensor) -> Tensor:
            pixels = base.lerp_(made[:, :3], realism)
            for piece in _pieces(rows.stop - rows.start, width):
                first, last = rows.start + piece.start, rows.start + piece.stop
                around = slice(max(0, first - REACH), min(last + REACH, height))
                plane = _normals(seeds, Purpose.TEXTURE, 1, around, width, device)
                deviation = made[:, 3:, piece] * shares
                pixels[:, :, piece].add_(texture(plane, deviation, first - around.start))
            return _pixels(pixels)

        model.restore(state, base, level, scale, path, finish, options.progress)
    width, height = pictures[0].size
    found = state[:, :, :height, :width].cpu()
    return [
        _without_color(pixels) if each.grey else pixels
        for pixels, each in zip(found, parameters, strict=True)
    ]


def _pixels(values: Tensor) -> Tensor:
    """Map [-1, 1] to [0, 1]."""
    return values.add_(1).mul_(0.5).clamp_(0, 1)


def _without_color(pixels: Tensor) -> Tensor:
    return pixels.mean(0, keepdim=True).expand(3, -1, -1)


def _pieces(rows: int, columns: int) -> list[slice]:
    several = max(1, _PIECE // columns)
    return [slice(top, min(top + several, rows)) for top in range(0, rows, several)]


def _normals(
    seeds: Sequence[int], purpose: Purpose, channels: int, rows: slice, columns: int, device: str
) -> Tensor:
    """Return normals (N, channels, rows, columns) of rows of padded pictures.

    Row y is the stream of index y, in which channel c begins at element c times the columns.
    """
    made: dict[int, Tensor] = {}
    for seed in set(seeds):
        noise = torch.empty(channels, rows.stop - rows.start, columns, device=device)
        for piece in _pieces(rows.stop - rows.start, columns):
            indices = torch.arange(rows.start + piece.start, rows.start + piece.stop)
            normals = random_normals(seed, purpose, 0, indices, channels * columns, device)
            noise[:, piece] = normals.reshape(-1, channels, columns).permute(1, 0, 2)
        made[seed] = noise
    return torch.stack([made[seed] for seed in seeds])
