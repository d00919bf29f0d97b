"""Another copy of a file with other metadata; every other byte of it stays."""

from __future__ import annotations

import binascii
import io
import zlib
from collections.abc import Mapping

from diffc.container import layout
from diffc.container.chunks import METADATA_KINDS, read_table
from diffc.container.reader import parse_header, read_body
from diffc.container.writer import check_metadata, stored_metadata
from diffc.entropy import varint

_FLAGS_AT = len(layout.MAGIC)


def with_metadata(data: bytes, changes: Mapping[str, bytes | None]) -> bytes:
    """Return a file whose metadata is changed; picture, alpha and unknown chunks are the same.

    Parameters
    ----------
    data : bytes
        A whole file.
    changes : mapping
        Any of exif, icc, xmp, caption and preview, and what takes its place; None for nothing.

    Raises
    ------
    FileError
        The file is damaged or ends early.
    ValueError
        New metadata is more than a file may hold.
    """
    header = parse_header(data)
    read_body(header, io.BytesIO(data[header.header_length :]).read)
    kept = {name: item for name, item in changes.items() if item is not None}
    check_metadata(kept)
    end = header.header_length - layout.CHECKS_LENGTH
    start = end - header.metadata_bytes
    stream = io.BytesIO(data[start:end])
    table = read_table(stream.read) if header.metadata_bytes else []
    stored = {chunk: b"" if chunk.in_body else stream.read(chunk.length) for chunk in table}
    changed = {METADATA_KINDS[name] for name in changes}
    entries = [
        (chunk.type_byte, chunk.length, content)
        for chunk, content in stored.items()
        if chunk.kind not in changed
    ]
    for type_byte, content in stored_metadata(kept):
        # where a new file would have it
        place = sum(each[0] & 0x1F < type_byte & 0x1F for each in entries)
        entries.insert(place, (type_byte, len(content), content))
    if len(entries) > layout.MOST_CHUNKS:
        raise ValueError(f"a file has at most {layout.MOST_CHUNKS} chunks, not {len(entries)}")
    made = bytearray(data[:start])
    made[_FLAGS_AT] = made[_FLAGS_AT] & ~layout.HAS_CHUNKS | (layout.HAS_CHUNKS if entries else 0)
    if entries:
        made += varint.encode(len(entries))
    for type_byte, length, _ in entries:
        made += bytes([type_byte]) + varint.encode(length)
    made += b"".join(content for _, _, content in entries)
    body = data[header.header_length :]
    made += zlib.crc32(body, zlib.crc32(made)).to_bytes(4, "big")
    made += binascii.crc_hqx(made, 0xFFFF).to_bytes(2, "big")
    return bytes(made) + body
