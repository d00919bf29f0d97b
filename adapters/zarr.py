"""DIFFC as an array-to-bytes codec of zarr's format 3; each chunk is one picture.

zarr finds it by the entry point ``diffc``.  It is lossy: what is read is not what was written.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from diffc.adapters.chunks import check_chunk_options, decode_chunk, encode_chunk, picture_shape
from diffc.codec import DecodeOptions
from diffc.decode_options import options_in_force
from diffc.optional_packages import from_extra

with from_extra("zarr"):
    from zarr.abc.codec import ArrayBytesCodec
    from zarr.core.array_spec import ArraySpec
    from zarr.core.buffer import Buffer, NDBuffer


@dataclass(frozen=True, init=False)
class DiffcCodec(ArrayBytesCodec):
    """A picture of uint8, (height, width) or (height, width, 3), coded with loss.

    As in ``zarr.create_array(..., serializer=DiffcCodec(bpp=0.5), compressors=None)``.

    Parameters
    ----------
    **options
        Those of `diffc.encode` but for models and metadata, such as ``bpp=0.5``; they stand in the
        array's metadata.  Options of `diffc.decoding` hold if the array is opened in its block.
    """

    options: tuple[tuple[str, Any], ...]
    decoding: DecodeOptions | None = field(compare=False, repr=False)
    is_fixed_size = False

    def __init__(self, **options: Any) -> None:
        check_chunk_options(options)
        object.__setattr__(self, "options", tuple(sorted(options.items())))
        object.__setattr__(self, "decoding", options_in_force())

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> DiffcCodec:
        """Make the codec that metadata name; options that are unknown here hinder only writing."""
        made, options = cls(), dict(data.get("configuration", {}))
        object.__setattr__(made, "options", tuple(sorted(options.items())))
        return made

    def to_dict(self) -> dict[str, Any]:
        """Return what stands in the array's metadata."""
        return {"name": "diffc", "configuration": dict(self.options)}

    def validate(self, *, shape: tuple[int, ...], dtype: Any, chunk_grid: Any) -> None:
        """Refuse arrays whose chunks are no pictures.

        Raises
        ------
        ValueError
            If they are not of uint8, or of another shape.
        """
        if dtype.to_native_dtype() != "uint8":
            raise ValueError(f"a picture is of uint8, not of {dtype.to_native_dtype()}: convert it")
        picture_shape(getattr(chunk_grid, "chunk_shape", shape))

    async def _encode_single(self, chunk_data: NDBuffer, chunk_spec: ArraySpec) -> Buffer:
        array = chunk_data.as_numpy_array()
        data = await asyncio.to_thread(encode_chunk, array, dict(self.options))
        return chunk_spec.prototype.buffer.from_bytes(data)

    async def _decode_single(self, chunk_data: Buffer, chunk_spec: ArraySpec) -> NDBuffer:
        data, shape = chunk_data.to_bytes(), chunk_spec.shape
        array = await asyncio.to_thread(decode_chunk, data, self.decoding, shape)
        return chunk_spec.prototype.nd_buffer.from_numpy_array(array)

    def compute_encoded_size(self, input_byte_length: int, chunk_spec: ArraySpec) -> int:
        """Say that a file's length depends on its picture."""
        raise NotImplementedError
