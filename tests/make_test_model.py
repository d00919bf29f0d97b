"""Write the small seeded models that the tests and the frozen files use, once.

It is never trained: files made with it show that the format does not change, not how good it is.
Run ``python tests/make_test_model.py patch|restoring FOLDER`` to write another one; those in
tests/data stay.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from diffc.codecs.latent_denoiser import DenoiserConfig, LatentDenoiser
from diffc.codecs.patch_transform import PATCH
from diffc.codecs.restoring_network import RestoringConfig, RestoringNetwork
from diffc.codecs.synthesis import Synthesis, SynthesisConfig
from diffc.codecs.training.export import write_model, write_restoring_model

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


def make_restoring() -> RestoringNetwork:
    """Build the relay codec's network with seeded weights that change a picture a little."""
    torch.manual_seed(21)
    network = RestoringNetwork(RestoringConfig(widths=(8, 16, 24), blocks=(1, 1, 1), embedding=8))
    torch.nn.init.normal_(network.leave, std=0.3)
    return network


if __name__ == "__main__":
    kind, folder = sys.argv[1], Path(sys.argv[2])
    if kind == "restoring":
        write_restoring_model(folder, make_restoring())
    else:
        write_model(folder, *make())
