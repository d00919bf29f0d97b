"""Sound files: exact bytes, round trips, sizes, streams."""

import io
import re
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diffc.container import Envelope, build, layout, open_body, parse_header, read_body, read_header
from diffc.entropy import varint
from diffc.errors import TruncatedError

SMALLEST = bytes.fromhex("d1fc0d0a 01 80 01 61 01 01 00 d14decd3 7831")
PLAIN = bytes.fromhex(
    "d1fc0d0a 21 84 21 72656c6179 6162 31323334 8004 8006 03 bac0d2a1 4dba 010203"
)
ALPHA = bytes.fromhex("01 78da63f88f0b30e09401000f6b31cf")
FULL = bytes.fromhex(
    "d1fc0d0a 31 c6 12 6578616d706c65 19 0b5e55ed c801 02 03 02 2406 c610"
    "831803ca f000 e7a91255 dbd1" + ALPHA.hex() + "decaf0"
)
FULL_ARGUMENTS: dict[str, Any] = {
    "codec": "example",
    "bitstream_version": 2,
    "mode": "RGBA",
    "size": (200, 2),
    "payload": b"\xde\xca\xf0",
    "parameters": b"\x19",
    "fingerprint": bytes.fromhex("0b5e55ed"),
    "metadata": {"caption": b"a red door"},
    "alpha": ALPHA,
}


def envelope(**changes: Any) -> Envelope:
    fields: dict[str, Any] = {
        "codec": "relay",
        "bitstream_version": 1,
        "mode": "RGB",
        "size": (512, 768),
    }
    return Envelope(**fields | changes)


def test_smallest_file_byte_by_byte() -> None:
    data = build(codec="a", bitstream_version=1, mode="RGB", size=(1, 1), payload=b"")
    assert data == SMALLEST
    assert len(data) == layout.SHORTEST_HEADER


def test_plain_file_byte_by_byte() -> None:
    assert envelope(fingerprint=b"1234").build(b"ab", b"\1\2\3") == PLAIN


def test_full_file_byte_by_byte() -> None:
    assert build(**FULL_ARGUMENTS) == FULL


def test_fields_of_full_file() -> None:
    header = parse_header(FULL)
    assert header.codec == "example"
    assert header.bitstream_version == 2
    assert header.parameters == b"\x19"
    assert header.fingerprint == bytes.fromhex("0b5e55ed")
    assert header.mode == "RGBA"
    assert header.size == (200, 2)
    assert header.metadata == {"caption": b"a red door"}
    assert header.body_chunks == {"alpha": 16}
    assert header.payload_length == 3
    assert header.header_length == 40
    assert header.metadata_bytes == 11
    assert header.alpha_bytes == 16
    assert header.file_length == len(FULL)
    body = open_body(header, FULL[40:])
    assert (body.payload, body.alpha, body.truncated) == (b"\xde\xca\xf0", ALPHA, False)


def test_example_of_the_specification() -> None:
    page = Path(__file__).parents[2].joinpath("docs", "format.md").read_text("utf-8")
    example = page.split("## Example")[1]
    rows = re.findall(r"^ *(\d+)  ([0-9A-F]{2}(?: [0-9A-F]{2})*)  ", example, re.MULTILINE)
    data = b""
    for offset, row in rows:
        assert int(offset) == len(data)
        data += bytes.fromhex(row)
    assert data == FULL
    assert f"{len(FULL)} bytes" in example


def test_alpha_is_what_a_png_holds() -> None:
    assert zlib.decompress(ALPHA[1:]) == 2 * (b"\0" + 25 * b"\xff")


@pytest.mark.parametrize(
    ("value", "encoded"),
    [(0, "00"), (127, "7f"), (128, "8001"), (16383, "ff7f"), (16384, "808001"), (300, "ac02")],
)
def test_varints_byte_by_byte(value: int, encoded: str) -> None:
    assert varint.encode(value).hex() == encoded
    assert varint.length(value) == len(encoded) // 2
    assert varint.read(io.BytesIO(bytes.fromhex(encoded)).read, 1 << 32) == value


