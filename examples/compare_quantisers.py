"""Vector quantisers or finite scalar quantisation for the tokens of ``perco``?  At equal bits.

    python examples/compare_quantisers.py FOLDER --train "A_*" --held-out "B_*" --threads 1

The token network is trained anew with each quantiser, from the same weights wherever layers have
the same shape, on the same crops and prefixes, for the mean of the latent alone: the part of
`TokenStage` that needs no denoiser.  The three tokens of the whole picture are vector-quantised in
all of them.  Words of finite scalar quantisation (FSQ, arXiv 2309.15505) are a grid of levels for a
few scalars; the four grids at 1/16 have scalars of their own (``fsq``) or refine the same ones
(``fsq-residual``).  The table in docs/perco.md comes from here.
"""

from __future__ import annotations

import argparse
import math
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from diffc.codecs.perco.control import ControlConfig
from diffc.codecs.perco.tokeniser import TokenConfig, TokenNetwork, Tokens, Vectors
from diffc.codecs.perco.training_codebooks import CodebookAverage
from diffc.codecs.perco.training_prefixes import random_prefixes
from diffc.codecs.perco.training_tokens import TokenLosses, TokenModules, TokenStage
from diffc.codecs.shared import models
from diffc.codecs.shared.latents import patch_model
from diffc.codecs.shared.latents.denoiser import LatentDenoiser
from diffc.codecs.shared.latents.synthesis import Synthesis, SynthesisConfig
from diffc.codecs.training.loop import LoopSettings, learning_rate_scale
from diffc.codecs.training.photos import Crops, pack, photos

QUANTISERS = ("vq", "fsq", "fsq-residual")
MULTIPLE = 64


@dataclass(frozen=True)
class Figures:
    """With 1, 2 and so on to all grids, the loss and the explained share of the variance.

    ``counts`` say how often every word of each grid was taken.
    """

    losses: list[float]
    explained: list[float]
    counts: list[Tensor]

    def rows(self, name: str) -> Iterator[str]:
        """Yield a row for each number of grids; bits are those of 16x16 pixels."""
        packed = entropy = 0.0
        for i, (count, stride) in enumerate(zip(self.counts, TokenConfig().strides, strict=True)):
            bits = float(torch.special.entr(count / count.sum()).sum()) / math.log(2)
            packed += math.ceil(math.log2(len(count))) / stride**2
            entropy += bits / stride**2
            cells = [name, f"{i + 1}", f"{packed:.2f}", f"{entropy:.2f}", f"{self.losses[i]:.4f}"]
            cells += [f"{100 * self.explained[i]:.1f} %", f"{len(count)}"]
            cells += [f"{int((count > 0).sum())}", f"{2**bits:.0f}"]
            yield "| " + " | ".join(cells) + " |"


class Bounded(nn.Module):
    """Scalars between the outermost of their levels, a multiple of 1 / (levels // 2) each."""

    def __init__(self, levels: Sequence[int]) -> None:
        super().__init__()
        count = torch.tensor(levels)[:, None, None]
        # a little less, for the outermost of an even number is half a step off
        self.reach = (count - 1) * (1 - 1e-3) / 2
        self.offset = torch.where(count % 2 == 0, 0.5, 0.0)
        self.steps = count // 2

    def forward(self, x: Tensor) -> Tensor:
        """Bound ``x`` (N, scalars, h, w); 0 stays 0."""
        shifted = x.float() + torch.atanh(self.offset / self.reach)
        return (torch.tanh(shifted) * self.reach - self.offset) / self.steps


