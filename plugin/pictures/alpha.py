"""Lossless alpha, as the pixel data of a greyscale PNG without its boxes."""

from __future__ import annotations

import io
import struct
import zlib

from PIL import Image

_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def encode_alpha(alpha: Image.Image) -> bytes:
    """Return the bit depth (1 or 8) in a byte and the PNG's zlib stream of a mode L image.

    Of one that has a single value throughout, 0 and that value.
    """
    counts = alpha.histogram()
    values = [value for value, count in enumerate(counts) if count]
    if len(values) == 1:
        return bytes([0, *values])
    two_valued = all(count == 0 for count in counts[1:255])
    plain = alpha.convert("1", dither=Image.Dither.NONE) if two_valued else alpha.copy()
    # what the picture says of its colours would be written too, and may not fit grey
    plain.info.clear()
    file = io.BytesIO()
    plain.save(file, "PNG", optimize=True)
    data, position, stream = file.getvalue(), len(_SIGNATURE), b""
    while position < len(data):
        (length,) = struct.unpack_from(">I", data, position)
        if data[position + 4 : position + 8] == b"IDAT":
            stream += data[position + 8 : position + 8 + length]
        position += length + 12
    return bytes([1 if two_valued else 8]) + stream


def decode_alpha(data: bytes, size: tuple[int, int]) -> Image.Image:
    """Return the mode L image of a size whose data `encode_alpha` gave.

    Raises
    ------
    OSError
        If the data is not such an image.
    """
    if len(data) == 2 and data[0] == 0:
        return Image.new("L", size, data[1])
    depth = data[0] if data else 0
    if depth not in (1, 8):
        raise OSError(f"alpha has 1 or 8 bits, not {depth}: the file is damaged")
    # inflated here with a limit, because a PNG reader ignores data beyond the picture
    row = 1 + -(-size[0] * depth // 8)
    inflater = zlib.decompressobj()
    try:
        pixels = inflater.decompress(data[1:], row * size[1] + 1)
    except zlib.error as error:
        raise OSError(
            f"the alpha channel cannot be inflated ({error}): the file is damaged"
        ) from error
    if len(pixels) != row * size[1] or not inflater.eof or inflater.unused_data:
        raise OSError(f"alpha is not {row * size[1]} inflated bytes: the file is damaged")
    header = struct.pack(">IIBBBBB", *size, depth, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", data[1:]), (b"IEND", b""))
    png = _SIGNATURE + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )
    try:
        with Image.open(io.BytesIO(png), formats=["PNG"]) as image:
            return image.convert("L")
    except (SyntaxError, ValueError) as error:
        raise OSError(f"the alpha channel is no picture ({error}): the file is damaged") from error
