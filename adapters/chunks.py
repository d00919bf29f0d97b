"""Chunks of arrays as pictures, each a file of its own, whichever library stores them."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from diffc.api import encode
from diffc.codec import DecodeOptions
from diffc.container.reader import read_body, read_header
from diffc.decode_options import decode_options
from diffc.encoding import check_options
from diffc.errors import FileError

# metadata of an array come from elsewhere, and are for all of its chunks
_REFUSED = (
    "model", "device", "exif", "icc_profile", "xmp", "progress", "allow_download"
)  # fmt: skip


def check_chunk_options(options: Mapping[str, Any]) -> None:
    """Check options of `diffc.encode` that stand in an array's metadata.

    Raises
    ------
    ValueError
        If one cannot hold, or is of one machine or one picture.
    """
    if refused := [name for name in _REFUSED if name in options]:
        raise ValueError(f"{refused[0]} has no place in an array's metadata: drop it")
    check_options(options)


def picture_shape(shape: Sequence[int]) -> tuple[int, ...]:
    """Return the shape of a chunk's picture, without axes of 1 before it.

    Raises
    ------
    ValueError
        If it is not (height, width) or (height, width, 1 to 4).
    """
    for skipped in range(max(0, len(shape) - 1)):
        found = tuple(shape[skipped:])
        if len(found) == 2 or (len(found) == 3 and 1 <= found[2] <= 4):
            return found
        if found[0] != 1:
            break
    raise ValueError(
        "a chunk is one picture, (height, width) or (height, width, 1 to 4), also after axes of 1, "
        f"not {tuple(shape)}: choose such chunks"
    )


def encode_chunk(chunk: Any, options: Mapping[str, Any]) -> bytes:
    """Return the file of a chunk of uint8."""
    array = np.asarray(chunk)
    check_chunk_options(options)
    return encode(array.reshape(picture_shape(array.shape)), **options)


def decode_chunk(
    data: bytes, options: DecodeOptions | None, shape: Sequence[int] | None = None
) -> np.ndarray[Any, Any]:
    """Return the picture of a file; of a chunk's shape, which the file must have.

    Raises
    ------
    OSError
        If it is damaged, or a picture of another shape.
    """
    from diffc.reconstruction import check_size, decode_body

    file = io.BytesIO(data)
    header = read_header(file.read)
    check_size(header.size)
    if shape is not None and picture_shape(shape)[:2] != header.size[::-1]:
        raise FileError(f"the chunk's shape is {tuple(shape)}, and its file's size {header.size}")
    array = np.array(decode_body(header, read_body(header, file.read), decode_options(options)))
    if shape is not None and array.size != np.prod(shape):
        raise FileError(f"the chunk's shape is {tuple(shape)}, and its file's mode {header.mode}")
    return array if shape is None else array.reshape(shape)
