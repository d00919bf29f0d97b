"""Read files: the header, then, verified, what stands behind it."""

from __future__ import annotations

import binascii
import io
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from diffc.container import layout
from diffc.container.chunks import check_table, read_table, unpack
from diffc.container.diagnosis import diagnose, newer_version
from diffc.container.header import Header
from diffc.container.layout import PIECE
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """The data of a body.

    Attributes
    ----------
    payload : bytes
        The codec's payload, or its start if `truncated`.
    alpha : bytes or None
        Data of the alpha chunk: PNG bit depth, then the zlib stream of a PNG's pixels.
    truncated : bool
        The payload ends early, so nothing here was verified.
    """

    payload: bytes
    alpha: bytes | None = None
    truncated: bool = False


def open_body(header: Header, body: bytes, *, allow_truncated: bool = False) -> Body:
    """Return the data of `body`, the bytes behind the header; see `read_body`."""
    return read_body(header, io.BytesIO(body).read, allow_truncated=allow_truncated)


def read_body(
    header: Header, read: Callable[[int], bytes], *, allow_truncated: bool = False
) -> Body:
    """Read the body of a file to its end and verify it.

    Parameters
    ----------
    header : Header
        The file's header.
    read : callable
        The `read` of a binary stream that stands at the first byte of the body. It is never
        asked for more than 64 KiB at once, whatever lengths the header claims.
    allow_truncated : bool
        Return a payload that ends early, unverified, instead of raising; for codecs that decode
        the start of a payload. The chunks before the payload must still be whole.

    Raises
    ------
    TruncatedError
        The file ends before its body does.
    ChecksumError
        A byte of the file is not what was written.
    FileError
        The file goes on behind its body.
    """
    crc = header.header_crc
    received = header.header_length
    alpha = None
    for name, length in header.body_chunks.items():
        kept = []
        for piece in _pieces(read, length):
            crc = zlib.crc32(piece, crc)
            length -= len(piece)
            received += len(piece)
            if name == "alpha":
                kept.append(piece)
        if length:
            raise _truncated(header, received)
        if name == "alpha":
            alpha = b"".join(kept)

    payload = b"".join(_pieces(read, header.payload_length))
    if len(payload) < header.payload_length:
        if allow_truncated:
            return Body(payload=payload, alpha=alpha, truncated=True)
        raise _truncated(header, received + len(payload))
    crc = zlib.crc32(payload, crc)
    if excess := sum(map(len, _pieces(read, PIECE))):
        raise FileError(
            f"a file ends with its payload, here follow {excess}{' or more' * (excess == PIECE)} "
            "bytes: cut them off or copy the file again from its source"
        )
    if crc != header.body_crc:
        raise ChecksumError(
            f"the check of a file is over its bytes, {crc:08x} here, but {header.body_crc:08x} is "
            "stored: the file is damaged, copy it again from its source"
        )
    return Body(payload=payload, alpha=alpha)


def _pieces(read: Callable[[int], bytes], length: int) -> Iterator[bytes]:
    """Yield the next `length` bytes in pieces, fewer where the stream ends."""
    while length > 0:
        piece = read(min(length, PIECE))
        if not piece:
            return
        length -= len(piece)
        yield piece


def _truncated(header: Header, received: int) -> TruncatedError:
    return TruncatedError(
        f"the image file is truncated: it has {header.file_length} bytes by its header, "
        f"{received} are here: copy it again"
    )
