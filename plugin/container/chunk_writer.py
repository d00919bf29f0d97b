"""Check and pack the optional parts of a file."""

from __future__ import annotations

import zlib
from collections.abc import Mapping

from diffc.container import caption_words
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
    if alpha[:1] not in (b"\x01", b"\x08"):
        raise ValueError(
            f"alpha starts with its bit depth, 1 or 8, got {alpha[:1]!r}: put it in front"
        )
    if len(alpha) >= NUMBER_END:
        raise ValueError(
            f"alpha has less than {NUMBER_END} bytes, got {len(alpha)}: store a smaller picture"
        )


def pack(metadata: Mapping[str, bytes], alpha: bytes | None) -> tuple[bytes, bytes]:
    """Return the chunk table, empty if there are no chunks, and the data for the header."""
    entries = []
    for name, kind in METADATA_KINDS.items():
        if name in metadata:
            plain = bytes(metadata[name])
            deflated = (
                caption_words.deflate(plain) if name == "caption" else zlib.compress(plain, 9)
            )
            shorter = len(deflated) < len(plain)
            entries.append((kind | DEFLATED, deflated) if shorter else (kind, plain))
    table = [bytes([type_byte]) + varint.encode(len(data)) for type_byte, data in entries]
    if alpha is not None:
        table.append(bytes([ALPHA_TYPE]) + varint.encode(len(alpha)))
    count = varint.encode(len(table)) if table else b""
    return count + b"".join(table), b"".join(data for _, data in entries)
