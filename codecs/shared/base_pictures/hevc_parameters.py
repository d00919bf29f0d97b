"""The parameter sets of an HEVC still picture, fixed by this format but for the size.

Clauses are those of ITU-T H.265.  They say what x265 uses for a still picture at its preset
`slow` without wavefronts, which is also what makes them the only ones a slice here may need.
"""

from __future__ import annotations

from diffc.codecs.shared.base_pictures.bit_fields import BitWriter

# a coded side is a multiple of the smallest coding block, and libheif pads to the largest
SIDE_MULTIPLE = 8
SHORTEST_SIDE = 64
LONGEST_SIDE = 8192

# level 6.2; decoders are told the size anyway
LEVEL = 186

# profile 3 (Main Still Picture), or 4 (format range extensions) with the flags of Monochrome:
# profile_idc with space and tier 0, compatibility, and general_progressive_source_flag onwards
_PROFILE = {False: "0370000000900000000000", True: "04080000009ff800000000"}

# From bit_depth_luma_minus8 to strong_intra_smoothing_enabled_flag (7.3.2.2.1): 8 bits; blocks
# of 8 to 64 and transforms of 4 to 32 pixels, one split more in intra blocks; asymmetric
# partitions, sample adaptive offset and strong intra smoothing on; scaling lists, PCM off.
_TOOLS = "110010110111010100100100100101001101011"

# Picture parameter set (7.3.2.3.1): sign hiding, one depth of changes of the quantiser, no
# transform skip, no tiles, no wavefronts, loop filter across slices, deblocking not overridden.
PICTURE_PARAMETERS = bytes.fromhex("4401c172b02240")

_VIDEO, _SEQUENCE = 32, 33


def coded_size(size: tuple[int, int]) -> tuple[int, int]:
    """Return the size in pixels that a picture of `size` is padded to."""
    width, height = (max(SHORTEST_SIDE, -(-side // SIDE_MULTIPLE) * SIDE_MULTIPLE) for side in size)
    return width, height


def profile(*, grey: bool) -> bytes:
    """Return the eleven bytes of profile_tier_level before the level (7.3.3)."""
    return bytes.fromhex(_PROFILE[grey])


def sequence_bits(padded: tuple[int, int], *, grey: bool, level: int = LEVEL) -> str:
    """Return a sequence parameter set up to vui_parameters_present_flag, as 0 and 1 (7.3.2.2.1)."""
    writer = BitWriter()
    writer.number(0b0000_000_1, 8)  # video parameter set 0, one layer, nesting
    writer.number(int.from_bytes(profile(grey=grey), "big"), 88)
    writer.number(level, 8)
    writer.golomb(0)
    writer.golomb(0 if grey else 1)  # chroma_format_idc: none or 4:2:0
    for side in padded:
        writer.golomb(side)
    writer.number(0, 1)  # no conformance window: the size is a multiple of coding blocks
    writer.number(int(_TOOLS, 2), len(_TOOLS))
    return writer.bits()


def sequence_parameters(padded: tuple[int, int], *, grey: bool) -> bytes:
    """Return the NAL unit of the sequence parameter set for a padded size."""
    writer = BitWriter()
    bits = sequence_bits(padded, grey=grey)
    writer.number(int(bits, 2), len(bits))
    writer.number(0b00, 2)  # neither colour, which a box says, nor extensions
    return nal_unit(_SEQUENCE, writer.trailed())


def video_parameters(*, grey: bool) -> bytes:
    """Return the NAL unit of the video parameter set (7.3.2.1)."""
    writer = BitWriter()
    writer.number(0b0000_11_000000_000_1, 16)  # set 0, base layer within, one layer, nesting
    writer.number(0xFFFF, 16)
    writer.number(int.from_bytes(profile(grey=grey), "big"), 88)
    writer.number(LEVEL, 8)
    # as in the sequence: buffering 2, reordering 0, latency 1
    writer.number(1, 1)
    for number in (2, 0, 1):
        writer.golomb(number)
    writer.number(0, 6)  # one layer in one set, neither timing nor extensions
    writer.golomb(0)
    writer.number(0b00, 2)
    return nal_unit(_VIDEO, writer.trailed())


def nal_unit(kind: int, contents: bytes) -> bytes:
    """Return a NAL unit with emulation prevention (7.3.1)."""
    unit = bytearray([kind << 1, 1])
    zeros = 0
    for byte in contents:
        if zeros == 2 and byte <= 3:
            unit.append(3)
            zeros = 0
        unit.append(byte)
        zeros = zeros + 1 if byte == 0 else 0
    return bytes(unit)


def unescaped(unit: bytes) -> bytes:
    """Return the contents of a NAL unit without its header of two bytes (7.3.1)."""
    return unit[2:].replace(b"\x00\x00\x03", b"\x00\x00")
