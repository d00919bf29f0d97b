"""An HEVC still picture without its file: cut down to the slice, and written around it again.

The slice goes without its NAL unit header, and the parameter sets are fixed by this format.
Clauses without a standard are those of ITU-T H.265.
"""

from __future__ import annotations

import io
import struct

from diffc.codecs.shared.base_pictures.checks import check_size
from diffc.codecs.shared.base_pictures.hevc_parameters import (
    LEVEL,
    LONGEST_SIDE,
    PICTURE_PARAMETERS,
    coded_size,
    profile,
    sequence_bits,
    sequence_parameters,
    unescaped,
    video_parameters,
)
from diffc.codecs.shared.base_pictures.iso_boxes import (
    box,
    depth_property,
    extent_property,
    still_file,
    still_item,
)
from diffc.errors import FileError

# the header of a NAL unit of type IDR_N_LP (7.3.1.2), layer 0
_SLICE_HEADER = b"\x28\x01"
_SEI_KINDS = (39, 40)
_SEQUENCE, _PICTURE = 33, 34

# as in `diffc.codecs.shared.base_pictures.av1_file`: BT.709 primaries, sRGB transfer, BT.601 matrix,
# full range
_COLOUR_PROPERTY = b"nclx" + struct.pack(">3HB", 1, 13, 6, 0x80)

# behind profile and level in hvcC: no segmentation, parallelism or depth above 8 bits, no rate
_CONFIGURATION = ">HBBBBHBB"


def slice_of(file: bytes, padded: tuple[int, int], *, grey: bool) -> bytes:
    """Cut a HEIC file of a padded size down to the contents of its slice.

    Raises
    ------
    FileError
        The file holds anything else than `rebuilt_file` can write.
    """
    item = still_item(file)
    sets = dict(_parameter_sets(item.properties.get(b"hvcC", b"")))
    bits = "".join(f"{byte:08b}" for byte in unescaped(sets.get(_SEQUENCE, b"")))
    # the level alone is the encoder's own choice, and changes nothing in decoding
    level = int(bits[96:104] or "0", 2)
    same = bits.startswith(sequence_bits(padded, grey=grey, level=level))
    if item.kind != b"hvc1" or not same or sets.get(_PICTURE) != PICTURE_PARAMETERS:
        raise FileError("HEVC base pictures have fixed parameter sets: these are others")
    units = [unit for unit in _units(item.coded) if unit[0] >> 1 not in _SEI_KINDS]
    if len(units) != 1 or units[0][:2] != _SLICE_HEADER:
        raise FileError(f"an HEVC base picture has one slice, not {len(units)}: it is another")
    return units[0][2:]


def _units(data: bytes) -> list[bytes]:
    """Return NAL units, each after its length of four bytes."""
    found = []
    stream = io.BytesIO(data)
    while prefix := stream.read(4):
        length = int.from_bytes(prefix, "big")
        unit = stream.read(length)
        if len(prefix) < 4 or len(unit) < length or length < 2:
            raise FileError(f"a NAL unit has {length} bytes, not {len(unit)}: it is cut off")
        found.append(unit)
    return found


def _parameter_sets(configuration: bytes) -> list[tuple[int, bytes]]:
    """Return types and NAL units of hvcC, which has one of each (ISO/IEC 14496-15, 8.3.2)."""
    found = []
    at = 23
    while at < len(configuration):
        if configuration[at + 1 : at + 3] != b"\x00\x01":
            raise FileError("an HEVC still picture has one parameter set of a type: not this one")
        length = int.from_bytes(configuration[at + 3 : at + 5], "big")
        unit = configuration[at + 5 : at + 5 + length]
        found.append((configuration[at] & 0x3F, unit))
        at += 5 + length
    return found


def rebuilt_file(coded: bytes, size: tuple[int, int], *, grey: bool) -> bytes:
    """Write the HEIC file that a coded picture was cut from, as this format fixes it.

    Raises
    ------
    FileError
        The size is none of this format, or the coded picture is empty.
    """
    check_size(size, LONGEST_SIDE)
    if not coded:
        raise FileError("an HEVC base picture has a slice, this one is empty: the file is damaged")
    padded = coded_size(size)
    sets = [video_parameters(grey=grey), sequence_parameters(padded, grey=grey), PICTURE_PARAMETERS]
    chroma = 0 if grey else 1
    configuration = b"\x01" + profile(grey=grey) + bytes([LEVEL])
    # the last byte before the sets: one layer, nesting, lengths of four bytes
    configuration += struct.pack(
        _CONFIGURATION, 0xF000, 0xFC, 0xFC | chroma, 0xF8, 0xF8, 0, 0b00_001_1_11, len(sets)
    )
    for kind, unit in enumerate(sets, start=32):
        # complete, and one unit of each type
        configuration += struct.pack(">BHH", 0x80 | kind, 1, len(unit)) + unit
    properties = [
        (box(b"hvcC", configuration), True),
        (box(b"colr", _COLOUR_PROPERTY), False),
        (extent_property(padded), False),
        (depth_property(1 if grey else 3), False),
    ]
    unit = _SLICE_HEADER + coded
    brand = b"heix" if grey else b"heic"
    brands = (brand, b"mif1", brand, b"miaf")
    return still_file(brands, b"hvc1", properties, len(unit).to_bytes(4, "big") + unit)
