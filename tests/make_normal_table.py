"""Write plugin/noise/normal_table.bin: python tests/make_normal_table.py

Entry i of the half table is the quantile of the standard normal at 1/2 + (i + 1/2)/65536, times
one factor that gives the whole (symmetric) table variance 1, in units of 2**-12, to the nearest
integer. The file is the zlib stream of the first differences, each two bytes, low byte first.
"""

from __future__ import annotations

import math
import struct
import zlib
from itertools import pairwise
from pathlib import Path
from statistics import NormalDist

HALF = 1 << 15
UNIT = 1 << 12


def half_table() -> list[int]:
    quantiles = [NormalDist().inv_cdf(0.5 + (i + 0.5) / (2 * HALF)) for i in range(HALF)]
    deviation = math.sqrt(math.fsum(q * q for q in quantiles) / HALF)
    scaled = [q / deviation * UNIT for q in quantiles]
    # So far from a tie, any library of elementary functions rounds to the same integers.
    assert min(abs(s % 1 - 0.5) for s in scaled) > 1e-7
    return [round(s) for s in scaled]


def packed(table: list[int]) -> bytes:
    differences = [b - a for a, b in pairwise([0, *table])]
    return zlib.compress(struct.pack(f"<{len(differences)}H", *differences), 9)


if __name__ == "__main__":
    target = Path(__file__).resolve().parent.parent / "plugin" / "noise" / "normal_table.bin"
    target.write_bytes(packed(half_table()))
