"""CompressAI's entropy coder, read: range asymmetric numeral systems (rANS) with 64 bits of state.

CompressAI's own reader is quick and trusts its bytes; a file's are anybody's, so they are read here,
in integers and never past their end.  The format is that of ``compressai.ans``: words of 32 bits, the
first to be read in front, 16 bits of probability, and what no table holds behind an escape symbol in
groups of 4 bits.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from sys import byteorder
from typing import TYPE_CHECKING

from diffc.errors import FileError

if TYPE_CHECKING:
    from torch import Tensor

_PRECISION = 16
_TOTAL = 1 << _PRECISION
_LOWEST = 1 << 31
_GROUP = 4
_ESCAPE = (1 << _GROUP) - 1
# symbols are integers of 32 bits
_MOST_GROUPS = 8


@dataclass(frozen=True)
class Tables:
    """Cumulative frequencies, a row a distribution; the last symbol of a row is the escape.

    Parameters
    ----------
    rows : list of list of int
        From 0 to 65536, rising.
    offsets : list of int
        Of each row, the value of its first symbol.
    """

    rows: list[list[int]]
    offsets: list[int]


def tables_of(frequencies: Tensor, lengths: Tensor, offsets: Tensor) -> Tables:
    """Return tables as CompressAI keeps them, checked.

    Parameters
    ----------
    frequencies : Tensor
        (rows, longest), integers.
    lengths, offsets : Tensor
        (rows,), integers: how much of a row counts, and the value of its first symbol.

    Raises
    ------
    ValueError
        If they are no tables of frequencies.
    """
    if frequencies.ndim != 2 or not len(frequencies) == lengths.numel() == offsets.numel() > 0:
        raise ValueError("tables of frequencies have a length and an offset a row")
    rows = [
        row[:length]
        for row, length in zip(frequencies.tolist(), lengths.flatten().tolist(), strict=True)
    ]
    for row in rows:
        rising = all(low < high for low, high in pairwise(row))
        if len(row) < 3 or row[0] != 0 or row[-1] != _TOTAL or not rising:
            raise ValueError("a table of frequencies rises from 0 to 65536, and one does not")
    return Tables(rows, offsets.flatten().tolist())


class RansReader:
    """Symbols, read from the front.

    Parameters
    ----------
    data : bytes
        Anybody's.

    Raises
    ------
    FileError
        By every method, if no encoder has written these bytes.
    """

    def __init__(self, data: bytes) -> None:
        if len(data) < 8 or len(data) % 4:
            raise FileError(
                f"an entropy-coded string has 2 or more words of 4 bytes, not {len(data)} bytes: "
                "the file is damaged"
            )
        self._words = array("I", data)
        if byteorder == "big":
            self._words.byteswap()
        self._state = self._words[0] | self._words[1] << 32
        self._next = 2

    def symbols(self, indexes: Iterable[int], tables: Tables) -> list[int]:
        """Read a symbol for each index of a row of the tables."""
        rows, offsets = tables.rows, tables.offsets
        found = []
        for index in indexes:
            row = rows[index]
            state = self._state
            place = state & (_TOTAL - 1)
            symbol = bisect_right(row, place) - 1
            low = row[symbol]
            self._renew((row[symbol + 1] - low) * (state >> _PRECISION) + place - low)
            if symbol == len(row) - 2:
                symbol = self._escaped(symbol)
            found.append(symbol + offsets[index])
        return found

    def done(self) -> None:
        """Require that nothing is left."""
        if self._next != len(self._words) or self._state != _LOWEST:
            raise FileError("an entropy-coded string ends where it does not: the file is damaged")

    def _escaped(self, highest: int) -> int:
        groups = group = self._group()
        while group == _ESCAPE and groups <= _MOST_GROUPS:
            group = self._group()
            groups += group
        if groups > _MOST_GROUPS:
            raise FileError("a symbol has at most 32 bits, and one has more: the file is damaged")
        value = 0
        for number in range(groups):
            value |= self._group() << number * _GROUP
        return -(value >> 1) - 1 if value & 1 else (value >> 1) + highest

    def _group(self) -> int:
        value = self._state & _ESCAPE
        self._renew(self._state >> _GROUP)
        return value

    def _renew(self, state: int) -> None:
        if state < _LOWEST:
            if self._next == len(self._words):
                raise FileError("an entropy-coded string ends too early: the file is damaged")
            state = state << 32 | self._words[self._next]
            self._next += 1
        self._state = state
