"""Header fields of single bits are written and read as the standards say."""

from __future__ import annotations

import pytest

from diffc.codecs.shared.base_pictures.bit_fields import BitReader, BitWriter
from diffc.errors import FileError


def test_numbers_come_back() -> None:
    writer = BitWriter()
    for value, length in ((5, 3), (0, 2), (1023, 10)):
        writer.number(value, length)
    reader = BitReader(writer.trailed())
    assert [reader.number(length) for length in (3, 2, 10)] == [5, 0, 1023]
    # the end: a bit of 1
    assert reader.number(1) == 1
    with pytest.raises(FileError, match="cut off"):
        reader.number(1)


def test_a_trailed_header_ends_on_a_byte() -> None:
    writer = BitWriter()
    writer.number(0b1010_1010, 8)
    assert writer.trailed() == b"\xaa\x80"


# the first code words of ITU-T H.265, table 9-2
@pytest.mark.parametrize(
    ("value", "bits"), [(0, "1"), (1, "010"), (2, "011"), (3, "00100"), (7, "0001000")]
)
def test_golomb_codes_are_those_of_the_standard(value: int, bits: str) -> None:
    writer = BitWriter()
    writer.golomb(value)
    assert writer.bits() == bits


@pytest.mark.parametrize("value", [8, -1])
def test_a_number_has_to_fit_its_field(value: int) -> None:
    with pytest.raises(ValueError, match="more bits"):
        BitWriter().number(value, 3)