def test_varint_of_a_short_stream() -> None:
    with pytest.raises(TruncatedError, match="inside a number"):
        varint.read(io.BytesIO(b"\x80").read, 1 << 32)
    with pytest.raises(ValueError, match="0 or more"):
        varint.encode(-1)


metadata = st.dictionaries(
    st.sampled_from(["exif", "icc", "xmp", "preview"]), st.binary(max_size=300)
)


@settings(derandomize=True, deadline=None, max_examples=200)
@given(
    codec=st.from_regex(r"[a-z0-9][a-z0-9._-]{0,63}", fullmatch=True),
    bitstream_version=st.integers(1, 65535),
    parameters=st.binary(max_size=40) | st.just(bytes(4096)),
    fingerprint=st.none() | st.binary(min_size=4, max_size=4),
    mode=st.sampled_from(layout.MODES),
    size=st.tuples(st.integers(1, 1 << 31), st.integers(1, 1 << 31)),
    payload=st.binary(max_size=200),
    metadata=metadata,
    caption=st.none() | st.text(max_size=40),
)
def test_round_trip(mode: str, caption: str | None, **arguments: Any) -> None:
    if caption is not None:
        arguments["metadata"]["caption"] = caption.encode()
    alpha = b"\x08 any data" if mode.endswith("A") else None
    data = build(mode=mode, alpha=alpha, **arguments)
    header = parse_header(data)
    body = open_body(header, data[header.header_length :])
    for name in ("codec", "bitstream_version", "parameters", "fingerprint", "size", "metadata"):
        assert getattr(header, name) == arguments[name]
    assert (header.mode, header.file_length) == (mode, len(data))
    assert (body.payload, body.alpha) == (arguments["payload"], alpha)


def test_metadata_is_deflated_where_that_is_shorter() -> None:
    plain = parse_header(envelope(metadata={"icc": b"abc"}).build(b"", b""))
    assert (plain.metadata, plain.metadata_bytes) == ({"icc": b"abc"}, 3 + 3)
    full = {"icc": bytes(layout.METADATA_LIMIT), "exif": bytes(9000)}
    deflated = parse_header(envelope(metadata=full).build(b"", b""))
    assert deflated.metadata == full
    assert deflated.metadata_bytes < 2000


def test_longest_metadata_that_does_not_deflate() -> None:
    noise = b"".join(zlib.crc32(bytes([i & 255, i >> 8])).to_bytes(4) for i in range(1 << 16)) * 4
    noise = bytes(byte ^ i % 251 for i, byte in enumerate(noise))
    data = envelope(metadata={"preview": noise}).build(b"", b"")
    assert len(noise) == layout.METADATA_LIMIT
    assert parse_header(data).metadata["preview"] == noise


@pytest.mark.parametrize("side", [1, 127, 16383])
@pytest.mark.parametrize("payload_length", [64, 2459, (2 << 20) - 1])
def test_overhead_is_at_most_24_bytes(side: int, payload_length: int) -> None:
    file = envelope(size=(side, side), fingerprint=bytes(4), bitstream_version=14)
    id_length = len("relay")
    assert file.overhead(payload_length, parameters_length=14) - id_length <= 24
    assert parse_header(file.build(bytes(14), bytes(64))).header_length <= 24 + id_length + 14


def test_overhead_is_the_real_one() -> None:
    arguments = dict(FULL_ARGUMENTS)
    payload, parameters = arguments.pop("payload"), arguments.pop("parameters")
    overhead = Envelope(**arguments).overhead(len(payload), len(parameters))
    assert overhead + len(payload) + len(parameters) == len(FULL)


@pytest.mark.parametrize("parameters_length", [0, 14, 15, 200])
@pytest.mark.parametrize("length", [0, 1, 100, 126, 127, 128, 129, 16382, 16383, 16384, 16385])
def test_room_is_exact(length: int, parameters_length: int) -> None:
    file = envelope(fingerprint=bytes(4))
    parameters = bytes(parameters_length)
    file_bytes = len(file.build(parameters, bytes(length)))
    assert file.room(file_bytes, parameters_length) == length
    # One byte more may only serve a longer payload whose length needs no further byte.
    longer = file.room(file_bytes + 1, parameters_length)
    assert longer == length + (length + 1 not in (128, 16384))


