"""What the header of a file says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The fields of a header, checked.

    Attributes
    ----------
    codec : str
        Id of the codec.
    bitstream_version : int
        Version of the codec's bitstream, 1 to 65535.
    parameters : bytes
        The codec's own parameters, up to 4096 bytes.
    fingerprint : bytes or None
        Four bytes that tell the model, None if the codec has none.
    mode : str
        L, LA, RGB or RGBA.
    size : tuple of int
        Width and height in pixels, 1 to 2**31 each.
    payload_length : int
        Bytes of the codec's payload, below 2**40.
    metadata : mapping
        Those of exif, icc, xmp, caption and preview that are there, inflated, up to 1 MiB each.
    body_chunks : mapping
        Bytes of each chunk that stands before the payload, in order: alpha, or unknown kinds.
    header_length : int
        Bytes of the header, both checks included.
    metadata_bytes : int
        Bytes in the file for the chunk table and the metadata as stored.
    header_crc : int
        CRC-32 of the header up to `body_crc`; the check goes on from here over the body.
    body_crc : int
        CRC-32 over the file, as stored.
    """

    codec: str
    bitstream_version: int
    parameters: bytes
    fingerprint: bytes | None
    mode: str
    size: tuple[int, int]
    payload_length: int
    metadata: Mapping[str, bytes]
    body_chunks: Mapping[str, int]
    header_length: int
    metadata_bytes: int
    header_crc: int
    body_crc: int

    @property
    def alpha_bytes(self) -> int:
        """Bytes of the alpha chunk, 0 without one."""
        return self.body_chunks.get("alpha", 0)

    @property
    def file_length(self) -> int:
        """Bytes of the whole file."""
        return self.header_length + sum(self.body_chunks.values()) + self.payload_length
