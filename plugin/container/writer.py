"""Write files of the container format, their optional parts checked and packed."""

from __future__ import annotations

import binascii
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from diffc.container import caption_words, layout
from diffc.container.chunks import ALPHA_TYPE, DEFLATED, METADATA_KINDS
from diffc.container.layout import ALPHA_MODES, METADATA_LIMIT, NUMBER_END
from diffc.entropy import varint


def check_metadata(metadata: Mapping[str, bytes]) -> None:
    """Raise `ValueError` unless the file may hold each item."""
    for name, data in metadata.items():
        if name not in METADATA_KINDS:
            raise ValueError(
                f"metadata is one of {', '.join(METADATA_KINDS)}, got {name!r}: leave it out"
            )
        if len(data) > METADATA_LIMIT:
            raise ValueError(
                f"metadata has at most {METADATA_LIMIT} bytes, {name} has {len(data)}: "
                "shorten it or leave it out"
            )
        if name == "caption":
            try:
                data.decode()
            except UnicodeDecodeError as error:
                raise ValueError(f"a caption is UTF-8, got {data[:40]!r}: encode it") from error


def check_alpha(alpha: bytes | None, mode: str) -> None:
    """Raise `ValueError` unless the data fits the mode."""
    if (alpha is not None) != (mode in ALPHA_MODES):
        raise ValueError(
            f"alpha is stored if the mode is LA or RGBA, the mode is {mode} and alpha is "
            f"{'missing' if alpha is None else 'given'}: change one of them"
        )
    if alpha is None:
        return
    if alpha[:1] not in (b"\x01", b"\x08") and not (alpha[:1] == b"\0" and len(alpha) == 2):
        raise ValueError(
            f"alpha starts with its bit depth, 1 or 8, or is 0 and one value, got {alpha[:2]!r}: "
            "put it in front"
        )
    if len(alpha) >= NUMBER_END:
        raise ValueError(
            f"alpha has less than {NUMBER_END} bytes, got {len(alpha)}: store a smaller picture"
        )


def stored_metadata(metadata: Mapping[str, bytes]) -> list[tuple[int, bytes]]:
    """Return the type byte of each item and what a file stores for it, deflated if that helps."""
    entries = []
    for name, kind in METADATA_KINDS.items():
        if name in metadata:
            plain = bytes(metadata[name])
            deflated = (
                caption_words.deflate(plain) if name == "caption" else zlib.compress(plain, 9)
            )
            shorter = len(deflated) < len(plain)
            entries.append((kind | DEFLATED, deflated) if shorter else (kind, plain))
    return entries


def pack(metadata: Mapping[str, bytes], alpha: bytes | None) -> tuple[bytes, bytes]:
    """Return the chunk table, empty if there are no chunks, and the data for the header."""
    entries = stored_metadata(metadata)
    table = [bytes([type_byte]) + varint.encode(len(data)) for type_byte, data in entries]
    if alpha is not None:
        table.append(bytes([ALPHA_TYPE]) + varint.encode(len(alpha)))
    count = varint.encode(len(table)) if table else b""
    return count + b"".join(table), b"".join(data for _, data in entries)


