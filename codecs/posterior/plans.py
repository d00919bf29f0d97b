"""How many bits a block gets at a step, coarsely, and how they are spread over its chunks.

The relative entropy of the two draws is a float that each machine computes a little differently.
What is coded is its level, half octaves of bits; everything else follows from it in integers.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import lru_cache

# relative entropies of a block in bits, for the levels from 1 on
LEVELS = (4, 6, 8, 10, 14, 20, 28, 40, 56, 80, 112, 160, 224, 320, 448, 640, 896)
SMALLEST_CHUNK = 8
"""Elements of a chunk at least."""
FEWEST_BITS, MOST_BITS = 6, 16
"""Of a chunk's index."""
_MARGIN = 0


@dataclass(frozen=True)
class Plan:
    """How a block is coded.

    Parameters
    ----------
    chunks : int
        A power of two: the block's elements are shared out evenly.
    bits : int
        2**bits candidates for each chunk.
    entropy : int
        Relative entropy of a chunk that its index is coded for, in quarters of a bit.
    """

    chunks: int
    bits: int
    entropy: int


@lru_cache(maxsize=1024)
def plan_of(level: int, most_bits: int, length: int) -> Plan:
    """Return the plan of a level from 1 on.

    Parameters
    ----------
    level : int
        1 to the number of `LEVELS`.
    most_bits : int
        Of an index.
    length : int
        Elements of a block, a power of two.
    """
    entropy = LEVELS[level - 1]
    chunks = 1
    while entropy > chunks * (most_bits - _MARGIN) and length // chunks > SMALLEST_CHUNK:
        chunks *= 2
    share = max(4 * entropy // chunks, 1)
    return Plan(chunks, min(-(-share // 4) + _MARGIN, most_bits), share)


def level_of(entropy: float) -> int:
    """Return the level of a block's relative entropy in bits; 0 where it is not worth an index."""
    if entropy < _LEAST:
        return 0
    # the nearest in the logarithm
    for level, (lower, upper) in enumerate(itertools.pairwise(LEVELS), 1):
        if entropy * entropy < lower * upper:
            return level
    return len(LEVELS)


_LEAST = 3.3
