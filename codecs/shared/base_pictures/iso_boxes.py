"""A still picture in boxes, as AVIF and HEIC have it: the smallest such file, written and taken apart.

The boxes are those of ISO/IEC 14496-12 (ISO base media file format) and 23008-12 (HEIF).
"""

from __future__ import annotations

from dataclasses import dataclass

from diffc.errors import FileError

# pictures are items of this handler (23008-12, 6.2); the rest of the box is reserved or a name
_HANDLER = bytes(4) + b"pict" + bytes(13)
_ITEM = 1


@dataclass(frozen=True)
class StillItem:
    """The one coded picture of a file.

    Parameters
    ----------
    kind : bytes
        Item type of four bytes, such as ``b"av01"``.
    coded : bytes
        The item's data.
    properties : dict
        Item properties: contents of their boxes by type.
    """

    kind: bytes
    coded: bytes
    properties: dict[bytes, bytes]


def box(kind: bytes, contents: bytes) -> bytes:
    """Return a box of a type of four bytes (14496-12, 4.2)."""
    return (8 + len(contents)).to_bytes(4, "big") + kind + contents


def full_box(kind: bytes, version: int, flags: int, contents: bytes) -> bytes:
    """Return a box with a version and flags (14496-12, 4.2)."""
    return box(kind, bytes([version]) + flags.to_bytes(3, "big") + contents)


def extent_property(size: tuple[int, int]) -> bytes:
    """Return ``ispe``, a picture's width and height in pixels (23008-12, 6.5.3)."""
    return full_box(b"ispe", 0, 0, size[0].to_bytes(4, "big") + size[1].to_bytes(4, "big"))


def depth_property(channels: int) -> bytes:
    """Return ``pixi``, eight bits a sample in each channel (23008-12, 6.5.6)."""
    return full_box(b"pixi", 0, 0, bytes([channels]) + b"\x08" * channels)


def still_file(
    brands: tuple[bytes, ...], kind: bytes, properties: list[tuple[bytes, bool]], coded: bytes
) -> bytes:
    """Write a file of one picture.

    Parameters
    ----------
    brands : tuple of bytes
        The major brand, then those that the file is compatible with.
    kind : bytes
        Item type.
    properties : list of (box, whether a reader must know it)
        At most 127.
    coded : bytes
        The item's data, below 4 GiB.

    Returns
    -------
    bytes
        ``ftyp``, ``meta`` and ``mdat``.
    """
    # 32-bit offsets and lengths are plenty, so there is no form with longer ones
    if len(coded) >= 1 << 31:
        raise FileError(f"a coded picture has below 2 GiB, not {len(coded)} bytes: it is damaged")
    start = box(b"ftyp", brands[0] + bytes(4) + b"".join(brands[1:]))
    # the box of offsets is equally long whatever they are
    offset = len(start) + len(_meta(kind, properties, 0, len(coded))) + 8
    return start + _meta(kind, properties, offset, len(coded)) + box(b"mdat", coded)


def _meta(kind: bytes, properties: list[tuple[bytes, bool]], offset: int, length: int) -> bytes:
    item = _ITEM.to_bytes(2, "big")
    one = b"\x00\x01"
    # offsets and lengths of four bytes, no base offset; item, data in this file, one extent
    location = b"\x44\x00" + one + item + bytes(2) + one
    location += offset.to_bytes(4, "big") + length.to_bytes(4, "big")
    entry = full_box(b"infe", 2, 0, item + bytes(2) + kind + b"\x00")
    # one item, and its properties by their place, the highest bit for those a reader must know
    places = bytes(place | 0x80 * must for place, (_, must) in enumerate(properties, start=1))
    association = one.rjust(4, b"\x00") + item + bytes([len(places)]) + places
    shared = box(b"ipco", b"".join(contents for contents, _ in properties))
    return full_box(
        b"meta",
        0,
        0,
        full_box(b"hdlr", 0, 0, _HANDLER)
        + full_box(b"pitm", 0, 0, item)
        + full_box(b"iloc", 0, 0, location)
        + full_box(b"iinf", 0, 0, one + entry)
        + box(b"iprp", shared + full_box(b"ipma", 0, 0, association)),
    )


class _Fields:
    """Takes fields off a box, each checked to be there."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def left(self) -> int:
        return len(self._data) - self._at

    def take(self, length: int) -> bytes:
        if length > self.left():
            raise FileError(
                f"a box field has {length} bytes, only {self.left()} are left: the file is damaged"
            )
        self._at += length
        return self._data[self._at - length : self._at]

    def number(self, length: int) -> int:
        return int.from_bytes(self.take(length), "big")


def boxes(data: bytes) -> dict[bytes, bytes]:
    """Return the contents of boxes side by side, by their type; of equal types, the first.

    Raises
    ------
    FileError
        A box is longer than the data, or has a size that is not written in 32 bits.
    """
    found: dict[bytes, bytes] = {}
    fields = _Fields(data)
    while fields.left():
        length, kind = fields.number(4), fields.take(4)
        if length < 8:
            raise FileError(f"a box here has 8 bytes or more, not {length}: the file is damaged")
        found.setdefault(kind, fields.take(length - 8))
    return found


def _child(parent: dict[bytes, bytes], kind: bytes, skipped: int) -> _Fields:
    if kind not in parent:
        raise FileError(f"a still picture has a box {kind!r}, this file has none: it is damaged")
    fields = _Fields(parent[kind])
    fields.take(skipped)
    return fields


def still_item(data: bytes) -> StillItem:
    """Take a file of one picture apart.

    Parameters
    ----------
    data : bytes
        A file as encoders write it for one picture without alpha and metadata.

    Raises
    ------
    FileError
        The file has more than one item, stores it in pieces or elsewhere, or is damaged.
    """
    meta = boxes(_rest(_child(boxes(data), b"meta", 4)))
    entries = _child(meta, b"iinf", 4)
    count = entries.number(2)
    entry = _child(boxes(_rest(entries)), b"infe", 0)
    version, _, item, _, kind = (entry.number(each) for each in (1, 3, 2, 2, 4))
    if count != 1 or version != 2 or item != _child(meta, b"pitm", 4).number(2):
        raise FileError(f"a still picture is one item of version 2, not {count}: it is not one")
    offset, length = _extent(_child(meta, b"iloc", 0))
    if offset + length > len(data):
        raise FileError(
            f"an item ends inside its file, not {offset + length - len(data)} bytes after it: "
            "the file is damaged"
        )
    container = boxes(_rest(_child(meta, b"iprp", 0)))
    properties = boxes(_rest(_child(container, b"ipco", 0)))
    return StillItem(kind.to_bytes(4, "big"), data[offset : offset + length], properties)


def _rest(fields: _Fields) -> bytes:
    return fields.take(fields.left())


def _extent(fields: _Fields) -> tuple[int, int]:
    """Return where the only item starts and how long it is (14496-12, 8.11.3, version 0)."""
    version, _ = fields.number(1), fields.take(3)
    sizes, base_sizes, count = fields.number(1), fields.number(1), fields.number(2)
    _, reference = fields.number(2), fields.number(2)
    offset = fields.number(base_sizes >> 4)
    if (version, count, reference, fields.number(2)) != (0, 1, 0, 1):
        raise FileError("a still picture is one item in one piece, not in parts: it is not one")
    return offset + fields.number(sizes >> 4), fields.number(sizes & 15)