@dataclass(frozen=True, kw_only=True)
class Envelope:
    """All of a file but the codec's parameters and payload, checked and measured before them.

    Parameters
    ----------
    codec : str
        Id of the codec: 1 to 64 of a-z, 0-9, '.', '_', '-', the first a letter or digit.
    bitstream_version : int
        Version of the codec's bitstream, 1 to 65535.
    mode : str
        L, LA, RGB or RGBA.
    size : tuple of int
        Width and height in pixels, 1 to 2**31 each.
    fingerprint : bytes, optional
        Four bytes that tell the model.
    metadata : mapping, optional
        Any of exif, icc, xmp, caption (UTF-8) and preview, up to 1 MiB each. Stored deflated
        where that is shorter.
    alpha : bytes, optional
        PNG bit depth (1 or 8) in a byte, then the zlib stream of the PNG's pixels; given if and
        only if the mode is LA or RGBA.

    Raises
    ------
    ValueError
        An argument is outside its range.
    """

    codec: str
    bitstream_version: int
    mode: str
    size: tuple[int, int]
    fingerprint: bytes | None = None
    metadata: Mapping[str, bytes] = field(default_factory=dict)
    alpha: bytes | None = None

    def __post_init__(self) -> None:
        """Raise `ValueError` for a field outside its range."""
        if rule := layout.broken_rule(self.codec, self.bitstream_version, self.size):
            raise ValueError(rule)
        if self.mode not in layout.MODES:
            raise ValueError(f"a mode is L, LA, RGB or RGBA, got {self.mode!r}: convert the image")
        if self.fingerprint is not None and len(self.fingerprint) != layout.FINGERPRINT_LENGTH:
            raise ValueError(
                f"a fingerprint has {layout.FINGERPRINT_LENGTH} bytes, "
                f"got {len(self.fingerprint)}: cut it"
            )
        check_metadata(self.metadata)
        check_alpha(self.alpha, self.mode)

    @cached_property
    def _chunks(self) -> tuple[bytes, bytes]:
        return pack(self.metadata, self.alpha)

    def overhead(self, payload_length: int = 0, parameters_length: int = 0) -> int:
        """Return the bytes of a file besides its parameters and payload of these lengths."""
        header = self._header(bytes(parameters_length), payload_length)
        body_chunks = len(self.alpha or b"")
        return len(header) - parameters_length + layout.CHECKS_LENGTH + body_chunks

    def room(self, file_bytes: int, parameters_length: int = 0) -> int:
        """Return the length of the longest payload in a file of at most `file_bytes` bytes.

        Negative if even an empty payload does not fit: minus the bytes that are missing.
        """
        left = file_bytes - self.overhead(0, parameters_length) - parameters_length
        # Each further byte for the payload's length is one byte less for the payload.
        candidates = (
            min(left - extra, (1 << 7 * (extra + 1)) - 1)
            for extra in range(varint.length(layout.PAYLOAD_END - 1))
        )
        return left if left < 0 else min(max(candidates), layout.PAYLOAD_END - 1)

    def build(self, parameters: bytes, payload: bytes) -> bytes:
        """Return the file.

        Parameters
        ----------
        parameters : bytes
            The codec's own parameters, up to 4096 bytes.
        payload : bytes
            The codec's payload, below 2**40 bytes.

        Raises
        ------
        ValueError
            One of them is too long.
        """
        header = self._header(parameters, len(payload))
        body = (self.alpha or b"", payload)
        crc = zlib.crc32(header)
        for part in body:
            crc = zlib.crc32(part, crc)
        header += crc.to_bytes(4, "big")
        check = binascii.crc_hqx(header, 0xFFFF).to_bytes(2, "big")
        return b"".join((header, check, *body))

    def _header(self, parameters: bytes, payload_length: int) -> bytes:
        """Return the header without its checks."""
        if len(parameters) > layout.LONGEST_PARAMETERS:
            raise ValueError(
                f"parameters have at most {layout.LONGEST_PARAMETERS} bytes, "
                f"got {len(parameters)}: move data to the payload"
            )
        if payload_length >= layout.PAYLOAD_END:
            raise ValueError(
                f"a payload has less than {layout.PAYLOAD_END} bytes, got {payload_length}: "
                "store a smaller picture"
            )
        table, data = self._chunks
        flags = layout.CONTAINER_VERSION
        flags |= layout.HAS_CHUNKS if table else 0
        flags |= 0 if self.fingerprint is None else layout.HAS_FINGERPRINT
        codec = self.codec.encode("ascii")
        version_nibble, version_rest = _continued(self.bitstream_version)
        length_nibble, length_rest = _continued(len(parameters))
        fields = (
            layout.MAGIC,
            bytes([flags]),
            bytes([layout.MODES.index(self.mode) << 6 | len(codec) - 1]),
            bytes([length_nibble << 4 | version_nibble]),
            version_rest,
            length_rest,
            codec,
            parameters,
            self.fingerprint or b"",
            varint.encode(self.size[0]),
            varint.encode(self.size[1]),
            varint.encode(payload_length),
            table,
            data,
        )
        return b"".join(fields)


def _continued(value: int) -> tuple[int, bytes]:
    """Return the nibble of a number and the bytes that continue it."""
    if value < layout.NIBBLE_ESCAPE:
        return value, b""
    return layout.NIBBLE_ESCAPE, varint.encode(value - layout.NIBBLE_ESCAPE)


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
