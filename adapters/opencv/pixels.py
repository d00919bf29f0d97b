"""Pixels between Pillow and OpenCV: channel order, depth, reduction and orientation."""

from __future__ import annotations

import sys
import warnings
from typing import TYPE_CHECKING, Any

from PIL import Image

from diffc.adapters.opencv.flags import Reading
from diffc.adapters.opencv.host import failure
from diffc.pictures.pixels import from_array

if TYPE_CHECKING:
    from numpy import uint8
    from numpy.typing import NDArray

_ORIENTATION = 0x112
# OpenCV's weights of blue, green and red in grey, in 1/32768
_GREY_WEIGHTS = (3735, 19235, 9798)


def from_bgr(image: Any) -> Image.Image:
    """Make a Pillow image of an array as OpenCV writes it: grey, BGR or BGRA.

    Raises
    ------
    ValueError
        A ``cv2.error`` where there is cv2: if it is no array, is empty, or has other channels.
    """
    import numpy as np

    cv2: Any = sys.modules.get("cv2")
    if cv2 is not None and isinstance(image, cv2.UMat):
        image = image.get()
    if not isinstance(image, np.ndarray):
        raise failure(f"img is a numpy array, not {type(image).__name__}: convert it")
    if image.size == 0:
        raise failure(f"img has at least 1x1 pixels, not the shape {image.shape}: nothing to write")
    if image.ndim == 1:
        image = image[np.newaxis]
    channels = image.shape[2] if image.ndim == 3 else 1
    if image.ndim > 3 or channels not in (1, 3, 4):
        raise failure(
            f"img has 1, 3 or 4 channels, not the shape {image.shape}: convert its colour"
        )
    image = _eight_bits(image)
    if channels >= 3:
        image = image[:, :, [2, 1, 0, 3][:channels]]
    return from_array(image)


def _eight_bits(image: NDArray[Any]) -> NDArray[uint8]:
    import numpy as np

    if image.dtype.kind not in "buif":
        raise failure(f"img is of numbers, uint8 at best, not of {image.dtype}: convert it")
    if image.dtype == np.uint8 or image.dtype.kind == "b":
        return image.astype(np.uint8, copy=False)
    message = (
        f"DIFFC holds 8 bits a channel: pixels of {image.dtype} are rounded and cut off at 0 and "
        "255, as OpenCV does it; scale them to that range"
    )
    # the caller of imwrite or imencode, past the functions between
    warnings.warn(message, RuntimeWarning, stacklevel=5)
    if image.dtype.kind == "f":
        image = np.rint(np.nan_to_num(image, nan=0, posinf=255, neginf=0))
    cut: NDArray[uint8] = np.clip(image, 0, 255).astype(np.uint8)
    return cut


def to_bgr(picture: Image.Image, reading: Reading) -> NDArray[uint8]:
    """Make the array that OpenCV's flags ask for of a picture of mode L, LA, RGB or RGBA.

    Raises
    ------
    ValueError
        A ``cv2.error`` where there is cv2: if a reduced picture has no pixels left.
    """
    import numpy as np

    channels = reading.channels_of({"L": 1, "RGB": 3}.get(picture.mode, 4))
    if channels == 1:
        array = _grey(picture)
    else:
        array = np.array(picture.convert("RGB" if channels == 3 else "RGBA"))
        if not reading.rgb:
            array = array[:, :, [2, 1, 0, 3][:channels]]
    if reading.denominator > 1:
        array = reduce_by(array, reading.denominator)
    if reading.rotate:
        array = _upright(array, picture.info.get("exif"))
    return np.ascontiguousarray(array)


def _grey(picture: Image.Image) -> NDArray[uint8]:
    import numpy as np

    if picture.mode in ("L", "LA"):
        return np.array(picture.getchannel("L"))
    red, green, blue = (np.array(picture.getchannel(each), np.int32) for each in "RGB")
    of_blue, of_green, of_red = _GREY_WEIGHTS
    weighted = of_blue * blue + of_green * green + of_red * red
    return ((weighted + (1 << 14)) >> 15).astype(np.uint8)


def reduce_by(array: NDArray[uint8], denominator: int) -> NDArray[uint8]:
    """Divide the sides, rounded down, bit for bit as ``cv2.resize`` with INTER_LINEAR_EXACT."""
    import numpy as np

    height, width = (side // denominator for side in array.shape[:2])
    if 0 in (height, width):
        raise failure(
            f"a picture of {array.shape[1]}x{array.shape[0]} pixels has none left when reduced by "
            f"{denominator}: read it with other flags"
        )
    planes = array.reshape(*array.shape[:2], -1).astype(np.int32)
    above, below, down = _neighbours(array.shape[0], height)
    left, right, across = _neighbours(array.shape[1], width)
    across, down = across[:, np.newaxis], down[:, np.newaxis, np.newaxis]
    rows = planes[:, left] * (256 - across) + planes[:, right] * across
    mixed = rows[above] * (256 - down) + rows[below] * down
    reduced: NDArray[uint8] = ((mixed + (1 << 15)) >> 16).astype(np.uint8)
    return reduced.reshape(height, width, *array.shape[2:])


def _neighbours(length: int, reduced: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return the two samples that each reduced one lies between, and how far in 1/256."""
    import numpy as np

    # this order of operations and rounding is OpenCV's
    where = (1 / (reduced / length)) * (np.arange(reduced) + 0.5) - 0.5
    first = np.floor(where).astype(np.int32)
    share = np.rint((where - first) * 256).astype(np.int32)
    share[(first < 0) | (first >= length - 1)] = 0
    first = np.clip(first, 0, length - 1)
    return first, np.minimum(first + 1, length - 1), share


def _upright(array: NDArray[uint8], exif: bytes | None) -> NDArray[uint8]:
    import numpy as np

    orientation = _orientation(exif)
    if orientation >= 5:
        array = array.swapaxes(0, 1)
    # what is left are mirrorings, of rows, columns or both
    if orientation in (3, 4, 7, 8):
        array = np.flip(array, 0)
    if orientation in (2, 3, 6, 7):
        array = np.flip(array, 1)
    return array


def _orientation(exif: bytes | None) -> int:
    if not exif:
        return 1
    parsed = Image.Exif()
    try:
        parsed.load(exif)
        value = parsed.get(_ORIENTATION, 1)
    # the bytes are whatever the writer passed; OpenCV shows such pictures as they lie
    except Exception:  # noqa: BLE001
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1
