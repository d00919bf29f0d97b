"""Several pictures in one call."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING, Any, Literal, overload

from PIL import Image

from diffc.api import as_kind, check_kind, encode, info_of
from diffc.codec import DecodeOptions, no_progress
from diffc.container.header import Header
from diffc.container.reader import Body, read_body, read_header
from diffc.decode_options import with_changes
from diffc.progress import part_of
from diffc.sources import Source, opened

if TYPE_CHECKING:
    import numpy as np
    import torch


def encode_batch(images: Any, **options: Any) -> list[bytes]:
    """Return the bytes of a DIFFC file for each picture, the same that `diffc.encode` gives.

    Parameters
    ----------
    images : iterable, or tensor
        Pictures as `diffc.encode` takes them; or a tensor (N, 1 to 4, height, width).
    **options
        Those of `diffc.encode`, for all of them.
    """
    return [encode(image, **options) for image in images]


@overload
def decode_batch(
    files: Iterable[Source], *, to: Literal["pil"] = "pil", **options: Any
) -> list[Image.Image]: ...
@overload
def decode_batch(
    files: Iterable[Source], *, to: Literal["numpy"], **options: Any
) -> list[np.ndarray[Any, Any]]: ...
@overload
def decode_batch(
    files: Iterable[Source], *, to: Literal["torch"], **options: Any
) -> list[torch.Tensor]: ...


def decode_batch(files: Iterable[Source], *, to: str = "pil", **options: Any) -> list[Any]:
    """Return the pictures of several files; neighbours of one codec and size go together.

    Pixels may differ from those of `diffc.decode` by one level of 255.  Progress is one count over
    all files.

    Parameters
    ----------
    files : iterable of bytes, path or file
        The files.
    to : {"pil", "numpy", "torch"}
        As for `diffc.decode`.
    **options
        Those of `diffc.decoding`.
    """
    from diffc.reconstruction import check_size

    check_kind(to)
    chosen = with_changes(**options)
    found = []
    for source in files:
        with opened(source) as file:
            header = read_header(file.read)
            check_size(header.size)
            found.append((header, read_body(header, file.read)))
    made: list[Any] = []
    for _, group in groupby(found, lambda each: each[0].codec):
        together = list(group)
        progress = part_of(chosen.progress, len(made), len(together), len(found))
        pictures = _decoded(together, len(made), replace(chosen, progress=progress))
        for picture, (header, _body) in zip(pictures, together, strict=True):
            picture.info.update(info_of(header))
            made.append(as_kind(picture, to))
    return made


def _decoded(
    files: list[tuple[Header, Body]], first: int, options: DecodeOptions
) -> list[Image.Image]:
    """Decode files of one codec; if that fails, say which of the batch is at fault."""
    from diffc.reconstruction import decode_bodies, decode_body

    try:
        return decode_bodies(files, options)
    except OSError:
        # what is told of the work done does not go back
        options = replace(options, progress=no_progress)
        pictures = []
        for number, (header, body) in enumerate(files, first):
            try:
                pictures.append(decode_body(header, body, options))
            except OSError as error:
                raise type(error)(f"file {number} of the batch, from 0: {error}") from error
        return pictures
