"""Read and verify what stands behind the header: alpha and the codec's payload."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from diffc.container.header import Header
from diffc.container.layout import PIECE
from diffc.errors import ChecksumError, FileError, TruncatedError


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
