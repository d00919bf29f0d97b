"""Parameters of codecs: what is written comes back, and what nobody wrote is damage."""

from __future__ import annotations

import random

import pytest

from diffc.errors import FileError
from diffc.parameters import ByteReader, ByteWriter


def test_bits_fill_bytes_from_the_lowest() -> None:
    writer = ByteWriter().bits(5, 3).bits(2, 2).bits(1, 1).bits(0, 2).number(258, 2)
    assert writer.done() == b"\x35\x01\x02"
    assert ByteWriter().bits(0x123, 12).bits(0, 4).done() == b"\x23\x01"


def test_all_that_is_written_comes_back() -> None:
    chooser = random.Random(1)
    for _ in range(200):
        widths = [chooser.randint(1, 12) for _ in range(5)]
        widths.append(-sum(widths) % 8)
        bits = [chooser.getrandbits(width) if width else 0 for width in widths]
        number, seed = chooser.getrandbits(40), chooser.choice([0, chooser.getrandbits(32)])
        text = "".join(chooser.choice("aé🚪 ") for _ in range(chooser.randint(0, 9)))
        writer = ByteWriter()
        for value, width in zip(bits, widths, strict=True):
            writer.bits(value, width)
        data = writer.varint(number).number(7, 3).seed(seed).text(text).done()
        reader = ByteReader(data)
        assert [reader.bits(width) for width in widths] == bits
        assert (reader.varint(1 << 40), reader.number(3)) == (number, 7)
        assert reader.seed(stored=seed != 0) == seed
        assert reader.text(9) == text
        reader.done()


def test_what_does_not_fit_is_refused_when_written() -> None:
    with pytest.raises(ValueError, match="a number of 3 bits is below 8, not 8"):
        ByteWriter().bits(8, 3)
    with pytest.raises(ValueError, match="bits fill whole bytes, not 3 more"):
        ByteWriter().bits(1, 3).done()
    with pytest.raises(ValueError, match="bits fill whole bytes"):
        ByteWriter().bits(1, 3).number(1, 1)


def test_damage_is_an_error_of_the_file() -> None:
    for data in (b"", b"\x80", b"\xff\xff"):
        with pytest.raises(FileError):
            ByteReader(data).varint(1 << 20)
    with pytest.raises(FileError, match="end too early"):
        ByteReader(b"\0").number(2)
    with pytest.raises(FileError, match="end too early"):
        ByteReader(b"\0").bits(9)
    with pytest.raises(FileError, match="a text is in UTF-8"):
        ByteReader(b"\xff").text(9)
    with pytest.raises(FileError, match="at most 2 characters here, not 3"):
        ByteReader(b"abc").text(2)
    with pytest.raises(FileError, match="1 bytes too many"):
        ByteReader(b"\0").done()
    reader = ByteReader(b"\x10")
    assert reader.bits(4) == 0
    with pytest.raises(FileError, match="bits that are not 0"):
        reader.done()
