"""Files that are cut, damaged, false or made to exhaust memory: each one is refused by name."""

import tracemalloc
import zlib
from typing import Any

import pytest
from fuzz_container import seal

from diffc.container import (
    Envelope,
    Header,
    caption_words,
    diagnose,
    open_body,
    parse_header,
    read_header,
)
from diffc.errors import ChecksumError, FileError, NotDiffcError, TruncatedError

MIB = 1 << 20
START = "d1fc0d0a"
PLAIN = Envelope(
    codec="relay", bitstream_version=1, mode="RGB", size=(512, 768), fingerprint=b"1234"
).build(b"ab", b"\xde\xca\xf0")
LONG_NUMBERS = Envelope(
    codec="x" * 64, bitstream_version=300, mode="L", size=(1 << 31, 16384)
).build(bytes(range(30)), bytes(range(200)))
WITH_CHUNKS = Envelope(
    codec="example",
    bitstream_version=2,
    mode="RGBA",
    size=(200, 2),
    metadata={"caption": b"a red door", "exif": bytes(100)},
    alpha=bytes.fromhex("01 78da63f88f0b30e09401000f6b31cf"),
).build(b"\x19", b"\xde\xca\xf0")
FILES = [PLAIN, LONG_NUMBERS, WITH_CHUNKS]


def header(
    flags: int = 1,
    mode: int = 2,
    nibbles: str = "01",
    codec: bytes = b"a",
    rest: str = "",
    size: str = "01 01",
    payload: str = "00",
    chunks: bytes = b"",
) -> bytes:
    """Return a header with right checks around fields that need not be."""
    fields = bytes.fromhex(START) + bytes([flags, mode << 6 | len(codec) - 1])
    fields += bytes.fromhex(nibbles + rest) + codec + bytes.fromhex(size + payload)
    return seal(fields + chunks, b"")


def with_chunks(*chunks: tuple[int, bytes], mode: int = 2, body: bytes = b"") -> bytes:
    """Return a file of these type bytes and data, those of body chunks given apart."""
    table = bytes([len(chunks)])
    for type_byte, data in chunks:
        assert len(data) < 128
        table += bytes([type_byte, len(data)])
    stored = b"".join(data for type_byte, data in chunks if not type_byte & 0x40)
    fields = bytes.fromhex(START) + bytes([0x11, mode << 6, 1]) + b"a" + b"\1\1\0"
    return seal(fields + table + stored, body)


def open_file(data: bytes) -> Header:
    parsed = parse_header(data)
    open_body(parsed, data[parsed.header_length :])
    return parsed


@pytest.mark.parametrize("data", FILES)
def test_every_truncation_is_refused(data: bytes) -> None:
    header_length = open_file(data).header_length
    for end in range(len(data)):
        expected = NotDiffcError if end < 4 else TruncatedError
        with pytest.raises(expected):
            parse_header(data[:end]) if end < header_length else open_file(data[:end])


