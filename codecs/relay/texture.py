"""Texture that a restored picture lacks: noise in bands, as strong as what is missing there.

What no bits speak of cannot be known, but how strong it is, band by band and place by place, can be
learned: given the base, the missing detail is taken for Gaussian in each of three bands of the luma,
with a standard deviation that the network estimates by maximum likelihood.  A draw of it has the
statistics of the photograph, where the mean alone is smooth; unlike what a small adversarial network
makes up, it has no pattern.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

SPREADS = (1, 2, 4)
"""Reach in pixels of the blurs between the bands."""
BANDS = len(SPREADS)
REACH = 2 * sum(SPREADS)
"""How many pixels around it a value of the bands depends on."""
_LUMA = (0.299, 0.587, 0.114)
# standard deviations of the bands of white noise, so that each has deviation 1
_DEVIATIONS = (0.7261, 0.2988, 0.1224)


def luma(pixels: Tensor) -> Tensor:
    """Return the luma (N, 1, H, W) of RGB pixels (N, 3, H, W), by BT.601."""
    weights = torch.tensor(_LUMA, device=pixels.device)[None, :, None, None]
    return (pixels * weights).sum(1, keepdim=True)


def bands(plane: Tensor) -> Tensor:
    """Split a plane (N, 1, H, W) into `BANDS` octaves (N, BANDS, H, W), the finest first."""
    found = []
    for spread in SPREADS:
        smooth = _blurred(plane, spread)
        found.append(plane - smooth)
        plane = smooth
    return torch.cat(found, dim=1)


def texture(noise: Tensor, deviation: Tensor, above: int = 0) -> Tensor:
    """Return detail for the luma (N, 1, H, W).

    Parameters
    ----------
    noise : Tensor
        White, of deviation 1 (N, 1, rows, W), rows >= above + H.
    deviation : Tensor
        Of each band (N, BANDS, H, W).
    above : int
        Rows of noise before the first of the detail.  Parts of a picture join if their noise goes
        on for `REACH` rows before and behind them.
    """
    scale = torch.tensor(_DEVIATIONS, device=noise.device)[None, :, None, None]
    split = bands(noise)[:, :, above : above + deviation.shape[2]]
    return (split / scale * deviation).sum(1, keepdim=True)


def likelihood_loss(missing: Tensor, deviation: Tensor) -> Tensor:
    """Return the mean negative log-likelihood of missing detail (N, 3, H, W), but for a constant."""
    found = bands(luma(missing))
    return (0.5 * (found / deviation).square() + deviation.log()).mean()


def _blurred(plane: Tensor, spread: int) -> Tensor:
    """Blur by a Gaussian of deviation spread / sqrt(2), cut off at twice the spread."""
    reach = torch.arange(-2 * spread, 2 * spread + 1, device=plane.device, dtype=torch.float32)
    kernel = torch.exp(-((reach / spread) ** 2))
    kernel = kernel / kernel.sum()
    margin = 2 * spread
    # repeated borders: unlike reflected ones, they exist for every size
    plane = F.pad(plane, (margin, margin, margin, margin), mode="replicate")
    rows = F.conv2d(plane, kernel[None, None, None])
    return F.conv2d(rows, kernel[None, None, :, None])
