"""OpenCV's functions for images, with DIFFC files among the formats: ``import diffc.cv as dcv``.

OpenCV has no way to add a format, so these functions stand beside its own: same arguments, same
results, BGR.  Files of other formats go to ``cv2``, which is imported only for them.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from diffc import restoration
from diffc.adapters.opencv.constants import *
from diffc.adapters.opencv.constants import IMREAD_COLOR
from diffc.adapters.opencv.files import SNIFFED, is_ours, names_ours, path_of, prefix_of
from diffc.adapters.opencv.flags import parse_flags
from diffc.adapters.opencv.host import error_type, failure, find_cv2, log, need_cv2
from diffc.adapters.opencv.params import refuse_keywords, take_params
from diffc.api import decode, info
from diffc.container.diagnosis import diagnose
from diffc.file_io import write_whole

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy import uint8
    from numpy.typing import NDArray


def __getattr__(name: str) -> Any:
    # like cv2.error; it is looked up late because it derives from cv2's where there is one
    if name == "error":
        return error_type()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def imread(filename: Any, flags: int | None = IMREAD_COLOR) -> NDArray[Any] | None:
    """Read an image as ``cv2.imread`` does.

    Parameters
    ----------
    filename : str, bytes or path
        A DIFFC file, or one that OpenCV reads; the content decides.
    flags : int
        IMREAD constants.  Options of decoding are set by `diffc.decoding`.

    Returns
    -------
    array or None
        Pixels, BGR unless the flags say otherwise; None if the file is missing or damaged, or its
        codec or model is not here.  The logger ``diffc`` is told why.

    Raises
    ------
    ValueError
        A ``cv2.error`` where there is cv2: if the arguments cannot hold.
    ImportError
        If the file is of another format and OpenCV is missing.
    """
    prefix = prefix_of(filename)
    if is_ours(prefix):
        path = path_of(filename)
        return _read("imread", path, path, flags)
    return _read_by_cv2("imread", str(filename), prefix, filename, flags)


def imdecode(buf: Any, flags: int | None) -> NDArray[Any] | None:
    """Decode an array of bytes as ``cv2.imdecode`` does; see `imread`."""
    import numpy as np

    prefix = b""
    # what is no row of bytes is left to OpenCV, which knows what to say
    if (
        isinstance(buf, np.ndarray)
        and buf.dtype.itemsize == 1
        and 0 < buf.size == max(buf.shape, default=0)
    ):
        prefix = buf.reshape(-1)[:SNIFFED].tobytes()
    elif find_cv2() is None:
        raise failure("buf is a numpy array of uint8 with at least 1 element: use numpy.frombuffer")
    if is_ours(prefix):
        return _read("imdecode", "buf", buf.tobytes(), flags)
    return _read_by_cv2("imdecode", "buf", prefix, buf, flags)


def _read(function: str, name: str, source: Any, flags: int | None) -> NDArray[uint8] | None:
    from diffc.adapters.opencv.pixels import to_bgr

    reading = parse_flags(flags)
    try:
        picture = decode(source)
    except (ValueError, Image.DecompressionBombError) as error:
        raise failure(str(error)) from error
    except OSError as error:
        log(function, name, error)
        return None
    return to_bgr(picture, reading)


def _read_by_cv2(
    function: str, name: str, prefix: bytes, source: Any, flags: int | None
) -> NDArray[Any] | None:
    # only asked when OpenCV has said no: its formats come first
    reason = diagnose(prefix)
    pixels: NDArray[Any] | None
    if reason is None and prefix:
        pixels = getattr(need_cv2("a file that is not DIFFC"), function)(source, flags)
    else:
        cv2 = find_cv2()
        pixels = None if cv2 is None else getattr(cv2, function)(source, flags)
        reason = reason or ("the file is missing or empty" if cv2 is None else None)
    if pixels is None and reason is not None:
        log(function, name, reason)
    return pixels


def imwrite(filename: Any, img: Any, params: Sequence[int] | None = None, **options: Any) -> bool:
    """Write an image as ``cv2.imwrite`` does, whole or not at all.

    Parameters
    ----------
    filename : str, bytes or path
        ``.diffc`` makes a DIFFC file; any other extension is OpenCV's.
    img : array
        Grey, BGR or BGRA, uint8; other depths are cut to 8 bits with a warning.
    params : sequence of int, optional
        Pairs of an IMWRITE_DIFFC constant and its value.
    **options
        Keywords of `diffc.encode`, such as ``bpp=0.05, backend="ddcm"``.

    Returns
    -------
    bool
        False if the file cannot be written there; the logger ``diffc`` is told why.

    Raises
    ------
    ValueError
        A ``cv2.error`` where there is cv2: if the image or an option cannot hold.
    ImportError
        If the extension is another and OpenCV is missing.
    """
    path = path_of(filename)
    if not names_ours(path):
        refuse_keywords(options)
        cv2 = need_cv2("a file that does not end in .diffc")
        return bool(cv2.imwrite(filename, img, [] if params is None else params))
    image, taken = _checked(img, params, options)
    folder = Path(path).parent
    # before the encoder has worked in vain
    if not os.access(folder, os.W_OK):
        log("imwrite", path, f"{folder} is not a folder to write in")
        return False
    data = _encoded(image, taken)
    try:
        write_whole(path, data)
    except OSError as error:
        log("imwrite", path, error)
        return False
    return True


def imencode(
    ext: str, img: Any, params: Sequence[int] | None = None, **options: Any
) -> tuple[bool, NDArray[uint8]]:
    """Encode an image into an array of bytes as ``cv2.imencode`` does; see `imwrite`."""
    if not isinstance(ext, str) or not names_ours(ext):
        refuse_keywords(options)
        cv2 = need_cv2("an extension other than .diffc")
        encoded = cv2.imencode(ext, img, [] if params is None else params)
        return bool(encoded[0]), encoded[1]
    import numpy as np

    data = _encoded(*_checked(img, params, options))
    # like OpenCV's, the array may be written to
    return True, np.frombuffer(bytearray(data), np.uint8)


def _checked(img: Any, params: Any, options: dict[str, Any]) -> tuple[Image.Image, dict[str, Any]]:
    from diffc.adapters.opencv.pixels import from_bgr

    return from_bgr(img), take_params(params, options)


def _encoded(image: Image.Image, options: dict[str, Any]) -> bytes:
    from diffc.encoding import encode_image

    try:
        return encode_image(image, options, strict=True)
    except (ValueError, OSError) as error:
        raise failure(str(error)) from error


def restore(img: Any, **options: Any) -> NDArray[uint8]:
    """Return an image without the traces of the JPEG that it was, as `diffc.restore` does.

    Parameters
    ----------
    img : array
        Grey, BGR or BGRA, as `imread` gives it.  How it was compressed is looked for in the pixels;
        an image that shows nothing comes back as it is.
    **options
        Those of `diffc.restore`: ``realism``, ``strength``, ``device``, ``model``, ``progress``.

    Returns
    -------
    array
        uint8, of the same shape.

    Raises
    ------
    ValueError
        A ``cv2.error`` where there is cv2: if it is no image, or an option is out of range.
    """
    import numpy as np

    from diffc.adapters.opencv.pixels import from_bgr

    picture = from_bgr(img)
    try:
        made = np.asarray(restoration.restore(picture, **options))
    except (TypeError, ValueError) as error:
        raise failure(str(error)) from error
    if made.ndim == 2:
        return made.reshape(np.shape(img))
    return np.ascontiguousarray(made[:, :, [2, 1, 0, 3][: made.shape[2]]])


def haveImageReader(filename: Any) -> bool:
    """Say whether `imread` can read a file, which must be there, by its header."""
    prefix = prefix_of(filename)
    if is_ours(prefix):
        return _decodable(path_of(filename))
    cv2 = find_cv2()
    return cv2 is not None and bool(cv2.haveImageReader(filename))


def _decodable(path: str) -> bool:
    from diffc.registry import known_codecs

    try:
        codec = known_codecs().get(info(path).codec)
    except OSError:
        return False
    return codec is not None and codec.installed


def haveImageWriter(filename: Any) -> bool:
    """Say whether `imwrite` can write a file of that name, by its extension."""
    if names_ours(path_of(filename)):
        return True
    cv2 = find_cv2()
    return cv2 is not None and bool(cv2.haveImageWriter(filename))