def test_room_without_room() -> None:
    file = envelope()
    smallest = len(file.build(b"", b""))
    assert file.room(smallest) == 0
    assert file.room(smallest - 1) == -1
    assert file.room(0, parameters_length=3) == -smallest - 3
    assert file.room(1 << 50) == (1 << 40) - 1


class Recorder(io.BytesIO):
    """A stream that notes what is asked of it."""

    def __init__(self, data: bytes, most: int) -> None:
        super().__init__(data)
        self.most = most
        self.longest = self.calls = 0

    def read(self, count: int | None = -1, /) -> bytes:
        assert count is not None
        assert count > 0
        self.calls += 1
        self.longest = max(self.longest, count)
        return super().read(min(count, self.most))


@pytest.mark.parametrize("most", [1, 3, 1 << 30])
@pytest.mark.parametrize("data", [SMALLEST, PLAIN, FULL])
def test_stream_is_read_no_further_than_the_header(data: bytes, most: int) -> None:
    stream = Recorder(data, most)
    header = read_header(stream.read)
    assert stream.tell() == header.header_length
    assert header == parse_header(data)
    assert most < 4 or stream.calls <= 6
    body = read_body(header, stream.read)
    assert body == open_body(header, data[header.header_length :])


def test_long_stream_is_read_in_pieces() -> None:
    payload = bytes(range(256)) * 1000
    data = envelope(metadata={"icc": payload[:70000]}).build(bytes(4096), payload)
    stream = Recorder(data, 1 << 30)
    header = read_header(stream.read)
    assert read_body(header, stream.read).payload == payload
    assert stream.longest <= 1 << 16


def test_payload_that_ends_early_with_permission() -> None:
    header = parse_header(FULL)
    for end in range(56, 59):
        body = open_body(header, FULL[40:end], allow_truncated=True)
        assert (body.payload, body.alpha, body.truncated) == (FULL[56:end], ALPHA, True)
    for end in range(40, 56):
        with pytest.raises(TruncatedError, match=f"has 59 bytes by its header, {end} are here"):
            open_body(header, FULL[40:end], allow_truncated=True)
    assert not open_body(header, FULL[40:], allow_truncated=True).truncated


@pytest.mark.parametrize(
    "changes",
    [
        {"codec": ""},
        {"codec": "Relay"},
        {"codec": "a\n"},
        {"codec": "a" * 65},
        {"codec": "é"},
        {"bitstream_version": 0},
        {"bitstream_version": 65536},
        {"mode": "CMYK"},
        {"size": (0, 1)},
        {"size": (1, (1 << 31) + 1)},
        {"fingerprint": b"123"},
        {"mode": "LA"},
        {"alpha": b"\x08x"},
        {"mode": "LA", "alpha": b""},
        {"mode": "LA", "alpha": b"\x02x"},
        {"metadata": {"comment": b""}},
        {"metadata": {"alpha": b""}},
        {"metadata": {"icc": bytes((1 << 20) + 1)}},
        {"metadata": {"caption": b"\xff"}},
    ],
)
def test_writer_refuses(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"got|has|given|missing"):
        envelope(**changes)


class Claim(bytes):
    """Bytes that claim another length than they have."""

    claimed: int

    def __len__(self) -> int:
        return self.claimed


def test_writer_refuses_what_is_too_long() -> None:
    with pytest.raises(ValueError, match="at most 4096 bytes, got 4097"):
        envelope().build(bytes(4097), b"")
    with pytest.raises(ValueError, match="less than 1099511627776 bytes, got 1099511627776"):
        envelope().overhead(1 << 40)
    alpha = Claim(b"\x08")
    alpha.claimed = 1 << 32
    with pytest.raises(ValueError, match="less than 4294967296 bytes"):
        envelope(mode="LA", alpha=alpha)


def test_parser_imports_nothing_heavy() -> None:
    code = "import sys, diffc.container; print({'torch', 'numpy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
