"""From base pictures to what ``relay`` shows: noise and its removal, a strip at a time.

Of each picture two are held whole: the base as it is enlarged, in bytes, and the state, float32,
which becomes the result.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from PIL import Image
from torch import Tensor

from diffc.codec import DecodeOptions
from diffc.codecs.relay.bitstream import OTHER_CODEC, RelayParameters
from diffc.codecs.relay.codec_base import CodecBase
from diffc.codecs.relay.network import FAMILIES, Condition
from diffc.codecs.relay.rate_search import base_size
from diffc.codecs.shared.base_pictures.coders import BaseDecoder, base_coder
from diffc.codecs.shared.diffusion.samplers import add_noise
from diffc.codecs.shared.pictures import PictureRows
from diffc.codecs.shared.tiling.exact import strips
from diffc.errors import OptionError
from diffc.noise.streams import Purpose, random_normals

DEFAULT_REALISM = 0.5
"""Chosen by looking and by the measures of docs/relay.md."""

# pixels of rows that are made at a time: normals take six times the memory of the result
_PIECE = 1 << 19


class Denoiser(Protocol):
    """A network of base pictures and noisy states, with a bounded field of view.

    Its strips are `largest` rows high, and it is told `margin` rows above and below them; both, and
    the sides of states, are multiples of `multiple`.  Pictures whose sides are at most `whole` are
    not cut.
    """

    device: str
    multiple: int
    largest: int
    margin: int
    whole: int

    def denoise(self, x: Tensor, sigma: Tensor, base: Tensor, condition: Condition) -> Tensor:
        """Return the estimate of the photograph (N, 3, rows, W), about [-1, 1].

        Parameters
        ----------
        x, base : Tensor
            Rows of the state, base + sigma * noise, and of the base, (N, 3, rows, W).
        sigma : Tensor
            The state's noise level (N,); the more noise, the more natural is the estimate, and
            without any it is that of least squared error.
        condition : Condition
            What is known of the bases.
        """


def render(
    pictures: Sequence[Image.Image],
    parameters: Sequence[RelayParameters],
    families: Sequence[str],
    model: Denoiser,
    options: DecodeOptions,
) -> list[Tensor]:
    """Restore pictures.

    Parameters
    ----------
    pictures : sequence of PIL.Image.Image
        Decoded bases, enlarged to one size.
    parameters : sequence of RelayParameters
        Of each.
    families : sequence of str
        What the errors of each are like, one of `FAMILIES`.
    model : Denoiser
        For all of them.
    options : DecodeOptions
        Of them count steps, realism and progress.

    Returns
    -------
    list of Tensor
        Pixels (3, height, width), float32 in [0, 1].

    Raises
    ------
    ValueError
        If more than one step is asked for.
    """
    condition = condition_of(
        [each.level for each in parameters],
        [each.scale for each in parameters],
        families,
        model.device,
    )
    base = PictureRows(pictures, model.multiple, model.device)
    made = restore(base, condition, [each.seed for each in parameters], model, options)
    width, height = pictures[0].size
    found = made[:, :, :height, :width].cpu()
    return [
        without_color(pixels) if each.grey else pixels
        for pixels, each in zip(found, parameters, strict=True)
    ]


def restore(
    base: PictureRows,
    condition: Condition,
    seeds: Sequence[int],
    model: Denoiser,
    options: DecodeOptions,
) -> Tensor:
    """Relay residual diffusion (RDEIC, arXiv 2410.02640, equations 4 to 9), in one step.

    In variance-exploding form: with z_n the paper's state and ab_n its cumulative alpha, here
    y_n = z_n / sqrt(ab_n) and r_n = sqrt((1 - ab_n) / ab_n); z_c is the base, z0hat the estimate.

        start     y_N = z_c + r_N eps
        end       y_0 = z0hat(y_N, r_N)       (DDIM from r_N to 0)

    Residual and noise leave together.  The paper sets r_N by the rate; here it is the error of the
    base, times the realism that is asked for.

    Parameters
    ----------
    base : PictureRows
        z_c, rows of bases of one size.
    condition : Condition
        What is known of each.
    seeds : sequence of int
        Of the noise of each.
    model : Denoiser
        Estimates z_0.
    options : DecodeOptions
        Of them count steps, progress, and realism: from 0, the picture of least squared error, to
        1, the most natural one.

    Returns
    -------
    Tensor
        Pixels (N, 3, H, W) in [0, 1], with the padding of the base.

    Raises
    ------
    ValueError
        If more than one step is asked for.
    """
    if options.steps not in (None, 1):
        raise OptionError(
            f"relay restores in one step, not in {options.steps}: leave steps out, or set realism"
        )
    realism = DEFAULT_REALISM if options.realism is None else options.realism
    height, width = base.shape[2:]
    r_N = realism * condition.level
    options.progress(0, 1)

    y = torch.empty(base.shape, dtype=torch.float32, device=model.device)
    for rows in _pieces(height, width):
        z_c = base(rows)
        if realism:
            eps = _normals(seeds, Purpose.INITIAL, 3, rows, width, model.device)
            z_c = add_noise(z_c, eps, r_N)
        y[:, :, rows] = z_c

    largest = model.largest if max(height, width) > model.whole else model.whole
    for strip in strips(y, largest=largest, margin=model.margin, multiple=model.multiple):
        z0hat = model.denoise(strip.window, r_N, base(strip.around), condition)
        y[:, :, strip.rows] = _pixels(strip.inner(z0hat))
    options.progress(1, 1)
    return y


def base_decoder(parameters: RelayParameters, options: DecodeOptions) -> BaseDecoder:
    """Return what decodes a file's base; the options are for a codec that has coded it."""
    number = parameters.base
    return CodecBase(options) if number == OTHER_CODEC else base_coder(number)


def enlarged_base(
    payload: bytes,
    size: tuple[int, int],
    parameters: RelayParameters,
    options: DecodeOptions | None = None,
) -> Image.Image:
    """Return z_c: a file's base picture, decoded and enlarged to a size (width, height)."""
    coder = base_decoder(parameters, options or DecodeOptions())
    small = base_size(size, parameters.scale)
    base = coder.decode(payload, small, grey=parameters.grey)
    return base.resize(size, Image.Resampling.BICUBIC)


def condition_of(
    levels: Sequence[float], scales: Sequence[float], families: Sequence[str], device: str
) -> Condition:
    """Return what is known of bases as tensors; families are names of `FAMILIES`."""
    numbers = [FAMILIES.index(each) for each in families]
    return Condition(
        torch.tensor(levels, dtype=torch.float32, device=device),
        torch.tensor(scales, dtype=torch.float32, device=device),
        torch.tensor(numbers, device=device),
    )


def _pixels(values: Tensor) -> Tensor:
    """Map [-1, 1] to [0, 1]."""
    return values.add_(1).mul_(0.5).clamp_(0, 1)


def without_color(pixels: Tensor) -> Tensor:
    """Return pixels (3, H, W) whose channels are all their mean."""
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
        noise = torch.empty(
            channels, rows.stop - rows.start, columns, dtype=torch.float32, device=device
        )
        for piece in _pieces(rows.stop - rows.start, columns):
            indices = torch.arange(rows.start + piece.start, rows.start + piece.stop)
            normals = random_normals(seed, purpose, 0, indices, channels * columns, device)
            noise[:, piece] = normals.reshape(-1, channels, columns).permute(1, 0, 2)
        made[seed] = noise
    return torch.stack([made[seed] for seed in seeds])
