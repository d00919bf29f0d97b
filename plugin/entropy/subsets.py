"""Enumerative coding: a set of m of the numbers 0..n-1 as one number below C(n, m).

The combinatorial number system: the ascending positions c_1 < ... < c_m have the rank
C(c_1, 1) + ... + C(c_m, m). A set of more than half of the numbers is ranked by the numbers that
it leaves out. No order of sets, and no model, costs fewer bits when all sets are equally likely.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from diffc.entropy.range_coder import RangeDecoder, RangeEncoder

LARGEST = 4096  # bounds the time of a hostile file; a binomial here has at most 512 bytes
_FEW = 40  # to here separate binomials are quicker than going through all the numbers


def count(n: int, m: int) -> int:
    """Return C(n, m), the number of sets of m of n numbers.

    Raises
    ------
    ValueError
        0 <= m <= n <= 4096 does not hold.
    """
    if not 0 <= m <= n <= LARGEST:
        raise ValueError(f"a set needs 0 <= m <= n <= {LARGEST}, not m {m}, n {n}: split it")
    return math.comb(n, m)


def rank(positions: Sequence[int], n: int) -> int:
    """Return the number of a set, in 0..C(n, m)-1.

    Parameters
    ----------
    positions : sequence of int
        The m members of the set, ascending, each in 0..n-1.
    n : int
        At most 4096.

    Raises
    ------
    ValueError
        The positions are not ascending in 0..n-1, or n is too large.
    """
    count(n, len(positions))
    previous = -1
    for position in positions:
        if not previous < position < n:
            raise ValueError(
                f"positions are different, ascending and in 0..{n - 1}, not {position} after "
                f"{previous}: sort them"
            )
        previous = position
    members = positions if 2 * len(positions) <= n else _complement(positions, n)
    if len(members) <= _FEW:
        return sum(math.comb(member, place) for place, member in enumerate(members, 1))
    number, remaining = 0, len(members)
    binomial, candidate = math.comb(n, remaining), n  # always C(candidate, remaining)
    for member in reversed(members):
        while candidate > member:
            without = binomial * (candidate - remaining) // candidate
            candidate -= 1
            if candidate > member:
                binomial = without
        number += without
        binomial -= without
        remaining -= 1
    return number


def unrank(number: int, n: int, m: int) -> list[int]:
    """Return the ascending positions of the set of m of n numbers that has a rank.

    Raises
    ------
    ValueError
        The number is not in 0..C(n, m)-1, or 0 <= m <= n <= 4096 does not hold.
    """
    total = count(n, m)
    if not 0 <= number < total:
        raise ValueError(f"a rank is in 0..C({n}, {m})-1, not {number}: check n and m")
    size = min(m, n - m)
    members = _few(number, n, size) if size <= _FEW else _many(number, n, size, total)
    return members if 2 * m <= n else _complement(members, n)


def _few(number: int, n: int, size: int) -> list[int]:
    """Find each member, the largest first, by bisection: O(m log n) binomials."""
    members = [0] * size
    end = n
    for place in range(size, 0, -1):
        low, high = place - 1, end - 1  # the largest candidate whose binomial is not above
        while low < high:
            middle = (low + high + 1) // 2
            if math.comb(middle, place) <= number:
                low = middle
            else:
                high = middle - 1
        number -= math.comb(low, place)
        members[place - 1] = end = low
    return members


def _many(number: int, n: int, size: int, total: int) -> list[int]:
    """Go through all candidates, the largest first, updating one binomial."""
    members = []
    binomial, candidate, remaining = total, n, size  # always C(candidate, remaining)
    while remaining:
        without = binomial * (candidate - remaining) // candidate
        candidate -= 1
        if without <= number:
            members.append(candidate)
            number -= without
            binomial -= without
            remaining -= 1
        else:
            binomial = without
    members.reverse()
    return members


def encode_subset(encoder: RangeEncoder, positions: Sequence[int], n: int) -> None:
    """Add a set of n numbers in log2 C(n, m) bits; how many it has, the decoder must know.

    The arguments and the errors are those of `rank`.
    """
    encoder.encode_uniform(rank(positions, n), count(n, len(positions)))


def decode_subset(decoder: RangeDecoder, n: int, m: int) -> list[int]:
    """Return the ascending positions that `encode_subset` was given; some set whatever the bytes.

    Raises
    ------
    ValueError
        0 <= m <= n <= 4096 does not hold.
    """
    return unrank(decoder.decode_uniform(count(n, m)), n, m)


def _complement(members: Sequence[int], n: int) -> list[int]:
    inside = set(members)
    return [position for position in range(n) if position not in inside]
