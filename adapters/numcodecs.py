"""DIFFC as a codec of numcodecs, for arrays of zarr's format 2; each chunk is one picture.

numcodecs finds it by the entry point ``diffc``.  It is lossy: what is read is not what was written.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from diffc.adapters.chunks import check_chunk_options, decode_chunk, encode_chunk
from diffc.decode_options import options_in_force
from diffc.optional_packages import from_extra

with from_extra("zarr"):
    from numcodecs.abc import Codec  # type: ignore[import-untyped]
    from numcodecs.compat import ensure_bytes, ndarray_copy  # type: ignore[import-untyped]


class Diffc(Codec):  # type: ignore[misc]
    """A picture of uint8, (height, width) or (height, width, 3), coded with loss.

    Parameters
    ----------
    **options
        Those of `diffc.encode` but for models and metadata, such as ``bpp=0.5``; they stand in the
        array's metadata.  Options of `diffc.decoding` hold if the array is opened in its block.
    """

    codec_id = "diffc"

    def __init__(self, **options: Any) -> None:
        check_chunk_options(options)
        self._options, self._decoding = options, options_in_force()

    def encode(self, buf: Any) -> bytes:
        """Return a chunk's file."""
        array = np.asarray(buf)
        if array.ndim > 1 and not array.flags.c_contiguous:
            raise ValueError(
                "a chunk's rows lie one after another: create the array with order='C'"
            )
        return encode_chunk(array, self._options)

    def decode(self, buf: Any, out: Any = None) -> Any:
        """Return a file's picture."""
        array = decode_chunk(ensure_bytes(buf), self._decoding)
        return array if out is None else ndarray_copy(array, out)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Diffc:
        """Make the codec that metadata name; options that are unknown here hinder only writing."""
        made = cls()
        made._options = dict(config)
        return made

    def get_config(self) -> dict[str, Any]:
        """Return what stands in the array's metadata."""
        return {"id": self.codec_id, **self._options}
