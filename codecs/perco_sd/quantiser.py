"""The vector quantiser of PerCo (SD), under its published names: cosines of low-dimensional codes.

The names and the arithmetic are those of ``VectorQuantize(use_cosine_sim=True)`` in the package
vector-quantize-pytorch, version 1.15.3, as the published hyper-encoder uses it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# memory for the cosines of so many positions with all codes
_POSITIONS = 1 << 14


class CosineCodebook(nn.Module):
    """The codes, and what training kept of them, which nothing here uses.

    Parameters
    ----------
    words : int
        Codes.
    width : int
        Elements of each.
    """

    embed: Tensor

    def __init__(self, words: int, width: int) -> None:
        super().__init__()
        self.register_buffer("initted", torch.ones(1))
        self.register_buffer("cluster_size", torch.ones(1, words))
        self.register_buffer("embed_avg", torch.zeros(1, words, width))
        self.register_buffer("embed", torch.zeros(1, words, width))


class CosineQuantiser(nn.Module):
    """Vectors to indices, and indices to vectors.

    Parameters
    ----------
    channels : int
        Elements of a vector.
    words, width : int
        See `CosineCodebook`; vectors are projected to ``width`` elements.
    """

    def __init__(self, channels: int, words: int, width: int) -> None:
        super().__init__()
        # where nothing is to be projected, the package has no weights for it
        projects = channels != width
        self.project_in = nn.Linear(channels, width) if projects else nn.Identity()
        self.project_out = nn.Linear(width, channels) if projects else nn.Identity()
        self._codebook = CosineCodebook(words, width)

    def indices(self, vectors: Tensor) -> Tensor:
        """Return the codes nearest in direction, int64 (N, h, w).

        Parameters
        ----------
        vectors : Tensor
            (N, channels, h, w), float32.
        """
        count, channels, rows, columns = vectors.shape
        flat = vectors.permute(0, 2, 3, 1).reshape(-1, channels)
        codes = self._codebook.embed[0]
        # not the nearest point: a code that training left unused has shrunk towards zero
        parts = (flat[start : start + _POSITIONS] for start in range(0, len(flat), _POSITIONS))
        found = [(F.normalize(self.project_in(part), dim=-1) @ codes.T).argmax(1) for part in parts]
        return torch.cat(found).reshape(count, rows, columns)

    def words(self) -> Tensor:
        """Return what every index stands for, (words, channels)."""
        made: Tensor = self.project_out(self._codebook.embed[0])
        return made