@pytest.mark.parametrize("data", FILES)
def test_every_flipped_bit_is_refused(data: bytes) -> None:
    whole = open_file(data)
    for position in range(8 * len(data)):
        damaged = bytearray(data)
        damaged[position // 8] ^= 1 << position % 8
        if position // 8 >= whole.header_length:
            assert parse_header(bytes(damaged)) == whole
            with pytest.raises(ChecksumError):
                open_file(bytes(damaged))
        else:
            with pytest.raises(FileError):
                open_file(bytes(damaged))


@pytest.mark.parametrize("data", FILES)
@pytest.mark.parametrize(
    ("excess", "said"),
    [(1, "1 bytes"), (300, "300 bytes"), (1 << 16, "65536 or more"), (1 << 20, "65536 or more")],
)
def test_bytes_behind_the_body_are_counted(data: bytes, excess: int, said: str) -> None:
    with pytest.raises(FileError, match=f"here follow {said}"):
        open_file(data + bytes(excess))


def test_wrong_checks_are_refused() -> None:
    damaged = PLAIN[:-1] + b"\0"
    with pytest.raises(ChecksumError, match="check of a file"):
        open_file(damaged)
    length = parse_header(PLAIN).header_length
    with pytest.raises(ChecksumError, match="check of a header"):
        parse_header(PLAIN[: length - 1] + b"\0" + PLAIN[length:])


def test_header_of_another_file_does_not_fit_the_body() -> None:
    # Alike in all lengths, so only the check over both tells.
    other = Envelope(
        codec="relay", bitstream_version=1, mode="RGB", size=(512, 768), fingerprint=b"4321"
    ).build(b"ab", b"\xde\xca\xf1")
    length = parse_header(PLAIN).header_length
    with pytest.raises(ChecksumError, match="check of a file"):
        open_file(PLAIN[:length] + other[length:])


@pytest.mark.parametrize("data", [b"", b"\xd1", b"\xd1\xfc\r", b"GIF89a", bytes(100)])
def test_other_bytes_are_not_diffc(data: bytes) -> None:
    with pytest.raises(NotDiffcError):
        parse_header(data)


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (header(flags=0), "version from 1"),
        (header(flags=2), "newer container version 2, this diffc reads 1: update diffc"),
        (header(flags=0xFF), "newer container version 15"),
        (header(flags=0x41), "known flags, got 0x41"),
        (header(flags=0x81), "known flags, got 0x81"),
        (header(codec=b"Relay"), "codec id"),
        (header(codec=b"-a"), "codec id"),
        (header(codec=b"a\n"), "codec id"),
        (header(codec=b"\xff"), "codec id"),
        (header(nibbles="00"), "bitstream version"),
        (header(nibbles="0f", rest="f1ff03"), "got 65536"),
        (header(nibbles="f1", rest="f21f"), "at most 4096 bytes, got 4097"),
        (header(size="00 01"), "1 to 2147483648 pixels, got 0 x 1"),
        (header(size="01 00"), "1 to 2147483648 pixels, got 1 x 0"),
        (header(size="01 8180808008"), "1 x 2147483649"),
        (header(size="8100 01"), "superfluous"),
        (header(size="01 808000"), "superfluous"),
        (header(payload="8000"), "superfluous"),
        (header(nibbles="0f", rest="8000"), "superfluous"),
        (header(size="8080808010 01"), "below 4294967296"),
        (header(size="808080808001 01"), "below 4294967296"),
        (header(payload="808080808020"), "below 1099511627776"),
        (header(payload="80808080808001"), "below 1099511627776"),
        (header(mode=1), "alpha chunk if its mode is LA or RGBA, the mode is LA and there is none"),
        (header(mode=3), "the mode is RGBA and there is none"),
    ],
)
def test_false_fields_are_refused(data: bytes, rule: str) -> None:
    with pytest.raises(FileError, match=rule):
        parse_header(data)


def test_largest_fields_are_accepted() -> None:
    largest = header(size="8080808008 8080808008", payload="ffffffffff1f")
    assert parse_header(largest).size == (1 << 31, 1 << 31)
    assert parse_header(largest).payload_length == (1 << 40) - 1
    assert parse_header(header(nibbles="0f", rest="f0ff03")).bitstream_version == 65535
    assert parse_header(header(nibbles="0f", rest="00")).bitstream_version == 15
    parameters = Envelope(codec="a", bitstream_version=1, mode="L", size=(1, 1)).build(
        bytes(4096), b""
    )
    assert len(parse_header(parameters).parameters) == 4096


@pytest.mark.parametrize(
    ("chunks", "rule"),
    [
        (b"\x00", "1 to 32 chunks, got 0"),
        (b"\x21" + bytes(200), "1 to 32 chunks, got 33"),
        (b"\xff\xff\xff\xff\x0f" + bytes(200), "1 to 32 chunks, got 4294967295"),
        (b"\x8f\x00" + bytes(200), "superfluous"),
        (b"\x01\x01\x81\x80\x40", "at most 1048576 bytes, exif has 1048577"),
        (b"\x01\x1f\xff\xff\xff\xff\x0f", "kind 31 has 4294967295"),
        (b"\x01\x1f\xff\xff\xff\xff\x10", "below 4294967296"),
    ],
)
def test_false_tables_are_refused(chunks: bytes, rule: str) -> None:
    with pytest.raises(FileError, match=rule):
        parse_header(header(flags=0x11, chunks=chunks))


