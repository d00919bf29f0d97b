"""Optional parts of a file: metadata in its header, alpha in its body."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from diffc.container import caption_words
from diffc.container.layout import ALPHA_MODES, METADATA_LIMIT, MOST_CHUNKS, NUMBER_END
from diffc.entropy import varint
from diffc.errors import FileError

KINDS = {1: "exif", 2: "icc", 3: "xmp", 4: "caption", 5: "preview", 6: "alpha"}
METADATA_KINDS = {name: kind for kind, name in KINDS.items() if name != "alpha"}

_ALPHA_KIND = 6

# Flags of the type byte.
REQUIRED = 0x80
IN_BODY = 0x40
DEFLATED = 0x20
_KIND = 0x1F
ALPHA_TYPE = _ALPHA_KIND | REQUIRED | IN_BODY
# The type bytes that the known kinds may have.
_TYPE_BYTES = {
    ALPHA_TYPE,
    *METADATA_KINDS.values(),
    *(kind | DEFLATED for kind in METADATA_KINDS.values()),
}


@dataclass(frozen=True, slots=True)
class Chunk:
    """One entry of the chunk table: the type byte and the bytes stored for it."""

    type_byte: int
    length: int

    @property
    def kind(self) -> int:
        """The kind, 0 to 31, whatever its flags."""
        return self.type_byte & _KIND

    @property
    def name(self) -> str:
        """The kind's name, or its number where this release has no name for it."""
        return KINDS.get(self.kind, f"kind {self.kind}")

    @property
    def known(self) -> bool:
        """Whether this release reads the kind."""
        return self.kind in KINDS

    @property
    def in_body(self) -> bool:
        """Whether the data stands in the body, not in the header."""
        return bool(self.type_byte & IN_BODY)


def read_table(take: Callable[[int], bytes]) -> list[Chunk]:
    """Read the table; `FileError` where a number is over what the format allows.

    `take` returns exactly as many next bytes as asked for, or raises.
    """
    count = varint.read(take, NUMBER_END)
    if not 1 <= count <= MOST_CHUNKS:
        raise FileError(f"a file has 1 to {MOST_CHUNKS} chunks, got {count}: the file is damaged")
    table = []
    for _ in range(count):
        chunk = Chunk(take(1)[0], varint.read(take, NUMBER_END))
        if not chunk.in_body and chunk.length > METADATA_LIMIT:
            raise FileError(
                f"a chunk of the header has at most {METADATA_LIMIT} bytes, {chunk.name} has "
                f"{chunk.length}: the file is damaged or made to exhaust memory"
            )
        table.append(chunk)
    return table


def check_table(table: Iterable[Chunk], mode: str) -> None:
    """Raise `FileError` where the chunks do not fit each other, the mode or this release."""
    seen: set[int] = set()
    for chunk in table:
        if chunk.kind in seen:
            raise FileError(f"a file has one chunk of a kind, {chunk.name} occurs twice: remake it")
        seen.add(chunk.kind)
        if not chunk.known:
            if chunk.type_byte & REQUIRED:
                raise FileError(
                    f"the file cannot be read without its chunk of {chunk.name}, "
                    "unknown to this diffc: update diffc"
                )
        elif chunk.type_byte not in _TYPE_BYTES:
            raise FileError(
                f"metadata is optional and in the header, alpha required and in the body, "
                f"but {chunk.name} has type byte 0x{chunk.type_byte:02x}: remake the file"
            )
    has_alpha = _ALPHA_KIND in seen
    if has_alpha != (mode in ALPHA_MODES):
        raise FileError(
            f"a file has an alpha chunk if its mode is LA or RGBA, the mode is {mode} and "
            f"there is {'one' if has_alpha else 'none'}: remake the file"
        )


def unpack(chunk: Chunk, data: bytes) -> bytes:
    """Return the metadata that was stored as `data`; `FileError` if that is not valid."""
    if chunk.type_byte & DEFLATED:
        data = _inflate(chunk.name, data)
    if chunk.name == "caption":
        try:
            data.decode()
        except UnicodeDecodeError as error:
            raise FileError(f"a caption is UTF-8, this one is not: {error.reason}") from error
    return data


def _inflate(name: str, data: bytes) -> bytes:
    stream, kind = zlib.decompressobj(), "zlib stream"
    if name == "caption":
        stream, kind = caption_words.inflater(), "deflate stream"
    try:
        # One byte over the limit, to tell a stream that ends there from one that goes on.
        inflated = stream.decompress(data, METADATA_LIMIT + 1)
    except zlib.error as error:
        raise FileError(f"{name} is not a {kind}, {error}: remake the file") from error
    if len(inflated) > METADATA_LIMIT:
        raise FileError(
            f"metadata has at most {METADATA_LIMIT} bytes, {name} inflates to more: "
            "the file is damaged or made to exhaust memory"
        )
    if not stream.eof or stream.unused_data:
        raise FileError(f"{name} is exactly one {kind}, its data is not: remake the file")
    return inflated
