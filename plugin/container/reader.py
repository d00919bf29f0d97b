"""Read the header of a file: all that is known before its pixels are decoded."""

from __future__ import annotations

import binascii
import io
import zlib
from collections.abc import Callable

from diffc.container import layout
from diffc.container.chunks import check_table, read_table, unpack
from diffc.container.diagnosis import diagnose, newer_version
from diffc.container.header import Header
from diffc.entropy import varint
from diffc.errors import ChecksumError, FileError, NotDiffcError, TruncatedError


class _Source:
    """Bytes of a stream, kept for the checks; asks for no byte behind those it is told of."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read = read
        self.data = bytearray()
        self.position = 0

    def fill(self, count: int) -> None:
        """Get `count` bytes behind the position, or all there are."""
        end = self.position + count
        while (missing := end - len(self.data)) > 0:
            piece = self._read(min(missing, layout.PIECE))
            if not piece:
                break
            self.data += piece

    def take(self, count: int) -> bytes:
        """Return the next `count` bytes."""
        self.fill(count)
        start, self.position = self.position, self.position + count
        if len(self.data) < self.position:
            raise TruncatedError("the file ends inside its header: copy it again from its source")
        return bytes(self.data[start : self.position])


def parse_header(data: bytes) -> Header:
    """Return the header at the start of `data`; see `read_header`."""
    return read_header(io.BytesIO(data).read)


def read_header(read: Callable[[int], bytes]) -> Header:
    """Read a header and leave the stream at the first byte of the body.

    Parameters
    ----------
    read : callable
        The `read` of a binary stream: returns at most as many next bytes as asked for, none at
        the end. It is never asked for more than 64 KiB at once or for a byte of the body.

    Raises
    ------
    NotDiffcError
        The bytes do not start as a DIFFC file does.
    FileError
        The header is damaged, ends early, breaks a rule or needs a newer release.
    """
    source = _Source(read)
    flags = _read_start(source)
    take = source.take
    id_byte, lengths = take(2)
    mode = layout.MODES[id_byte >> 6]
    id_length = (id_byte & 0x3F) + 1
    bitstream_version = _continued(take, lengths & 0x0F)
    parameters_length = _continued(take, lengths >> 4)
    if parameters_length > layout.LONGEST_PARAMETERS:
        raise FileError(
            f"parameters have at most {layout.LONGEST_PARAMETERS} bytes, got {parameters_length}: "
            "the file is damaged"
        )
    # In one read what must follow at least: with three numbers, checks and an empty chunk.
    fingerprint_length = layout.FINGERPRINT_LENGTH if flags & layout.HAS_FINGERPRINT else 0
    least = id_length + parameters_length + fingerprint_length + 3 + layout.CHECKS_LENGTH
    source.fill(least + (3 if flags & layout.HAS_CHUNKS else 0))
    codec = take(id_length).decode("ascii", "replace")
    parameters = take(parameters_length)
    fingerprint = take(fingerprint_length) or None
    size = (varint.read(take, layout.NUMBER_END), varint.read(take, layout.NUMBER_END))
    payload_length = varint.read(take, layout.PAYLOAD_END)

    chunks_start = source.position
    table = read_table(take) if flags & layout.HAS_CHUNKS else []
    source.fill(sum(chunk.length for chunk in table if not chunk.in_body) + layout.CHECKS_LENGTH)
    stored = [(chunk, take(chunk.length)) for chunk in table if not chunk.in_body]
    metadata_bytes = source.position - chunks_start
    header_crc, body_crc = _read_checks(source)

    # Only now are the fields what the writer wrote, and worth an opinion.
    if rule := layout.broken_rule(codec, bitstream_version, size):
        raise FileError(rule)
    check_table(table, mode)
    return Header(
        codec=codec,
        bitstream_version=bitstream_version,
        parameters=parameters,
        fingerprint=fingerprint,
        mode=mode,
        size=size,
        payload_length=payload_length,
        metadata={chunk.name: unpack(chunk, data) for chunk, data in stored if chunk.known},
        body_chunks={chunk.name: chunk.length for chunk in table if chunk.in_body},
        header_length=source.position,
        metadata_bytes=metadata_bytes,
        header_crc=header_crc,
        body_crc=body_crc,
    )


def _read_start(source: _Source) -> int:
    """Read magic and version; return the byte of version and flags."""
    source.fill(layout.SHORTEST_HEADER)
    start = bytes(source.data)
    if not start.startswith(layout.MAGIC):
        raise NotDiffcError(
            diagnose(start)
            or f"a DIFFC file starts with {layout.MAGIC.hex(' ')}, "
            f"got {start[:4].hex(' ') or 'nothing'}: open it as another format"
        )
    source.take(len(layout.MAGIC))
    flags = source.take(1)[0]
    version = flags & layout.VERSION_MASK
    if version > layout.CONTAINER_VERSION:
        raise FileError(newer_version(version))
    if version < layout.CONTAINER_VERSION or flags & layout.RESERVED_FLAGS:
        raise FileError(
            f"the byte behind the magic is a version from 1 and known flags, got 0x{flags:02x}: "
            "the file is damaged or newer than this diffc"
        )
    return flags


def _continued(take: Callable[[int], bytes], nibble: int) -> int:
    """Return the number that starts with `nibble`."""
    if nibble < layout.NIBBLE_ESCAPE:
        return nibble
    return nibble + varint.read(take, layout.NUMBER_END)


def _read_checks(source: _Source) -> tuple[int, int]:
    """Verify the check of the header; return its CRC-32 and the one stored for the file."""
    header_crc = zlib.crc32(source.data[: source.position])
    body_crc = int.from_bytes(source.take(4), "big")
    expected = binascii.crc_hqx(source.data[: source.position], 0xFFFF)
    stored = int.from_bytes(source.take(2), "big")
    if stored != expected:
        raise ChecksumError(
            f"the check of a header is over its bytes, {expected:04x} here, but {stored:04x} is "
            "stored: the file is damaged, copy it again from its source"
        )
    return header_crc, body_crc
