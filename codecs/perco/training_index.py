"""Train the index model on the tokens of photos, and write its integers."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from diffc.codecs.perco.index_contexts import STAGES, KnownTokens, neighbours, parts
from diffc.codecs.perco.sequence import TokenLayout
from diffc.codecs.perco.tokeniser import TokenNetwork, Tokens
from diffc.codecs.perco.training_index_network import IndexConfig, IndexNetwork
from diffc.codecs.shared.latents.patch_transform import PatchTransform
from diffc.codecs.training.learner import Learner
from diffc.codecs.training.photos import Crops

WEIGHTS = "index.safetensors"


class _Pool:
    """The latest tokens of one stage of a grid, each with its context, drawn at random."""

    def __init__(self, grid: int, stage: int, capacity: int) -> None:
        self._contexts = torch.zeros(capacity, len(neighbours(grid, stage)), dtype=torch.int16)
        self._tokens = torch.zeros(capacity, dtype=torch.int16)
        self._next = self.filled = 0

    def add(self, contexts: Tensor, tokens: Tensor) -> None:
        """Put tokens in, in the place of the oldest."""
        count = len(tokens)
        places = (self._next + torch.arange(count)) % len(self._tokens)
        self._contexts[places] = contexts.short()
        self._tokens[places] = tokens.short()
        self._next = (self._next + count) % len(self._tokens)
        self.filled = min(self.filled + count, len(self._tokens))

    def draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return contexts (count, neighbours) and tokens (count,), int64."""
        chosen = torch.randint(self.filled, (count,), generator=generator)
        return self._contexts[chosen].long(), self._tokens[chosen].long()


class IndexStage:
    """Likelihoods of tokens; the networks that make them are done.

    Parameters
    ----------
    transform : PatchTransform
        Of the denoiser that the tokens condition.
    std : Tensor
        Deviations of the latent's channels, (channels,).
    tokens : TokenNetwork
        Trained.
    crops : Crops
        Of sides that are multiples of 64.
    config : IndexConfig
        Sizes.
    batch : int
        Tokens of each grid in an update.
    learning_rate : float
        About 3e-3.
    device : str
        Where crops are analysed; the small model itself is trained on the CPU.
    warm : int
        Crops analysed before the first update; one more follows with each.
    capacity : int
        Tokens of each stage that are kept to draw from.
    """

    def __init__(
        self,
        transform: PatchTransform,
        std: Tensor,
        tokens: TokenNetwork,
        crops: Crops,
        *,
        config: IndexConfig,
        batch: int,
        learning_rate: float,
        device: str,
        warm: int = 64,
        capacity: int = 60_000,
    ) -> None:
        self.transform = transform.to(device)
        self.std = std.to(device)[None, :, None, None]
        self.tokens = tokens.to(device).eval().requires_grad_(False)
        vocabularies = tokens.config.vocabularies
        self.crops, self.generator = crops, crops.generator
        self.batch, self.device = batch, device
        self.pools = [
            [_Pool(i, stage, capacity) for stage in range(STAGES)] for i in range(len(vocabularies))
        ]
        self.counts = [torch.full((words,), 0.5) for words in vocabularies]
        rows = columns = self.crops.size // 16
        self.layout = TokenLayout.of(tokens.config, rows, columns)
        for _ in range(warm):
            self._add()
        network = IndexNetwork([book.cpu() for book in tokens.codebooks], config)
        network.start(self.counts)
        self.learners = {"index": Learner(network, learning_rate=learning_rate, average=0.998)}

    @torch.no_grad()
    def _add(self) -> None:
        """Analyse one more crop."""
        pixels = self.crops.batch(1).to(self.device)
        _, tokens = self.tokens.analyse(self.transform.analyse(pixels) / self.std)
        for part, contexts, found in tokens_in_context(self.layout, tokens):
            self.pools[part[0]][part[1]].add(contexts, found)
        for counts, grid in zip(self.counts, tokens.grids, strict=True):
            counts += torch.bincount(grid.flatten().cpu(), minlength=len(counts))

    def step(self, index: int, scale: float) -> dict[str, float]:
        """Do one update on some tokens of one stage of each grid."""
        self._add()
        network = self.learners["index"].module
        losses, figures = [], {}
        for grid, pools in enumerate(self.pools):
            # a stage as often as it has tokens
            filled = torch.tensor([float(pool.filled) for pool in pools])
            stage = int(torch.multinomial(filled, 1, generator=self.generator))
            contexts, found = pools[stage].draw(self.batch, self.generator)
            scores = network(contexts, grid, stage) * math.log(2)
            losses.append(F.cross_entropy(scores, found))
            figures[f"bits{grid}"] = float(losses[-1].detach()) / math.log(2)
            share = self.counts[grid] / self.counts[grid].sum()
            figures[f"plain{grid}"] = float(-(share * share.log2()).sum())
        self.learners["index"].update(torch.stack(losses).sum(), index, scale)
        return figures

    @torch.no_grad()
    def picture(self) -> Tensor:
        """Show how likely the words of each grid are, a row each, in the last stage's contexts."""
        network = self.learners["index"].averaged
        rows = []
        for grid, pools in enumerate(self.pools):
            pool = next(pool for pool in reversed(pools) if pool.filled)
            contexts, _ = pool.draw(16, torch.Generator().manual_seed(0))
            shares = (network(contexts, grid, pools.index(pool)) * math.log(2)).softmax(1)
            shown = shares[:, :256] / shares.amax(1, keepdim=True)
            rows.append(F.pad(shown, (0, 256 - shown.shape[1], 0, 2)))
        return torch.cat(rows).mul(2).sub(1).expand(3, -1, -1)


def tokens_in_context(
    layout: TokenLayout, tokens: Tokens
) -> list[tuple[tuple[int, int], Tensor, Tensor]]:
    """Return, for each stage of each grid that has any, its place, contexts and tokens."""
    known = KnownTokens(layout.sizes, layout.vocabularies)
    found = []
    for part in parts(layout.sizes, layout.vocabularies, layout.total * max(layout.vocabularies)):
        here = tokens.grids[part.grid][0].cpu().flatten()[part.positions]
        found.append(((part.grid, part.stage), known.contexts(part), here))
        known.put(part, here)
    return found


def write_index_model(folder: Path, network: nn.Module) -> None:
    """Write the integers that `diffc.codecs.perco.index_model.IndexModel` reads.

    Parameters
    ----------
    folder : Path
        Of the token model.
    network : IndexNetwork
        Trained.
    """
    assert isinstance(network, IndexNetwork)
    folder.mkdir(parents=True, exist_ok=True)
    save_file(network.integers(), folder / WEIGHTS)
