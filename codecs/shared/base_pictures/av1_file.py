"""An AV1 still picture without its file: cut down to the frame, and written around it again.

Boxes, sequence header and OBU headers follow from the size, as this format fixes them.  Clauses
are those of the AV1 Bitstream & Decoding Process Specification.
"""

from __future__ import annotations

import io

from diffc.codecs.shared.base_pictures.av1_sequence import (
    COLOUR,
    LEVEL,
    LONGEST_SIDE,
    read_tools,
    write_header,
)
from diffc.codecs.shared.base_pictures.checks import check_size
from diffc.codecs.shared.base_pictures.iso_boxes import (
    box,
    depth_property,
    extent_property,
    still_file,
    still_item,
)
from diffc.entropy import varint
from diffc.errors import FileError

# obu_type, 6.2.2
_SEQUENCE_HEADER, _TEMPORAL_DELIMITER, _FRAME, _PADDING = 1, 2, 6, 15

# A frame whose first bit, disable_cdf_update (5.9.2), is 1 has no reason to be in a small
# picture, so that bit is free to say whether a byte with tools comes before the frame.
_HAS_TOOLS = 0x80
# enable_filter_intra, enable_intra_edge_filter, enable_cdef
_USUAL_TOOLS = 0b0110100

# nclx: primaries, transfer and matrix of 16 bits, then full_range_flag
_COLOUR_PROPERTY = b"nclx" + b"".join(code.to_bytes(2, "big") for code in COLOUR) + b"\x80"

_BRANDS = (b"avif", b"avif", b"mif1", b"miaf")


def frame_of(file: bytes, size: tuple[int, int], *, grey: bool) -> bytes:
    """Cut an AVIF file down to its frame, with a byte of tools before it if they are not usual.

    Raises
    ------
    FileError
        The file holds anything else than `rebuilt_file` can write.
    """
    item = still_item(file)
    if item.kind != b"av01" or item.properties.get(b"colr") != _COLOUR_PROPERTY:
        raise FileError("an AVIF file here holds AV1 in BT.601 and full range: this one does not")
    found = [(kind, data) for kind, data in _obus(item.coded) if kind != _TEMPORAL_DELIMITER]
    kinds = [kind for kind, _ in found if kind != _PADDING]
    if kinds != [_SEQUENCE_HEADER, _FRAME]:
        raise FileError(f"AV1 pictures are OBUs of types 1 and 6, not {kinds}: this is another")
    parts = dict(found)
    tools, frame = read_tools(parts[_SEQUENCE_HEADER], size, grey=grey), parts[_FRAME]
    if tools == _USUAL_TOOLS and frame[:1] < bytes([_HAS_TOOLS]):
        return frame
    return bytes([_HAS_TOOLS | tools]) + frame


def _obus(data: bytes) -> list[tuple[int, bytes]]:
    """Return types and contents of OBUs one after another (5.3)."""
    found = []
    stream = io.BytesIO(data)
    while header := stream.read(1):
        # forbidden bit, extension flag and reserved bit are 0, the size is there
        if header[0] & 0b1_0000_1_1_1 != 0b10:
            raise FileError(f"an OBU here has a size and no extension, not {header[0]:#x}")
        length = varint.read(stream.read, len(data))
        contents = stream.read(length)
        if len(contents) < length:
            raise FileError(f"an OBU has {length} bytes, not {len(contents)}: it is cut off")
        found.append((header[0] >> 3, contents))
    return found


def rebuilt_file(coded: bytes, size: tuple[int, int], *, grey: bool) -> bytes:
    """Write the AVIF file that a coded picture was cut from, as this format fixes it.

    Raises
    ------
    FileError
        The size is none of AV1, or the coded picture is empty.
    """
    check_size(size, LONGEST_SIDE)
    tools, frame = _USUAL_TOOLS, coded
    if coded[:1] >= bytes([_HAS_TOOLS]):
        tools, frame = coded[0] & 0x7F, coded[1:]
    if not frame:
        raise FileError("an AV1 base picture has a frame, this one is empty: the file is damaged")
    # av1C: version 1; profile 0 and level; tier, depth, mono_chrome and 4:2:0; no delay
    configuration = bytes([0x81, LEVEL, 0x1C if grey else 0x0C, 0])
    properties = [
        (extent_property(size), False),
        (depth_property(1 if grey else 3), False),
        (box(b"av1C", configuration), True),
        (box(b"colr", _COLOUR_PROPERTY), False),
    ]
    header = write_header(size, grey=grey, tools=tools)
    obus = _obu(_SEQUENCE_HEADER, header) + _obu(_FRAME, frame)
    return still_file(_BRANDS, b"av01", properties, obus)


def _obu(kind: int, contents: bytes) -> bytes:
    return bytes([kind << 3 | 0b10]) + varint.encode(len(contents)) + contents
