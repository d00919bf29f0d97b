"""The sequence header of an AV1 still picture, all of it but seven bits known from the size.

Clauses are those of the AV1 Bitstream & Decoding Process Specification, version 1.0.0 with
errata 1.  The header has ``reduced_still_picture_header`` set, and therefore neither operating
points nor timing nor frame ids, and its frame cannot have another size than it says:
``frame_size_override_flag`` is then 0 (5.9.2), so the size that is written here is the size
that a decoder allocates and returns, whatever bits of the frame are damaged.
"""

from __future__ import annotations

from diffc.codecs.shared.base_pictures.bit_fields import BitReader, BitWriter
from diffc.errors import FileError

LONGEST_SIDE = 1 << 15

# the only level that holds for every size and promises a decoder nothing (Annex A.3)
LEVEL = 31

# what BT.709 primaries, sRGB transfer and BT.601 matrix are called in ISO/IEC 23091-2 (CICP)
COLOUR = (1, 13, 6)

_BROKEN_RULE = "an AV1 base picture has {0} {1} in its sequence header, not {2}: it is not one"


def write_header(size: tuple[int, int], *, grey: bool, tools: int) -> bytes:
    """Write the sequence header (5.5).

    Parameters
    ----------
    size : (int, int)
        Width and height, 1 to 65536 pixels each.
    grey : bool
        Whether the picture has no chroma.
    tools : int
        Seven bits, from the highest: ``use_128x128_superblock``, ``enable_filter_intra``,
        ``enable_intra_edge_filter``, ``enable_superres``, ``enable_cdef``,
        ``enable_restoration``, ``separate_uv_delta_q`` (left out if `grey`).
    """
    writer = BitWriter()
    writer.number(0b000_1_1, 5)  # seq_profile, still_picture, reduced_still_picture_header
    writer.number(LEVEL, 5)
    lengths = [max(1, (side - 1).bit_length()) for side in size]
    for length in lengths:
        writer.number(length - 1, 4)
    for side, length in zip(size, lengths, strict=True):
        writer.number(side - 1, length)
    writer.number(tools >> 1, 6)
    # color_config: high_bitdepth, mono_chrome, color_description_present_flag, color_range
    writer.number(0, 1)
    writer.number(grey, 1)
    writer.number(1, 1)
    for code in COLOUR:
        writer.number(code, 8)
    writer.number(1, 1)
    if not grey:
        writer.number(0, 2)  # chroma_sample_position: unknown
        writer.number(tools & 1, 1)
    writer.number(0, 1)  # film_grain_params_present
    return writer.trailed()


def read_tools(header: bytes, size: tuple[int, int], *, grey: bool) -> int:
    """Read an encoder's sequence header for the bits that `write_header` needs.

    Raises
    ------
    FileError
        The header says what `write_header` cannot: another size, profile, depth or colour, or
        film grain.
    """
    reader = BitReader(header)
    _require("profile and still picture flags", 0b000_1_1, reader.number(5))
    reader.number(5)
    lengths = [reader.number(4) + 1, reader.number(4) + 1]
    _require("the size", size, tuple(reader.number(length) + 1 for length in lengths))
    tools = reader.number(6) << 1
    _require("high_bitdepth", 0, reader.number(1))
    _require("mono_chrome", int(grey), reader.number(1))
    if reader.number(1):
        _require("the colour", COLOUR, tuple(reader.number(8) for _ in COLOUR))
    _require("color_range", 1, reader.number(1))
    if not grey:
        # where chroma lies between luma changes neither decoding nor our conversion to RGB
        reader.number(2)
        tools |= reader.number(1)
    _require("film_grain_params_present", 0, reader.number(1))
    return tools


def _require(field: str, needed: object, found: object) -> None:
    if found != needed:
        raise FileError(_BROKEN_RULE.format(field, needed, found))
