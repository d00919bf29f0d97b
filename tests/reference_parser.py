"""A second parser, written from docs/format.md alone; it imports nothing of diffc."""

import re
import zlib
from pathlib import Path
from typing import Any

MIB = 1_048_576
# a part of the specification
CAPTION_WORDS = Path(__file__).parent.parent / "plugin" / "container" / "caption_words.txt"
NAMES = {1: "exif", 2: "icc", 3: "xmp", 4: "caption", 5: "preview", 6: "alpha"}


class Refused(Exception):
    """The specification tells a reader to refuse the file."""


def demand(condition: bool, rule: str) -> None:
    if not condition:
        raise Refused(rule)


def crc16(data: bytes) -> int:
    register = 0xFFFF
    for byte in data:
        register = ((register << 8) & 0xFFFF) ^ CRC16_TABLE[(register >> 8) ^ byte]
    return register


def crc16_of_byte(byte: int) -> int:
    register = byte << 8
    for _ in range(8):
        register = (register << 1) ^ (0x1021 if register & 0x8000 else 0)
    return register & 0xFFFF


CRC16_TABLE = [crc16_of_byte(byte) for byte in range(256)]


def span(data: bytes, at: int, count: int) -> bytes:
    demand(at + count <= len(data), "file ends inside its header")
    return data[at : at + count]


def varint(data: bytes, at: int, bits: int = 32) -> tuple[int, int]:
    """Return the number at `at` and the offset behind it."""
    groups = []
    while True:
        byte = span(data, at, 1)[0]
        at += 1
        groups.append(byte & 127)
        if byte < 128:
            break
        demand(len(groups) < 6, "varint too long")
    demand(len(groups) == 1 or groups[-1] != 0, "varint not in shortest form")
    number = sum(group * 128**place for place, group in enumerate(groups))
    demand(number < 2**bits, "varint too large")
    return number, at


def dictionary() -> bytes:
    words = CAPTION_WORDS.read_text("ascii").split()
    return "".join(f" {word}" for word in words).encode() + b" "


DICTIONARY = dictionary()


def inflate(data: bytes, kind: int) -> bytes:
    decoder = zlib.decompressobj(wbits=-15, zdict=DICTIONARY) if kind == 4 else zlib.decompressobj()
    output = b""
    try:
        while data and not decoder.eof:
            output += decoder.decompress(data, 65536)
            data = decoder.unconsumed_tail
            demand(len(output) <= MIB, "inflates to more than 1 MiB")
        output += decoder.flush()
    except zlib.error:
        raise Refused("not a stream") from None
    demand(decoder.eof and not decoder.unused_data, "not exactly one stream")
    demand(len(output) <= MIB, "inflates to more than 1 MiB")
    return output


def metadata(kind: int, type_byte: int, data: bytes) -> bytes:
    plain = inflate(data, kind) if type_byte & 32 else data
    if kind == 4:
        try:
            str(plain, "utf-8")
        except UnicodeDecodeError:
            raise Refused("caption is not UTF-8") from None
    return plain


def parse_header(data: bytes) -> dict[str, Any]:
    demand(data[:4] == bytes([0xD1, 0xFC, 0x0D, 0x0A]), "magic")
    flags, id_and_mode, nibbles = span(data, 4, 3)
    demand(flags & 15 == 1 and flags < 64, "version and flags")
    at = 7
    version, parameters_length = nibbles % 16, nibbles // 16
    if version == 15:
        rest, at = varint(data, at)
        version += rest
    if parameters_length == 15:
        rest, at = varint(data, at)
        parameters_length += rest
    demand(1 <= version <= 65535, "bitstream version")
    demand(parameters_length <= 4096, "parameters too long")
    codec = span(data, at, id_and_mode % 64 + 1).decode("latin-1")
    demand(re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,63}", codec) is not None, "codec id")
    at += len(codec)
    parameters = span(data, at, parameters_length)
    at += parameters_length
    fingerprint = span(data, at, 4) if flags & 32 else None
    at += 4 if flags & 32 else 0
    width, at = varint(data, at)
    height, at = varint(data, at)
    demand(1 <= width <= 2**31 and 1 <= height <= 2**31, "size")
    payload_length, at = varint(data, at, 40)
    mode = ["L", "LA", "RGB", "RGBA"][id_and_mode // 64]

    chunks_at, table = at, []
    if flags & 16:
        count, at = varint(data, at)
        demand(1 <= count <= 32, "number of chunks")
        for _ in range(count):
            type_byte = span(data, at, 1)[0]
            length, at = varint(data, at + 1)
            table.append((type_byte, length))
    kinds = [type_byte % 32 for type_byte, _ in table]
    demand(len(set(kinds)) == len(kinds), "a kind twice")
    demand((6 in kinds) == (mode in ("LA", "RGBA")), "alpha and mode")
    items, body_chunks = {}, {}
    for type_byte, length in table:
        kind = type_byte % 32
        if kind == 6:
            demand(type_byte == 0xC6, "type byte of alpha")
        elif kind in NAMES:
            demand(type_byte in (kind, kind + 32), "type byte of metadata")
        else:
            demand(type_byte < 128, "unknown required chunk")
        if type_byte & 64:
            body_chunks[NAMES.get(kind, f"kind {kind}")] = length
        else:
            demand(length <= MIB, "header chunk too long")
            stored = span(data, at, length)
            at += length
            if kind in NAMES:
                items[NAMES[kind]] = metadata(kind, type_byte, stored)
    chunks_end = at
    checks = span(data, at, 6)
    demand(int.from_bytes(checks[4:], "big") == crc16(data[: at + 4]), "check of the header")
    return {
        "codec": codec,
        "bitstream_version": version,
        "parameters": parameters,
        "fingerprint": fingerprint,
        "mode": mode,
        "size": (width, height),
        "payload_length": payload_length,
        "metadata": items,
        "body_chunks": body_chunks,
        "header_length": at + 6,
        "metadata_bytes": chunks_end - chunks_at,
        "header_crc": zlib.crc32(data[:at]),
        "body_crc": int.from_bytes(checks[:4], "big"),
    }


def parse_body(header: dict[str, Any], data: bytes) -> dict[str, bytes | None]:
    """Return payload and alpha of a whole file."""
    body = data[header["header_length"] :]
    expected = sum(header["body_chunks"].values()) + header["payload_length"]
    demand(len(body) == expected, "file ends early or late")
    check = zlib.crc32(data[: header["header_length"] - 6] + body)
    demand(check == header["body_crc"], "check of the file")
    alpha, at = None, 0
    for name, length in header["body_chunks"].items():
        if name == "alpha":
            alpha = body[at : at + length]
        at += length
    return {"alpha": alpha, "payload": body[at:]}
