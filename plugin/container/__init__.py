"""The container format in one place: what reads and writes DIFFC files, byte by byte."""

from __future__ import annotations

from collections.abc import Mapping

from diffc.container.diagnosis import diagnose
from diffc.container.header import Header
from diffc.container.layout import CONTAINER_VERSION, MAGIC, METADATA_LIMIT
from diffc.container.reader import Body, open_body, parse_header, read_body, read_header
from diffc.container.writer import Envelope

__all__ = [
    "CONTAINER_VERSION",
    "MAGIC",
    "METADATA_LIMIT",
    "Body",
    "Envelope",
    "Header",
    "build",
    "diagnose",
    "open_body",
    "parse_header",
    "read_body",
    "read_header",
]


def build(
    *,
    codec: str,
    bitstream_version: int,
    mode: str,
    size: tuple[int, int],
    payload: bytes,
    parameters: bytes = b"",
    fingerprint: bytes | None = None,
    metadata: Mapping[str, bytes] | None = None,
    alpha: bytes | None = None,
) -> bytes:
    """Return a file; the arguments are those of `Envelope` and of its `build`."""
    envelope = Envelope(
        codec=codec,
        bitstream_version=bitstream_version,
        mode=mode,
        size=size,
        fingerprint=fingerprint,
        metadata=metadata or {},
        alpha=alpha,
    )
    return envelope.build(parameters, payload)
