"""Reproducible noise: every element is a pure function of (seed, purpose, step, index, element).

The values are part of the file format and never change. Word w of an index comes from `philox4x32`
with the key (seed, purpose) and the counter (w // 4, index, step, branch), as word w % 4 of the
block; the branch is 0 where none is given. Signs are 32 from each word: bit j of word w is element
32 w + j, 0 for +1 and 1 for -1. Normals are 2 from each word: bits 0-15 of word w give element
2 w, bits 16-31 element 2 w + 1, each by the symmetric table of 65,536 quantiles in normal_table.bin.
That file is the zlib stream of 32,768 first differences (16 bits, low byte first) of the upper
half of the table in units of 2**-12, and tests/make_normal_table.py writes it; no function of
floating-point numbers takes part when noise is made. The table has mean 0, variance 0.99999912,
fourth moment 2.99924 and largest value 17715/4096 = 4.325.

Memory grows with indices times count, callers work in tiles: while they are made, about 40 bytes
are in use for a word, 25 for a normal and 7 for a sign, of which 8, 4 and 4 are the result.
"""

from __future__ import annotations

import zlib
from enum import IntEnum
from functools import lru_cache
from importlib.resources import files

import numpy as np
import torch
from torch import Tensor

from diffc.noise.philox import philox4x32

_WORD = 1 << 32


class Purpose(IntEnum):
    """What a stream of noise is for; streams of different purposes are independent."""

    INITIAL = 0
    SIGNS = 1
    GAUSSIAN_ATOM = 2
    FILL = 3
    ORDER = 4
    TEXTURE = 5
    DITHER = 6
    ARRIVALS = 7
    CANDIDATES = 8


def random_words(
    seed: int,
    purpose: int,
    step: int,
    indices: Tensor,
    count: int,
    device: torch.device | str,
    first: int = 0,
    branches: Tensor | None = None,
) -> Tensor:
    """Return the words first..first+count-1 of each index.

    Parameters
    ----------
    seed, purpose, step : int
        Each in 0..2**32-1; see `Purpose`.
    indices : Tensor
        int64, shape (B,), values in 0..2**32-1, best on the CPU: reading their range there does
        not wait for another device.
    count, first : int
        At least 0; together at most 2**34.
    device : torch.device or str
        Where the result is made; its values do not depend on it.
    branches : Tensor, optional
        int64, shape (B,), values in 0..2**32-1, not checked: one more number of each stream.

    Returns
    -------
    Tensor
        int64, shape (B, count), values in 0..2**32-1.

    Raises
    ------
    ValueError
        An argument is out of its range.
    """
    for name, value, end in (
        ("seed", seed, _WORD),
        ("purpose", purpose, _WORD),
        ("step", step, _WORD),
        ("first", first, 4 * _WORD),
        ("count", count, 4 * _WORD - first + 1),
    ):
        if not 0 <= value < end:
            raise ValueError(f"{name} is in 0..{end - 1}, not {value}: number from 0 in that range")
    if indices.dtype != torch.int64 or indices.dim() != 1:
        raise ValueError(f"indices are a row of int64, not {indices.dtype} of {indices.dim()} axes")
    for value in (int(indices.min()), int(indices.max())) if indices.numel() else ():
        if not 0 <= value < _WORD:
            raise ValueError(f"indices are in 0..{_WORD - 1}, not {value}: number from 0")
    groups = torch.arange(first // 4, -(-(first + count) // 4), dtype=torch.int64, device=device)
    index = indices.to(device)[:, None]
    steps = torch.full((1, 1), step, dtype=torch.int64, device=device)
    branch = torch.zeros_like(steps) if branches is None else branches.to(device)[:, None]
    words = philox4x32((groups[None, :], index, steps, branch), (seed, purpose))
    skip = first % 4
    return words.reshape(len(indices), 4 * len(groups))[:, skip : skip + count].contiguous()


def random_signs(
    seed: int,
    purpose: int,
    step: int,
    indices: Tensor,
    count: int,
    device: torch.device | str,
    first: int = 0,
    branches: Tensor | None = None,
) -> Tensor:
    """Return the signs first..first+count-1 of each index: float32 of +1 and -1, shape (B, count).

    The arguments and the errors are those of `random_words`, with elements of 1/32 word.
    """
    skip = first % 32
    needed = -(-(skip + count) // 32) if count > 0 else count
    words = random_words(seed, purpose, step, indices, needed, device, first // 32, branches)
    shifts = torch.arange(0, 32, 8, dtype=torch.int64, device=device)
    octets = ((words[:, :, None] >> shifts) & 255).flatten(1)
    bits = torch.arange(8, dtype=torch.int64, device=device)
    table = 1 - 2 * ((torch.arange(256, dtype=torch.int64, device=device)[:, None] >> bits) & 1)
    return table.to(torch.float32)[octets].flatten(1)[:, skip : skip + count].contiguous()


def random_normals(
    seed: int,
    purpose: int,
    step: int,
    indices: Tensor,
    count: int,
    device: torch.device | str,
    first: int = 0,
    branches: Tensor | None = None,
) -> Tensor:
    """Return the normals first..first+count-1 of each index: float32, shape (B, count).

    Every value is a whole multiple of 2**-12 in -4.325..4.325. The arguments and the errors are
    those of `random_words`, with elements of 1/2 word.
    """
    skip = first % 2
    needed = -(-(skip + count) // 2) if count > 0 else count
    words = random_words(seed, purpose, step, indices, needed, device, first // 2, branches)
    halves = torch.stack((words & 0xFFFF, words >> 16), dim=-1).flatten(1)
    return normal_table(str(device))[halves[:, skip : skip + count]]


@lru_cache(maxsize=8)
def normal_table(device: str = "cpu") -> Tensor:
    """Return the table of `random_normals`: float32, shape (65536,), ascending; not to be changed.

    Entry i is the quantile of the standard normal at (i + 1/2)/65536, as the module says.
    """
    data = zlib.decompress(files("diffc.noise").joinpath("normal_table.bin").read_bytes())
    upper = np.frombuffer(data, "<u2").astype(np.int64).cumsum()
    table = np.concatenate((-upper[::-1], upper)).astype(np.float32) / np.float32(4096)
    with torch.inference_mode(False):  # the table outlives the mode that it was first used in
        return torch.from_numpy(table).to(device)
