"""The functions of the package for one file: encode, decode, save, info and extract."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, overload

from PIL import Image

from diffc.container.header import Header
from diffc.container.reader import read_body, read_header
from diffc.container.rewriting import with_metadata
from diffc.decode_options import with_changes
from diffc.errors import warn_caller
from diffc.file_io import check_writable, write_to
from diffc.sources import Source, opened
from diffc.threads import usable_threads

if TYPE_CHECKING:
    import numpy as np
    import torch


def encode(image: Any, **options: Any) -> bytes:
    """Return the bytes of a DIFFC file.

    Parameters
    ----------
    image : PIL image, array or tensor
        A Pillow image of any mode but I, I;16 and F; an array (height, width[, 1 to 4]) of uint8;
        or a tensor (1 to 4, height, width), also with a leading axis of 1, of floats in [0, 1] or
        of uint8; what `decode` returns is among them.
    **options
        ``backend`` (a codec's name); one of ``bpp`` (file bits over pixels, above 0),
        ``target_size`` (bytes of the file) and ``quality`` (0 to 100, the default is 50);
        ``exif``, ``icc_profile``, ``xmp`` (bytes to store); ``alpha`` ("keep" or "drop", or true or
        false);
        ``progress`` (a function of step and total); ``allow_download`` (whether a model that is
        named and not here may be fetched); and the codec's own, such as ``model``,
        ``device``, ``steps``.  Or ``quality="keep"``: the bytes of the file that an unchanged
        image was opened from, with ``exif``, ``xmp`` and ``icc_profile`` changed where they are
        given (None: dropped).  Such an image without any options is kept so, too.

    Raises
    ------
    ValueError
        If an option is unknown or out of range, or no file of that size can be made.
    """
    data = original_file(image, options, strict=True)
    if data is not None:
        return data
    from diffc.encoding import encode_image

    return encode_image(as_pillow(image), options, strict=True)


UNCHANGED_ONLY = (
    "quality='keep' needs an unchanged image opened from a DIFFC file: give a bpp or a quality"
)
# whether these are given, the file would be the same
_NEUTRAL = {"progress", "allow_download"}


def original_file(image: Any, options: dict[str, Any], *, strict: bool) -> bytes | None:
    """Return the bytes of the file that an image was opened from, if the options ask for them.

    Parameters
    ----------
    image : PIL.Image.Image
        Opened from a DIFFC file, and unchanged.
    options : dict
        Keywords.  With ``quality="keep"`` there may be ``exif``, ``xmp`` and ``icc_profile``: what
        takes the place of the file's, nothing for None.
    strict : bool
        Refuse all other keywords; otherwise refuse only those of this package.

    Returns
    -------
    bytes, optional
        None if the picture has to be coded: options ask for that, or it is no such image.

    Raises
    ------
    ValueError
        If the quality is "keep" and an option asks for other bytes, or the image is no such image.
    """
    from diffc.options import CORE, asks_for_coding
    from diffc.pictures.metadata import KEYS, profile_fits, take_metadata

    quality = options.get("quality")
    original: Callable[[], bytes] | None = getattr(image, "original", None)
    if not isinstance(quality, str) or quality != "keep":
        if original is None or asks_for_coding(options, _NEUTRAL, strict=strict):
            return None
        try:
            return original()
        except ValueError:
            return None
    for name, value in options.items():
        if name in ("quality", *KEYS) or value is None:
            continue
        if strict or name in CORE:
            raise ValueError(f"quality='keep' copies the file as it is: drop {name!r}")
    if original is None:
        raise ValueError(UNCHANGED_ONLY)
    data = original()
    named = {KEYS[name] for name in options if name in KEYS}
    if not named:
        return data
    given = take_metadata(dict(options))
    mode = read_header(io.BytesIO(data).read).mode
    if "icc" in given and not profile_fits(given["icc"], mode):
        raise ValueError(f"icc_profile describes other colours than a file of mode {mode!r} holds")
    return with_metadata(data, {name: given.get(name) for name in named})


def as_pillow(image: Any) -> Image.Image:
    """Return a Pillow image of an image, array or tensor; see `encode`."""
    from diffc.pictures import pixels

    if isinstance(image, Image.Image):
        return image
    if hasattr(image, "is_floating_point"):
        if image.dim() == 4 and image.shape[0] != 1:
            raise ValueError(
                f"a tensor has the shape of one picture, not of {image.shape[0]}: use encode_batch"
            )
        if image.dim() == 4:
            image = image[0]
        with usable_threads():
            return pixels.from_tensor(image)
    if (isinstance(image, memoryview) and image.ndim > 1) or hasattr(image, "__array__"):
        import numpy as np

        return pixels.from_array(np.asarray(image))
    if hasattr(image, "__array_interface__"):
        return pixels.from_array(image)
    remedy = "open it with PIL.Image.open" if isinstance(image, str | os.PathLike) else "convert it"
    raise ValueError(
        f"an image is a Pillow image, an array or a tensor, not {type(image).__name__}: {remedy}"
    )


@overload
def decode(data: Source, *, to: Literal["pil"] = "pil", **options: Any) -> Image.Image: ...
@overload
def decode(data: Source, *, to: Literal["numpy"], **options: Any) -> np.ndarray[Any, Any]: ...
@overload
def decode(data: Source, *, to: Literal["torch"], **options: Any) -> torch.Tensor: ...


def decode(data: Source, *, to: str = "pil", **options: Any) -> Any:
    """Return the picture of a DIFFC file.

    Parameters
    ----------
    data : bytes, path or file
        The file; a text such as ``"s3://bucket/a.diffc"`` is opened by fsspec.
    to : {"pil", "numpy", "torch"}
        A Pillow image; an array (height, width[, channels]) of uint8; or a tensor
        (channels, height, width), float32 in [0, 1].  An orientation in the file's EXIF is not
        applied, whichever it is.
    **options
        Those of `diffc.decoding`.

    Raises
    ------
    OSError
        If the file is damaged or truncated, or its codec or model is missing.
    PIL.Image.DecompressionBombError
        If it has more pixels than Pillow allows.
    """
    from diffc.reconstruction import check_size, decode_body

    check_kind(to)
    chosen = with_changes(**options)
    with opened(data) as file:
        header = read_header(file.read)
        check_size(header.size)
        body = read_body(header, file.read)
    picture = decode_body(header, body, chosen)
    picture.info.update(info_of(header))
    return as_kind(picture, to)


def check_kind(to: str) -> None:
    """Raise `ValueError` if ``to`` is not what `decode` returns pictures as."""
    if to not in ("pil", "numpy", "torch"):
        raise ValueError(f"to is 'pil', 'numpy' or 'torch', not {to!r}: choose one of them")


def as_kind(picture: Image.Image, to: str) -> Any:
    """Return a Pillow image as what `decode` was asked for."""
    if to == "pil":
        return picture
    from diffc.pictures.metadata import orientation_of

    if (turned := orientation_of(picture)) != 1:
        message = (
            f"pixels come as they are stored, and the file's EXIF turns them (orientation {turned})"
            ": decode to 'pil' and use PIL.ImageOps.exif_transpose"
        )
        warn_caller(message)
    import numpy as np

    array = np.array(picture)
    if to == "numpy":
        return array
    import torch

    tensor = torch.from_numpy(array.reshape(picture.height, picture.width, -1))
    with usable_threads():
        return tensor.permute(2, 0, 1).float().div_(255)


def info_of(header: Header) -> dict[str, Any]:
    """Return what an opened image's ``info`` holds."""
    from diffc.registry import is_generative

    names = {"exif": "exif", "icc": "icc_profile", "xmp": "xmp"}
    found: dict[str, Any] = {
        names[name]: data for name, data in header.metadata.items() if name in names
    }
    if "caption" in header.metadata:
        found["caption"] = header.metadata["caption"].decode()
    found["diffc"] = {"codec": header.codec, "generative": is_generative(header.codec)}
    return found


def save(image: Any, path: Any, **options: Any) -> None:
    """Save a picture as a DIFFC file, whole or not at all.

    An existing file stays as it is until the new one is complete, which gets its permissions;
    `PIL.Image.Image.save` empties it first.  Other arguments and errors are those of `encode`.

    Parameters
    ----------
    image : PIL image, array or tensor
        See `encode`.
    path : path or file object
        Where to; it is looked at before the picture is coded.  A text such as
        ``"s3://bucket/a.diffc"`` is written to by fsspec.
    **options
        Those of `encode`.

    Raises
    ------
    OSError
        If nothing can be written there.
    """
    format_ = options.pop("format", None)
    if format_ is not None and (not isinstance(format_, str) or format_.upper() != "DIFFC"):
        raise ValueError(f"format is 'DIFFC' here, not {format_!r}: use the image's own save")
    target = check_writable(path)
    write_to(target, encode(image, **options))


@dataclass(frozen=True)
class Info:
    """What a file says of itself.

    Parameters
    ----------
    size : tuple of int
        Width and height in pixels.
    mode : str
        L, LA, RGB or RGBA.
    codec : str
        The codec's name.
    bitstream_version : int
        Of the codec.
    model : str, optional
        Fingerprint of the model, hexadecimal.
    payload_bytes, file_bytes : int
        Of the codec's payload, and of the whole file.
    bpp : float
        File bits over pixels.
    metadata_bytes : dict
        Bytes of each kind of metadata, before compression; alpha as stored.
    caption : str, optional
        The picture's description.
    """

    size: tuple[int, int]
    mode: str
    codec: str
    bitstream_version: int
    model: str | None
    payload_bytes: int
    file_bytes: int
    bpp: float
    metadata_bytes: dict[str, int] = field(default_factory=dict)
    caption: str | None = None


def info(source: Source) -> Info:
    """Return what a file's header says, without torch; pixels and checksum are not looked at.

    Raises
    ------
    OSError
        If it is not a DIFFC file, or its header is damaged.
    """
    with opened(source) as file:
        header = read_header(file.read)
    sizes = {name: len(data) for name, data in header.metadata.items()}
    if header.alpha_bytes:
        sizes["alpha"] = header.alpha_bytes
    caption = header.metadata.get("caption")
    return Info(
        size=header.size,
        mode=header.mode,
        codec=header.codec,
        bitstream_version=header.bitstream_version,
        model=None if header.fingerprint is None else header.fingerprint.hex(),
        payload_bytes=header.payload_length,
        file_bytes=header.file_length,
        bpp=8 * header.file_length / (header.size[0] * header.size[1]),
        metadata_bytes=sizes,
        caption=None if caption is None else caption.decode(),
    )


def extract(source: Source) -> bytes:
    """Return the file of another format inside a DIFFC file, as it was put there.

    Of ``relay`` it is the base picture: the original JPEG, to the byte, of a file that was made
    with ``keep_original=True``, else AVIF, HEIC, JPEG, WebP or another codec's DIFFC file at the
    base's size.

    Raises
    ------
    OSError
        If the file is damaged or truncated, or its codec is missing or keeps no such file.
    """
    from diffc.reconstruction import coded_of
    from diffc.registry import load_codec

    with opened(source) as file:
        header = read_header(file.read)
        body = read_body(header, file.read)
    codec = load_codec(header.codec)
    return codec.file_inside(coded_of(header, body, codec))
