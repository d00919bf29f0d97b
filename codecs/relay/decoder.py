"""From base pictures to what ``relay`` shows: noise, restoration, texture, a strip at a time.

Of each picture two are held whole: the base as it is enlarged, in bytes, and the state, float32,
which becomes the result.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Protocol

import torch
from PIL import Image
from torch import Tensor

from diffc.codec import DecodeOptions, Progress
from diffc.codecs.relay.bitstream import RelayParameters
from diffc.codecs.relay.texture import REACH, texture
from diffc.codecs.shared.diffusion.samplers import add_noise, ddim_step
from diffc.codecs.shared.diffusion.schedules import linear_sigmas
from diffc.codecs.shared.pictures import PictureRows
from diffc.codecs.shared.tiling.exact import strips
from diffc.noise.streams import Purpose, random_normals

DEFAULT_STEPS = 1
# what of the missing detail's deviation is drawn in each band, the finest first: all of it would be
# as strong as a photograph's, but twice the error; see docs/relay.md
TEXTURE = (0.15, 0.2, 0.0)

# pixels of rows that are made at a time: normals take six times the memory of the result
_PIECE = 1 << 19


class Restorer(Protocol):
    """A network of base pictures and noisy states, with a bounded field of view.

    Its strips are `largest` rows high, and it is told `margin` rows above and below them; both, and
    the sides of states, are multiples of `multiple`.
    """

    device: str
    multiple: int
    largest: int
    margin: int

    def denoise(
        self, x: Tensor, sigma: Tensor, base: Tensor, level: Tensor, scale: Tensor
    ) -> Tensor:
        """Return the estimate of the photograph (N, 3, rows, W), about [-1, 1].

        Parameters
        ----------
        x, base : Tensor
            Rows of the state, the photograph + sigma * e~, and of the base, (N, 3, rows, W).
        sigma, level, scale : Tensor
            The state's noise level, the root mean square error of the base, and how many times
            smaller it was coded, (N,).
        """

    def denoise_with_deviations(
        self, x: Tensor, sigma: Tensor, base: Tensor, level: Tensor, scale: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return that, and the deviations of the detail that it lacks (N, BANDS, rows, W)."""


def render(
    pictures: Sequence[Image.Image],
    parameters: Sequence[RelayParameters],
    model: Restorer,
    options: DecodeOptions,
) -> list[Tensor]:
    """Restore pictures.

    Parameters
    ----------
    pictures : sequence of PIL.Image.Image
        Decoded bases, enlarged to one size.
    parameters : sequence of RelayParameters
        Of each.
    model : Restorer
        For all of them.
    options : DecodeOptions
        Of them count steps, realism and progress.

    Returns
    -------
    list of Tensor
        Pixels (3, height, width), float32 in [0, 1].
    """
    base = PictureRows(pictures, model.multiple, model.device)
    realism = 1.0 if options.realism is None else options.realism
    if realism == 0:
        made = torch.empty(base.shape, device=model.device)
        for rows in _pieces(*base.shape[2:]):
            made[:, :, rows] = _pixels(base(rows))
    else:
        steps = options.steps or DEFAULT_STEPS
        made = restore(base, parameters, model, steps, realism, options.progress)
    width, height = pictures[0].size
    found = made[:, :, :height, :width].cpu()
    return [
        _without_color(pixels) if each.grey else pixels
        for pixels, each in zip(found, parameters, strict=True)
    ]


def restore(
    base: PictureRows,
    parameters: Sequence[RelayParameters],
    model: Restorer,
    steps: int,
    realism: float,
    progress: Progress,
) -> Tensor:
    """Relay residual diffusion (RDEIC, arXiv 2410.02640, equations 4 to 9), then texture.

    In variance-exploding form: with z_n the paper's state and ab_n its cumulative alpha, here
    y_n = z_n / sqrt(ab_n) and r_n = sqrt((1 - ab_n) / ab_n); z_c is the base, z0hat the estimate.

        start     y_N = z_c + r_N eps
        reverse   y_m = z0hat + r_m (y_n - z0hat) / r_n       (DDIM with the combined noise)

    Residual and noise leave together.  r_N is the error of the base, so the rate sets N.

    Parameters
    ----------
    base : PictureRows
        z_c, rows of bases of one size.
    parameters : sequence of RelayParameters
        Of each.
    model : Restorer
        Estimates z_0.
    steps : int
        From r_N to 0, evenly spaced.
    realism : float
        How much is shown of what the model adds to the base, in (0, 1].
    progress : callable
        Called with the step that is done and the number of steps.

    Returns
    -------
    Tensor
        Pixels (N, 3, H, W) in [0, 1], with the padding of the base.
    """
    height, width = base.shape[2:]
    seeds = [each.seed for each in parameters]
    level = torch.tensor([each.level for each in parameters], device=model.device)
    scale = torch.tensor([each.scale for each in parameters], device=model.device)
    sizes = {"largest": model.largest, "margin": model.margin, "multiple": model.multiple}
    sigmas = linear_sigmas(level, steps)

    y = torch.empty(base.shape, device=model.device)
    for rows in _pieces(height, width):
        eps = _normals(seeds, Purpose.INITIAL, 3, rows, width, model.device)
        y[:, :, rows] = add_noise(base(rows), eps, sigmas[0])

    for step, (sigma, sigma_next) in enumerate(itertools.pairwise(sigmas)):
        progress(step, steps)
        for strip in strips(y, **sizes):
            denoised = model.denoise(strip.window, sigma, base(strip.around), level, scale)
            y[:, :, strip.rows] = ddim_step(
                strip.inner(strip.window), strip.inner(denoised), sigma, sigma_next
            )

    # after the last step no noise is left, and each row becomes what is shown
    progress(steps - 1, steps)
    for strip in strips(y, **sizes):
        z_c = base(strip.around)
        made = model.denoise_with_deviations(strip.window, sigmas[-1], z_c, level, scale)
        denoised, deviation = (strip.inner(each) for each in made)
        pixels = strip.inner(z_c).lerp_(denoised, realism)
        _add_texture(pixels, deviation, realism, seeds, strip.rows, height)
        y[:, :, strip.rows] = _pixels(pixels)
    progress(steps, steps)
    return y


def _add_texture(
    pixels: Tensor,
    deviation: Tensor,
    realism: float,
    seeds: Sequence[int],
    rows: slice,
    height: int,
) -> None:
    """Add noise of a share of the deviations (N, BANDS, rows, W) to rows of pictures."""
    width, device = pixels.shape[3], str(pixels.device)
    shares = torch.tensor(TEXTURE, device=device)[None, :, None, None] * realism
    for piece in _pieces(rows.stop - rows.start, width):
        first, last = rows.start + piece.start, rows.start + piece.stop
        around = slice(max(0, first - REACH), min(last + REACH, height))
        plane = _normals(seeds, Purpose.TEXTURE, 1, around, width, device)
        detail = texture(plane, deviation[:, :, piece] * shares, first - around.start)
        pixels[:, :, piece].add_(detail)


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
