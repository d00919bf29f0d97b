"""Write the small seeded models that the tests and the frozen files use, once.

It is never trained: files made with it show that the format does not change, not how good it is.
Run ``python tests/make_test_model.py patch|restoring|tokens FOLDER`` to write another one; those in
tests/data stay.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from conftest import draw_photo

from diffc.codecs.perco.control import ControlConfig, TokenControl
from diffc.codecs.perco.tokeniser import TokenConfig, TokenNetwork
from diffc.codecs.perco.training import write_token_model
from diffc.codecs.perco.training_index import write_index_model
from diffc.codecs.perco.training_index_network import IndexConfig, IndexNetwork
from diffc.codecs.relay.network import Restorer, RestorerConfig
from diffc.codecs.relay.training import write_restoring_model
from diffc.codecs.shared.latents.denoiser import DenoiserConfig, LatentDenoiser
from diffc.codecs.shared.latents.patch_transform import PATCH
from diffc.codecs.shared.latents.synthesis import Synthesis, SynthesisConfig
from diffc.codecs.shared.latents.training_export import write_latent_model

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


def make_restoring() -> Restorer:
    """Build the relay codec's network with seeded weights that change a picture a little."""
    torch.manual_seed(21)
    sizes = {"widths": (8, 16, 24), "blocks": (1, 1, 1), "embedding": 8}
    detail = {"detail_widths": (8, 8, 8, 8), "detail_blocks": (1, 1)}
    network = Restorer(RestorerConfig(**sizes, **detail))
    torch.nn.init.normal_(network.mean.leave, std=0.3)
    torch.nn.init.normal_(network.detail.leave.weight, std=0.1)
    return network


def write_tokens(folder: Path, shared: Path) -> None:
    """Write the perco codec's networks with seeded weights, for the denoiser of another folder."""
    torch.manual_seed(22)
    config = TokenConfig(
        channels=CHANNELS,
        fine_width=16,
        width=24,
        global_words=16,
        coarse_words=64,
        middle_words=32,
        fine_words=32,
        fine_grids=2,
        global_length=4,
        coarse_length=6,
        middle_length=4,
        fine_length=4,
        embedding=8,
    )
    tokens = TokenNetwork(config)
    torch.nn.init.normal_(tokens.mean.weight, std=0.3)
    control = TokenControl(ControlConfig(8, 4, 1), config, make()[0].config)
    for layer in control.additions:
        torch.nn.init.normal_(layer.weight, std=0.3)
    write_token_model(folder, tokens, control, shared)
    sizes = IndexConfig(code=4, hidden=8, coarse_vector=6, vector=6)
    index = IndexNetwork(list(tokens.codebooks), sizes)
    index.start(_counts(tokens))
    write_index_model(folder, index)


def _counts(tokens: TokenNetwork) -> list[torch.Tensor]:
    """Count the tokens of a smooth picture: of such ones, the index model knows something."""
    photo = draw_photo().resize((640, 512))
    pixels = torch.from_numpy(np.array(photo)).permute(2, 0, 1)[None] / 127.5 - 1
    network = make()[1]
    latent = network.transform.analyse(pixels) / network.channel_std[None, :, None, None]
    with torch.no_grad():
        _, found = tokens.eval().analyse(latent)
    vocabularies = tokens.config.vocabularies
    return [
        0.5 + torch.bincount(grid.flatten(), minlength=words).float()
        for grid, words in zip(found.grids, vocabularies, strict=True)
    ]


if __name__ == "__main__":
    kind, folder = sys.argv[1], Path(sys.argv[2])
    if kind == "restoring":
        write_restoring_model(folder, make_restoring())
    elif kind == "tokens":
        write_tokens(folder, Path(__file__).parent / "data" / "model")
    else:
        write_latent_model(folder, *make())
