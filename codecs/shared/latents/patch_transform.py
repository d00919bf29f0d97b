"""The analysis half of the embedded autoencoder: an orthonormal transform of 16x16 patches.

The rows of the basis are the leading principal components of photographs' patches.  Because they
are orthonormal, squared error in the latent is squared error in the picture, which is what a
codebook of white noise spends its bits on; no training can make the scales of channels drift.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

PATCH = 16


class PatchTransform(nn.Module):
    """Pixels in [-1, 1] to the principal components of their 16x16 patches, and back."""

    basis: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("basis", torch.zeros(channels, 3, PATCH, PATCH))

    def analyse(self, pixels: Tensor) -> Tensor:
        """Map pixels (N, 3, 16 h, 16 w) to a latent (N, channels, h, w)."""
        return F.conv2d(pixels, self.basis, stride=PATCH)

    def synthesise(self, latent: Tensor) -> Tensor:
        """Map a latent to the nearest pixels that have it: the transform's adjoint."""
        return F.conv_transpose2d(latent, self.basis, stride=PATCH)


def principal_components(patches: Tensor, channels: int) -> tuple[Tensor, Tensor]:
    """Return the basis (channels, 3, 16, 16) and the standard deviation of each component.

    Parameters
    ----------
    patches : Tensor
        Patches (count, 768) in [-1, 1].  Their mean is not removed: the components' second
        moments are what a denoiser that starts from zero knowledge has to know.
    channels : int
        How many components to keep, in falling order of variance.
    """
    moments = patches.double().T @ patches.double() / len(patches)
    values, vectors = torch.linalg.eigh(moments)
    order = torch.arange(len(values) - 1, len(values) - 1 - channels, -1)
    basis = vectors.T[order]
    # eigenvectors have no sign of their own: make each one's largest entry positive
    largest = basis.gather(1, basis.abs().argmax(1, keepdim=True))
    basis = basis * largest.sign()
    return basis.float().reshape(channels, 3, PATCH, PATCH), values[order].sqrt().float()
