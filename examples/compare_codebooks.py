"""Compare codebooks for ``ddcm`` on your own photos: bytes, PSNR and seconds.

    python examples/compare_codebooks.py FOLDER --photos 6 --bpp 0.05 0.1 0.2

Every codebook walks with the same denoiser, steps, entropy coding and byte targets.  The tables in
docs/ddcm.md come from here.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from diffc.codecs.ddcm.codebook import Atoms, HadamardCodebook
from diffc.codecs.ddcm.encoder import EncoderWalk, walk_to_size
from diffc.codecs.shared import models
from diffc.codecs.shared.latents import patch_model
from diffc.codecs.shared.latents.blocks import BlockLayout
from diffc.codecs.shared.latents.walk import grid_of
from diffc.codecs.shared.region_of_interest import position_weights
from diffc.noise.streams import Purpose, random_normals

TILE = 256


class WholeLatent(BlockLayout):
    """One block that is the whole latent."""

    grid = (1, 1, 1)
    count = 1

    @property
    def length(self) -> int:
        """All elements."""
        return self.channels * self.height * self.width

    def split(self, latent: Tensor) -> Tensor:
        """Flatten."""
        return latent.reshape(1, -1)

    def join(self, blocks: Tensor) -> Tensor:
        """Unflatten."""
        return blocks.reshape(self.channels, self.height, self.width)


class GaussianCodebook(HadamardCodebook):
    """Words of independent normals, the same for all blocks, made tile by tile at each step."""

    def __init__(self, layout: BlockLayout, words: int) -> None:
        super().__init__(layout, 0, "cpu")
        self.words = words

    def _words(self, step: int, words: Tensor) -> Tensor:
        purpose = Purpose.GAUSSIAN_ATOM
        return random_normals(self.seed, purpose, step, words, self.layout.length, "cpu")

    def products(self, step: int, residual: Tensor) -> Tensor:
        """Return <word, block> for every word, with O(tile) words in memory."""
        tiles = torch.arange(self.words).split(TILE)
        return torch.cat([residual @ self._words(step, tile).T for tile in tiles], dim=1)

    def noise(self, step: int, atoms: Atoms) -> Tensor:
        """Return the sum of the chosen words over its standard deviation, block by block."""
        used, place = atoms.words.unique(return_inverse=True)
        made = self._words(step, used)[place] * atoms.signs[:, None]
        owner = torch.repeat_interleave(self.blocks, atoms.counts)
        total = torch.zeros(self.layout.count, self.layout.length).index_add_(0, owner, made)
        empty = (atoms.counts == 0).nonzero()[:, 0]
        length = self.layout.length
        total[empty] = random_normals(self.seed, Purpose.FILL, step, empty, length, "cpu")
        return total / total.std(dim=1, keepdim=True)


def codebooks(channels: int, height: int, width: int) -> dict[str, HadamardCodebook]:
    """Return the candidates for a latent of a size."""
    blocks = BlockLayout(channels, height, width)
    whole = WholeLatent(channels, height, width)
    return {
        "global Gaussian, K = 64": GaussianCodebook(whole, 64),
        "global Gaussian, K = 512": GaussianCodebook(whole, 512),
        "Gaussian in blocks, K = 2048": GaussianCodebook(blocks, 2048),
        "Gaussian in blocks, K = 4096": GaussianCodebook(blocks, 4096),
        "Hadamard in blocks, K = 2048": HadamardCodebook(blocks, 0, "cpu"),
    }


def main() -> None:
    """Print one row for each codebook and rate."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--photos", type=int, default=4)
    parser.add_argument("--bpp", type=float, nargs="+", default=[0.05, 0.2])
    parser.add_argument("--model", default=None)
    options = parser.parse_args()
    paths = sorted(p for p in options.folder.iterdir() if p.suffix in (".png", ".jpg"))
    torch.set_num_threads(1)  # processor time is compared, not patience
    folder = models.folder_of(options.model, "patch")
    model = patch_model.load(folder, "cpu")
    print("| codebook | bpp | PSNR | seconds |\n|---|---|---|---|")
    rows: dict[tuple[str, float], list[tuple[float, float]]] = {}
    for path in paths[:: max(1, len(paths) // options.photos)][: options.photos]:
        with Image.open(path) as image:
            cropped = image.convert("RGB").crop((0, 0, 512, 512))
        pixels = torch.from_numpy(np.array(cropped)).permute(2, 0, 1)[None] / 255
        target = model.analyse(pixels)
        weights = position_weights(None, pixels.shape[2:], target.shape[2:])
        for bpp in options.bpp:
            for name, codebook in codebooks(*target.shape[1:]).items():
                walk = EncoderWalk(
                    model.denoiser,
                    model.sigmas,
                    target,
                    weights,
                    grid_of(model.sigmas, 30),
                    codebook=codebook,
                    atoms=None,
                )
                started = time.process_time()
                with torch.inference_mode():
                    walk_to_size(walk, round(bpp * 512 * 512 / 8), lambda step, total: None)
                    made = model.synthesise(walk.denoise(), model.sigmas[walk.state.time], 0.0, 0)
                seconds = time.process_time() - started
                psnr = -10 * math.log10(float((made - pixels).square().mean()))
                rows.setdefault((name, bpp), []).append((psnr, seconds))
    for (name, bpp), values in rows.items():
        psnr, seconds = (statistics.mean(column) for column in zip(*values, strict=True))
        print(f"| {name} | {bpp} | {psnr:.2f} | {seconds:.1f} |")


if __name__ == "__main__":
    main()
