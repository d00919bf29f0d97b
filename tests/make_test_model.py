"""Write the small seeded model that the tests and the frozen files use, once.

It is never trained: files made with it show that the format does not change, not how good it is.
Run ``python tests/make_test_model.py FOLDER`` to write another one; the one in tests/data stays.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from diffc.codecs.latent_denoiser import DenoiserConfig, LatentDenoiser
from diffc.codecs.patch_transform import PATCH
from diffc.codecs.synthesis import Synthesis, SynthesisConfig
from diffc.codecs.training.export import write_model

CHANNELS = 48


def cosine_basis(channels: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return orthonormal low-frequency cosines in luma and two chroma axes, and their scales."""
    axis = torch.arange(PATCH).double()[:, None] + 0.5
    waves = torch.cos(torch.pi / PATCH * axis * torch.arange(PATCH).double())
    waves = waves / waves.norm(dim=0)
    colors = torch.tensor([[1.0, 1, 1], [1, 0, -1], [1, -2, 1]]).double()
    colors = colors / colors.norm(dim=1, keepdim=True)
    patterns = [
        (row + column + 2 * color, color, row, column)
        for color in range(3)
        for row in range(PATCH)
        for column in range(PATCH)
    ]
    basis = [
        colors[color][:, None, None] * waves[:, row][:, None] * waves[:, column]
        for _, color, row, column in sorted(patterns)[:channels]
    ]
    frequencies = torch.tensor([order for order, *_ in sorted(patterns)[:channels]])
    return torch.stack(basis).float(), 10.0 / (1.0 + frequencies) ** 1.5


def make() -> tuple[LatentDenoiser, Synthesis]:
    """Build both networks with seeded weights, small enough not to hide the Wiener estimate."""
    torch.manual_seed(20)
    denoiser = LatentDenoiser(
        DenoiserConfig(
            channels=CHANNELS,
            width=32,
            inner_width=48,
            outer_blocks=1,
            inner_blocks=1,
            embedding=16,
        )
    )
    synthesis = Synthesis(
        SynthesisConfig(
            channels=CHANNELS, widths=(32, 16, 8), blocks=(1, 1, 1), embedding=16, smoothing=4
        )
    )
    for layer in (denoiser.leave, synthesis.leave, synthesis.smooth_out):
        torch.nn.init.normal_(layer.weight, std=0.0005)
    basis, std = cosine_basis(CHANNELS)
    for network in (denoiser, synthesis):
        network.get_buffer("channel_std").copy_(std)
    synthesis.transform.get_buffer("basis").copy_(basis)
    return denoiser, synthesis


if __name__ == "__main__":
    write_model(Path(sys.argv[1]), *make())
