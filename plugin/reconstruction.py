"""From a file's header and body to a picture."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import replace
from typing import TYPE_CHECKING

from PIL import Image

from diffc.codec import Codec, Coded, DecodeOptions
from diffc.container.header import Header
from diffc.container.reader import Body
from diffc.errors import FileError, OptionError
from diffc.pictures.alpha import decode_alpha
from diffc.registry import load_codec
from diffc.threads import ready_to_fork
from diffc.values import is_plain_name

if TYPE_CHECKING:
    from torch import Tensor

# whether what another codec keeps is being decoded
_inside: ContextVar[bool] = ContextVar("inside", default=False)


def check_size(size: tuple[int, int]) -> None:
    """Apply Pillow's limit on pixels, `PIL.Image.MAX_IMAGE_PIXELS`, as `PIL.Image.open` does.

    Raises
    ------
    PIL.Image.DecompressionBombError
        If the image has more than twice that many; more than once is a warning.
    """
    limit = Image.MAX_IMAGE_PIXELS
    pixels = size[0] * size[1]
    if limit is None or pixels <= limit:
        return
    message = f"an image of {pixels} pixels exceeds the limit of {limit} set by Pillow"
    if pixels > 2 * limit:
        raise Image.DecompressionBombError(
            f"{message}: raise PIL.Image.MAX_IMAGE_PIXELS to open it"
        )
    warnings.warn(message, Image.DecompressionBombWarning, stacklevel=3)


def decode_body(header: Header, body: Body, options: DecodeOptions) -> Image.Image:
    """Return the picture, in the header's mode; the body's checksum has been verified.

    Raises
    ------
    OSError
        If the codec or its model is missing, or the payload is none of the codec's.
    """
    (picture,) = decode_bodies([(header, body)], options)
    return picture


def decode_bodies(
    files: Sequence[tuple[Header, Body]], options: DecodeOptions
) -> list[Image.Image]:
    """Return the pictures of several files of one codec; see `decode_body`."""
    with ready_to_fork():
        return _decoded(files, options)


def _decoded(files: Sequence[tuple[Header, Body]], options: DecodeOptions) -> list[Image.Image]:
    codec = load_codec(files[0][0].codec)
    tensors = _tensors(codec, [coded_of(header, body, codec) for header, body in files], options)
    return [
        _picture(tensor, header, body)
        for tensor, (header, body) in zip(tensors, files, strict=True)
    ]


def decode_inside(name: str, coded: Coded, options: DecodeOptions) -> Tensor:
    """Return pixels (3, height, width) of what another codec has coded, for one that keeps it.

    Parameters
    ----------
    name : str
        The other codec's, as a file says it; it only ever chooses among the codecs that are here.
    coded : Coded
        What it made.
    options : DecodeOptions
        For it.

    Raises
    ------
    OSError
        If it is no codec's name, the codec or its model is missing, or it wrote no such data; or if
        this is called while what is inside another codec's data is decoded.
    """
    if not is_plain_name(name):
        raise FileError(
            f"a codec is named inside by a plain name, not {name!r}: the file is damaged"
        )
    if _inside.get():
        raise FileError(f"a codec inside another holds no third ({name!r}): the file is damaged")
    codec = load_codec(name)
    _check_version(name, coded.bitstream_version, codec)
    token = _inside.set(True)
    try:
        (tensor,) = _tensors(codec, [coded], options)
    finally:
        _inside.reset(token)
    _check_shape(name, tensor, coded.size)
    return tensor


def _tensors(
    codec: type[Codec], coded: Sequence[Coded], options: DecodeOptions
) -> Sequence[Tensor]:
    """Decode; whatever goes wrong becomes an error that says whose it is."""
    raised: list[Exception] = []

    def progress(step: int, total: int) -> None:
        try:
            options.progress(step, total)
        except Exception as error:
            raised.append(error)
            raise

    from diffc.torch_state import lacks_memory, too_little_memory, undisturbed_torch

    try:
        with undisturbed_torch():
            tensors = codec.decode_batch(coded, replace(options, progress=progress))
    except (OSError, OptionError):
        raise
    # a third party's decoder may raise anything on data that it did not write
    except Exception as error:
        if lacks_memory(error):
            width, height = coded[0].size
            raise MemoryError(
                too_little_memory("decode", codec.name, (width, height), options.device)
            ) from error
        # but what the caller's own function raised is the caller's, such as a way to cancel
        if raised:
            raise
        raise OSError(f"codec {codec.name!r} cannot decode the file: {error}") from error
    if len(tensors) != len(coded):
        raise OSError(
            f"codec {codec.name!r} returned {len(tensors)} pictures of {len(coded)}: ask its author"
        )
    return tensors


def coded_of(header: Header, body: Body, codec: type[Codec]) -> Coded:
    """Return what a codec is given of a file.

    Raises
    ------
    OSError
        If the file is truncated and the codec cannot decode a part, or is newer than the codec.
    """
    _check_version(header.codec, header.bitstream_version, codec)
    if body.truncated and not codec.traits.progressive:
        raise OSError(
            f"image file is truncated, and codec {header.codec!r} decodes whole files only"
        )
    caption = header.metadata.get("caption")
    return Coded(
        body.payload,
        header.parameters,
        header.size,
        header.bitstream_version,
        header.fingerprint,
        body.truncated,
        None if caption is None else caption.decode(),
    )


def _check_version(name: str, version: int, codec: type[Codec]) -> None:
    if version > codec.bitstream_version:
        raise OSError(
            f"the file has version {version} of codec {name!r}, and {codec.bitstream_version} is the "
            "newest known here: update its package"
        )


def _check_shape(name: str, tensor: Tensor, size: tuple[int, int]) -> None:
    width, height = size
    if tuple(tensor.shape) != (3, height, width):
        raise OSError(
            f"codec {name!r} returned a picture of shape {tuple(tensor.shape)}, not "
            f"{(3, height, width)}: ask its author"
        )


def _picture(tensor: Tensor, header: Header, body: Body) -> Image.Image:
    from diffc.pictures.pixels import to_pillow
    from diffc.torch_state import undisturbed_torch

    _check_shape(header.codec, tensor, header.size)
    with undisturbed_torch():
        picture = to_pillow(tensor, "L" if header.mode.startswith("L") else "RGB")
    if body.alpha is not None:
        picture.putalpha(decode_alpha(body.alpha, header.size))
    return picture