@pytest.mark.parametrize("end", range(12, 15))
def test_table_that_ends_early(end: int) -> None:
    with pytest.raises(TruncatedError, match="inside its header"):
        parse_header(with_chunks((1, b"exif"))[:end])


DEFLATED = zlib.compress(b"text " * 9, 9)
WITH_DICTIONARY = zlib.compressobj(zdict=b"text ")
NEEDS_DICTIONARY = WITH_DICTIONARY.compress(b"text text") + WITH_DICTIONARY.flush()
CAPTION = caption_words.deflate(b"a red door")
# last block, fixed codes, a match of length 3 at the greatest distance, 32768, end of block
BITS = "1" + "10" + "0000001" + "11101" + 13 * "1" + "0000000"
BEFORE_THE_WORDS = int(BITS[::-1], 2).to_bytes(5, "little")


@pytest.mark.parametrize(
    ("chunks", "rule"),
    [
        ([(1, b"a"), (1, b"b")], "exif occurs twice"),
        ([(1, b"a"), (0x21, DEFLATED)], "exif occurs twice"),
        ([(9, b"a"), (9, b"b")], "kind 9 occurs twice"),
        ([(9, b"a"), (0x49, b"")], "kind 9 occurs twice"),
        ([(0x89, b"a")], "without its chunk of kind 9, unknown to this diffc: update diffc"),
        ([(0xC0, b"")], "without its chunk of kind 0"),
        ([(0x81, b"a")], "exif has type byte 0x81"),
        ([(0x41, b"")], "exif has type byte 0x41"),
        ([(0xC5, b"")], "preview has type byte 0xc5"),
        ([(6, b"a")], "alpha has type byte 0x06"),
        ([(0xE6, b"")], "alpha has type byte 0xe6"),
        ([(0xC6, b"")], "the mode is RGB and there is one"),
        ([(4, b"\xff")], "a caption is UTF-8"),
        ([(0x24, caption_words.deflate(b"\xff"))], "a caption is UTF-8"),
        ([(0x24, b"")], "caption is exactly one deflate stream"),
        ([(0x24, CAPTION[:-1])], "caption is exactly one deflate stream"),
        ([(0x24, CAPTION + b"\0")], "caption is exactly one deflate stream"),
        ([(0x24, CAPTION + CAPTION)], "caption is exactly one deflate stream"),
        ([(0x24, b"\xff" + CAPTION)], "caption is not a deflate stream"),
        ([(0x24, zlib.compress(b"text"))], "caption is not a deflate stream"),
        ([(0x24, BEFORE_THE_WORDS)], "caption is not a deflate stream.*too far back"),
        ([(0x22, b"")], "exactly one zlib stream"),
        ([(0x22, DEFLATED[:-1])], "exactly one zlib stream"),
        ([(0x22, DEFLATED + b"\0")], "exactly one zlib stream"),
        ([(0x22, DEFLATED + DEFLATED)], "exactly one zlib stream"),
        ([(0x22, DEFLATED[:-1] + b"\0")], "not a zlib stream"),
        ([(0x22, b"plain")], "not a zlib stream"),
        ([(0x22, NEEDS_DICTIONARY)], "not a zlib stream"),
    ],
)
def test_false_chunks_are_refused(chunks: list[tuple[int, bytes]], rule: str) -> None:
    with pytest.raises(FileError, match=rule):
        parse_header(with_chunks(*chunks))


def test_unknown_optional_chunks_are_skipped() -> None:
    chunks = [(0x3F, b"not zlib"), (2, b"profile"), (0x47, b"body"), (0x1E, b""), (0x68, b"more")]
    data = with_chunks(*chunks, body=b"bodymore")
    parsed = open_file(data)
    assert parsed.metadata == {"icc": b"profile"}
    assert list(parsed.body_chunks.items()) == [("kind 7", 4), ("kind 8", 4)]
    assert parsed.alpha_bytes == 0
    for change in range(1, 9):
        damaged = bytearray(data)
        damaged[-change] ^= 1
        with pytest.raises(ChecksumError):
            open_file(bytes(damaged))


