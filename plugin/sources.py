"""Where a file comes from: bytes in any form, a path, or a stream."""

from __future__ import annotations

import io
import os
from contextlib import AbstractContextManager, nullcontext
from inspect import iscoroutinefunction
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Union

from diffc.container.layout import MAGIC
from diffc.urls import is_url, open_url

if TYPE_CHECKING:
    from torch import Tensor
    from typing_extensions import Buffer


Path_ = str | os.PathLike[str]
# what has the bytes of a file in a row counts too: arrays of uint8, array.array, mmap
Source = Union[Path_, bytes, bytearray, memoryview, BinaryIO, "Buffer", "Tensor"]


def opened(source: Any) -> AbstractContextManager[BinaryIO]:
    """Open a path or an address, or take bytes and streams as they are.

    Parameters
    ----------
    source : path, bytes or binary file
        A text such as ``"s3://bucket/a.diffc"`` is an address, which fsspec opens.
        Bytes are what has them in a row, of one byte each, a tensor of uint8 included.  A stream
        that does not stand at a DIFFC file is read from its start, as `PIL.Image.open` does.

    Raises
    ------
    ValueError
        If it is none of these.
    """
    if is_url(source):
        return open_url(source)
    if isinstance(source, str | os.PathLike):
        return Path(source).open("rb")
    if hasattr(source, "is_floating_point"):
        source = _array_of(source)
    try:
        view = memoryview(source)
    except TypeError:
        return nullcontext(_placed(source))
    shape = tuple(view.shape or ())
    bytewise = view.itemsize == 1 and view.format.lstrip("@=<>!") in ("B", "b", "c")
    if not bytewise or view.nbytes != max(shape, default=0):
        raise ValueError(
            f"a file is bytes in one row, of uint8, not an array of the shape {shape} and format "
            f"{view.format!r}: pass the file's bytes"
        )
    return io.BytesIO(view.tobytes())


def _array_of(tensor: Any) -> Any:
    if str(tensor.dtype) != "torch.uint8":
        raise ValueError(f"a file is bytes, of uint8, not a tensor of {tensor.dtype}: convert it")
    return tensor.detach().cpu().numpy()


def _placed(file: Any) -> BinaryIO:
    """Return a binary stream that stands at a file, if that can be."""
    read = getattr(file, "read", None)
    if read is None and callable(getattr(file, "read_bytes", None)):
        # a path inside an archive
        return io.BytesIO(file.read_bytes())
    if read is None:
        raise ValueError(
            f"a file is bytes, a path or a file object, not {type(file).__name__}: pass one of them"
        )
    if isinstance(file, io.TextIOBase):
        raise ValueError("the file is open as text: open it with mode 'rb'")
    if iscoroutinefunction(read):
        raise ValueError("a file is read here, not awaited: pass the bytes that its read gives")
    try:
        position = file.tell() if file.seekable() else 0
        if position and file.read(len(MAGIC)) != MAGIC:
            position = 0
        if file.seekable():
            file.seek(position)
    # streams need not know where they are
    except (AttributeError, OSError):
        pass
    return file  # type: ignore[no-any-return]
