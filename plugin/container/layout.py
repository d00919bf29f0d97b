"""The numbers of the container format and the rules of its fields, as in `docs/format.md`."""

from __future__ import annotations

from diffc.values import is_plain_name

# A first byte outside ASCII, then a pair that every change of line ends breaks.
MAGIC = b"\xd1\xfc\r\n"
CONTAINER_VERSION = 1
MODES = ("L", "LA", "RGB", "RGBA")
ALPHA_MODES = ("LA", "RGBA")

# The byte behind the magic: the container version below these flags.
VERSION_MASK = 0x0F
HAS_CHUNKS = 0x10
HAS_FINGERPRINT = 0x20
RESERVED_FLAGS = 0xC0

# A nibble of this value is continued by a varint.
NIBBLE_ESCAPE = 15

FINGERPRINT_LENGTH = 4
CHECKS_LENGTH = 6  # CRC-32 of the file, CRC-16 of the header
# One-letter id, one-byte numbers, no parameters, no fingerprint, no chunks.
SHORTEST_HEADER = len(MAGIC) + 3 + 1 + 3 + CHECKS_LENGTH

HIGHEST_BITSTREAM_VERSION = 65535
LONGEST_PARAMETERS = 4096
LONGEST_SIDE = 1 << 31
MOST_CHUNKS = 32
METADATA_LIMIT = 1 << 20  # bytes of one metadata item, stored and inflated
NUMBER_END = 1 << 32
PAYLOAD_END = 1 << 40

# Bytes asked from a stream at once, so that no field of a file sizes an allocation.
PIECE = 1 << 16


def broken_rule(codec: str, bitstream_version: int, size: tuple[int, int]) -> str | None:
    """Return which rule the fields break, None if they break none."""
    if not is_plain_name(codec):
        return (
            f"a codec id is 1 to 64 of a-z, 0-9, '.', '_' and '-' and starts with a letter or "
            f"digit, got {codec!r}: rename the codec"
        )
    if not 1 <= bitstream_version <= HIGHEST_BITSTREAM_VERSION:
        return (
            f"a bitstream version is 1 to {HIGHEST_BITSTREAM_VERSION}, got {bitstream_version}: "
            "number versions from 1"
        )
    if not all(1 <= side <= LONGEST_SIDE for side in size):
        return (
            f"a side has 1 to {LONGEST_SIDE} pixels, got {size[0]} x {size[1]}: "
            "store a picture that is not empty in parts that are not longer"
        )
    return None