def test_alpha_behind_an_unknown_chunk() -> None:
    data = with_chunks((0x47, b"body"), (0xC6, b"\x08abc"), mode=1, body=b"body\x08abc")
    parsed = parse_header(data)
    assert open_body(parsed, data[parsed.header_length :]).alpha == b"\x08abc"
    with pytest.raises(TruncatedError):
        open_body(parsed, b"bod", allow_truncated=True)


def bomb(kind: str, size: int) -> bytes:
    """Return a header whose metadata inflates to `size` bytes."""
    deflate = caption_words.deflate if kind == "caption" else zlib.compress
    deflated = deflate(bytes(size))
    length = len(deflated)
    assert length < 1 << 14
    table = bytes([1, {"exif": 0x21, "caption": 0x24}[kind], length & 127 | 128, length >> 7])
    return header(flags=0x11, chunks=table + deflated)


@pytest.mark.parametrize("kind", ["exif", "caption"])
def test_metadata_bomb_is_not_inflated(kind: str) -> None:
    assert len(parse_header(bomb(kind, MIB)).metadata[kind]) == MIB
    with pytest.raises(FileError, match="inflates to more"):
        parse_header(bomb(kind, MIB + 1))
    large = bomb(kind, 12 * MIB)
    tracemalloc.start()
    with pytest.raises(FileError, match="inflates to more"):
        parse_header(large)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * MIB


def test_huge_lengths_allocate_nothing() -> None:
    asked: list[int] = []

    def reader(data: bytes) -> Any:
        rest = bytearray(data)

        def read(count: int) -> bytes:
            asked.append(count)
            piece = bytes(rest[:count])
            del rest[:count]
            return piece

        return read

    lengths = b"\x01\x47\xff\xff\xff\xff\x0f"
    whole = read_header(reader(header(flags=0x11, payload="ffffffffff1f", chunks=lengths)))
    tracemalloc.start()
    with pytest.raises(TruncatedError):
        open_body(whole, bytes(10))
    with pytest.raises(TruncatedError):
        read_header(reader(header(flags=0x11, chunks=b"\x01\x01\x80\x80\x40")))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < MIB
    assert max(asked) <= 1 << 16


def research_stream(**changes: bytes) -> bytes:
    fields = {
        "length": b"\x08\0\0\0",
        "width": b"\0\2",
        "height": b"\0\3",
        "step": b"\x23\0",
        "caption": zlib.compress(b""),
    }
    return b"".join((fields | changes).values()) + b"payload"


@pytest.mark.parametrize(
    ("prefix", "said"),
    [
        (bytes.fromhex(START) + b"\x12", "newer container version 2, this diffc reads 1"),
        (bytes.fromhex(START) + b"\x0f", "newer container version 15"),
        (PLAIN.replace(b"\r\n", b"\n"), "line ends"),
        (PLAIN.replace(b"\n", b"\r\n"), "line ends"),
        (PLAIN.decode("latin-1").encode("utf-8"), "as text"),
        (PLAIN.decode("utf-8", "replace").encode("utf-8"), "as text"),
        (research_stream(), "a stream of the DiffC research code, which is not self-describing"),
        (research_stream(length=b"\xff\xff\0\0", caption=b"\x78\x9c"), "DiffC research code"),
    ],
)
def test_diagnosis(prefix: bytes, said: str) -> None:
    sentence = diagnose(prefix[:16])
    assert sentence is not None
    assert said in sentence
    with pytest.raises(FileError, match=said):
        parse_header(prefix)


@pytest.mark.parametrize(
    "prefix",
    [
        b"",
        bytes.fromhex(START),
        PLAIN,
        header(flags=0),
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
        research_stream(length=b"\x07\0\0\0"),
        research_stream(length=b"\0\0\1\0"),
        research_stream(width=b"\0\0"),
        research_stream(height=b"\0\0"),
        research_stream(caption=b"\x78\x9d"),
        research_stream(caption=b"\x58\x85"),
        research_stream()[:11],
    ],
)
def test_nothing_to_diagnose(prefix: bytes) -> None:
    assert diagnose(prefix[:16]) is None