def level_grid(levels: Sequence[int]) -> Tensor:
    """Return all words (words, scalars); the one nearest to a vector has each scalar rounded."""
    scalars = [(torch.arange(count) - count // 2) / (count // 2) for count in levels]
    return torch.cartesian_prod(*scalars)


def finer_grid(levels: Sequence[int], times: int) -> Tensor:
    """Return the words that divide a level's step evenly, after ``times`` - 1 such divisions."""
    steps = [1 / (count // 2) / count**times for count in levels]
    scalars = [
        (torch.arange(count) - (count - 1) / 2) * step
        for count, step in zip(levels, steps, strict=True)
    ]
    return torch.cartesian_prod(*scalars)


def make_finite(
    network: TokenNetwork, coarse: Sequence[int], levels: Sequence[int], *, residual: bool
) -> None:
    """Give a network heads and words of finite scalar quantisation, in place."""
    fine_grids, scalars = network.config.fine_grids, len(levels)
    network.head_coarse[-1] = Bounded(coarse)
    network.head_middle[-1] = Bounded(levels)
    network.head_fine[-1] = Bounded([*levels] * (1 if residual else fine_grids))
    network.codebooks[0].copy_(level_grid(coarse))
    network.codebooks[1].copy_(level_grid(levels))
    for i, book in enumerate(list(network.codebooks)[2:]):
        if residual:
            book.copy_(finer_grid(levels, i) if i else level_grid(levels))
        else:
            # each grid has scalars of its own, and nothing to say of the others
            book.zero_()[:, i * scalars : (i + 1) * scalars] = level_grid(levels)


class MeanStage(TokenStage):
    """The mean's part of the stage: neither control nor denoiser is asked."""

    quantiser = "vq"

    def mean_error(self, mean: Tensor, scaled: Tensor) -> Tensor:
        """Return the stage's loss of the mean."""
        variance = self.std.square()[None]
        error = (mean - scaled).square().mean((2, 3)) * variance
        weight = 1 / (variance + self.losses.mean_level**2)
        return ((error * weight).sum(1) / (variance * weight).sum(1)).mean()

    def scaled(self, pixels: Tensor) -> Tensor:
        """Return the latent of pixels in [-1, 1] over its channels' deviations."""
        return self.transform.analyse(pixels) / self.std[:, None, None]

    def step(self, index: int, scale: float) -> dict[str, float]:
        """Update on one batch of crops."""
        modules = self._modules(self.learners["tokens"].module)
        scaled = self.scaled(self.crops.batch(self.batch))
        # the draws that revive words must not change the prefixes that follow
        self.generator.manual_seed(index)
        with torch.autocast(self.device, torch.bfloat16):
            vectors, tokens = modules.tokens.analyse(scaled)
            present = random_prefixes(tokens, self.losses.prefixes, self.generator)
            condition = modules.tokens.synthesise(tokens, present, vectors)
        mean = self.mean_error(condition.mean, scaled)
        committed = vectors if self.quantiser == "vq" else _only_of_picture(vectors)
        commitment = self._commitment(modules.tokens, committed, tokens)
        if self.quantiser == "fsq":
            # scalars of a grid that is not there have no effect
            scalars = vectors.fine.shape[1] // len(present[2:])
            there = torch.stack(present[2:], 1).repeat_interleave(scalars, 1)
            vectors.fine.register_hook(lambda gradient: gradient * there)  # type: ignore[no-untyped-call]
        loss = self.losses.mean * mean + self.losses.commitment * commitment
        self.learners["tokens"].update(loss, index, scale)
        self._follow(modules, vectors, tokens, index)
        return {"mean": float(mean.detach())}

    @torch.no_grad()
    def _follow(
        self, modules: TokenModules, vectors: Vectors, tokens: Tokens, step: int
    ) -> dict[str, float]:
        """Move the codebooks; levels stay where they are."""
        if self.quantiser == "vq":
            return super()._follow(modules, vectors, tokens, step)
        for i, book in enumerate(modules.tokens.global_codebooks):
            average, found = modules.averages[i], vectors.of_picture[:, i]
            assert isinstance(average, CodebookAverage)
            average.update(book, found, tokens.of_picture[:, i], step, self.generator)
        return {}

    @torch.no_grad()
    def held_out(self, pictures: Sequence[Tensor]) -> Figures:
        """Measure whole photos, uint8 (3, H, W)."""
        network = self._modules(self.learners["tokens"].module).tokens
        counts = [torch.zeros(words) for words in network.config.vocabularies]
        losses, errors = torch.zeros(2, len(counts), dtype=torch.float64)
        moments = torch.zeros(3, len(self.std), dtype=torch.float64)
        for picture in pictures:
            height, width = (side // MULTIPLE * MULTIPLE for side in picture.shape[1:])
            scaled = self.scaled(picture[None, :, :height, :width] / 127.5 - 1)
            clean = (scaled[0] * self.std[:, None, None]).double().flatten(1)
            sums = [torch.ones_like(clean).sum(1), clean.sum(1), clean.square().sum(1)]
            moments += torch.stack(sums)
            with torch.autocast(self.device, torch.bfloat16):
                _, tokens = network.analyse(scaled)
                for count, grid in zip(counts, tokens.grids, strict=True):
                    count += torch.bincount(grid.flatten(), minlength=len(count))
                for i in range(len(counts)):
                    present = [torch.full(g.shape, j <= i) for j, g in enumerate(tokens.grids)]
                    mean = network.synthesise(tokens, present).mean
                    losses[i] += self.mean_error(mean, scaled).double() / len(pictures)
                    errors[i] += ((mean - scaled) * self.std[:, None, None]).double().square().sum()
        variance = (moments[2] - moments[1].square() / moments[0]).sum()
        return Figures(losses.tolist(), (1 - errors / variance).tolist(), counts)


def _only_of_picture(vectors: Vectors) -> Vectors:
    """Let no gradient through to the grids' vectors, which levels are never far from."""
    coarse, middle, fine = (v.detach() for v in (vectors.coarse, vectors.middle, vectors.fine))
    return replace(vectors, coarse=coarse, middle=middle, fine=fine)


def stage_of(quantiser: str, pictures: list[Tensor], options: argparse.Namespace) -> MeanStage:
    """Return the stage with a quantiser, the same at the start wherever that is possible."""
    model = patch_model.load(models.folder_of(None, patch_model.KIND), "cpu")
    assert isinstance(model.network, LatentDenoiser)
    finite = quantiser != "vq"
    sizes = TokenConfig()
    if finite:
        fine = len(options.levels) * (sizes.fine_grids if quantiser == "fsq" else 1)
        words = math.prod(options.levels)
        sizes = replace(
            sizes,
            coarse_words=math.prod(options.coarse_levels),
            middle_words=words,
            fine_words=words,
            coarse_length=len(options.coarse_levels),
            middle_length=len(options.levels),
            fine_length=fine,
        )
    torch.manual_seed(options.seed)
    stage = MeanStage(
        model.transform,
        model.network,
        Synthesis(SynthesisConfig()),
        Crops(pictures, options.crop, torch.Generator().manual_seed(options.seed)),
        config=sizes,
        control=ControlConfig(),
        losses=TokenLosses(),
        batch=options.batch,
        learning_rate=options.learning_rate,
        device="cpu",
    )
    stage.quantiser, stage.generator = quantiser, torch.Generator()
    if finite:
        network = stage._modules(stage.learners["tokens"].module).tokens
        torch.manual_seed(options.seed)
        own, first = network.state_dict(), TokenNetwork(TokenConfig()).state_dict()
        same = {name: value for name, value in first.items() if own[name].shape == value.shape}
        network.load_state_dict(own | same)
        make_finite(
            network, options.coarse_levels, options.levels, residual=quantiser == "fsq-residual"
        )
    return stage


def pictures_of(folder: Path, pattern: str, **scales: tuple[float, ...]) -> list[Tensor]:
    """Return the photos of a folder whose names match, as training sees them."""
    paths = sorted(path for path in folder.glob(pattern) if path.is_file())
    with tempfile.TemporaryDirectory() as packed:
        return list(photos(pack(paths, Path(packed)), **scales))


def main() -> None:
    """Print what the tokens tell with each quantiser, and how it uses its words."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--train", default="A_*", help="names of the photos to train with")
    parser.add_argument("--held-out", default="B_*", help="names of the photos to measure with")
    parser.add_argument("--photos", type=int, default=64, help="how many of these, at most")
    parser.add_argument("--quantisers", nargs="+", choices=QUANTISERS, default=QUANTISERS)
    parser.add_argument("--coarse-levels", type=int, nargs="+", default=[8, 8, 4, 4])
    parser.add_argument("--levels", type=int, nargs="+", default=[8, 8, 4])
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--batch", type=int, default=10)
    parser.add_argument("--crop", type=int, default=320)
    parser.add_argument("--learning-rate", type=float, default=5e-4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    if min(*options.levels, *options.coarse_levels) < 3:
        parser.error("a scalar has at least 3 levels: give it more")
    torch.set_num_threads(options.threads)
    pictures = pictures_of(options.folder, options.train)
    unseen = pictures_of(options.folder, options.held_out, scales=(1.0,))
    if not pictures or not unseen:
        parser.error(f"{options.folder} lacks photos of one kind: see --train and --held-out")
    unseen = unseen[:: max(1, -(-len(unseen) // options.photos))]
    print(f"{len(pictures)} pictures to train with, {len(unseen)} held out\n", flush=True)
    loop = LoopSettings(steps=options.steps, warmup=min(200, options.steps // 10))
    print(
        "| quantiser | grids | bits packed | entropy | loss | explained | words | used | perplexity |"
    )
    print("|---|" + "---:|" * 8, flush=True)
    seconds = []
    for quantiser in options.quantisers:
        stage = stage_of(quantiser, pictures, options)
        started = time.process_time()
        for index in range(options.steps):
            stage.step(index, learning_rate_scale(index, loop))
        seconds.append(f"{quantiser} {(time.process_time() - started) / options.steps:.3f}")
        for row in stage.held_out(unseen).rows(quantiser):
            print(row, flush=True)
    print(f"\nprocessor seconds a step: {', '.join(seconds)}")


if __name__ == "__main__":
    main()
