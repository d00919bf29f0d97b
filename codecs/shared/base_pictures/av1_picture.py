"""Base pictures by AV1 (AOM AV1 Bitstream & Decoding Process Specification), through Pillow's AVIF.

How it is coded is fixed here, and `diffc.codecs.shared.base_pictures.av1_file` keeps the
frame alone.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from PIL import Image, features

from diffc.codecs.shared.base_pictures.av1_file import frame_of, rebuilt_file
from diffc.codecs.shared.base_pictures.av1_sequence import LONGEST_SIDE
from diffc.codecs.shared.base_pictures.checks import check_request, plain
from diffc.errors import CodecNotAvailableError, FileError, OptionError

_OPTIONS: dict[str, Any] = {
    "advanced": {"tune": "ssim", "enable-chroma-deltaq": "1"},
    "range": "full",
    "codec": "aom",
    "autotiling": False,
    # one thread or several: aom writes other bytes, so the number may not be that of the machine
    "max_threads": 2,
    "icc_profile": None,
}
# up to how many pixels which speed of aom is worth its time; see `usual_speed`
_SPEEDS = ((1 << 18, 4), (1 << 22, 5))
FAST = 6
"""Speed for pictures that are larger, and for a search."""


def usual_speed(size: tuple[int, int]) -> int:
    """Return the speed at which aom codes a picture, unless another is asked for.

    At equal bytes, 5 is 0.4 and 4 is 0.5 dB better than 6 up to quality 45, and 0.2 dB beyond; they take
    four and six times as long.
    """
    width, height = size
    return next((speed for most, speed in _SPEEDS if width * height <= most), FAST)


def _index(quality: int) -> int:
    """Return the quantiser, 0 to 63, of libavif for a quality."""
    return (63 * (100 - quality) + 50) // 100


class Av1Coder:
    """AV1 intra frames: 8 bits, full range, BT.601 matrix, 4:2:0, or no chroma for a grey picture.

    Qualities are libavif's, one for each of AV1's quantisers that it maps them to; 100 is left out,
    for it may choose a lossless mode with other colour.

    Parameters
    ----------
    **options
        Of Pillow's AVIF writer, in place of its usual ones; a comparison of encoders gives others.
    """

    name: str = "av1"
    identifier: int = 0
    qualities: Sequence[int] = tuple(q for q in range(100) if not q or _index(q) < _index(q - 1))
    longest_side: int = LONGEST_SIDE

    def __init__(self, **options: Any) -> None:
        self._options = _OPTIONS | options

    def encode(self, picture: Image.Image, quality: int) -> bytes:
        """Code a picture without file boxes; see `BaseCoder`."""
        check_request(picture, quality, range(100))
        if not features.check("avif"):
            raise OptionError(
                "base 'av1' needs a Pillow with AVIF, this one is built without: "
                "install Pillow from its wheels"
            )
        try:
            usual = {"quality": quality, "speed": usual_speed(picture.size)}
            file = _avif_file(picture, usual | self._options)
            return frame_of(file, picture.size, grey=picture.mode == "L")
        except (OSError, RuntimeError, ValueError) as error:
            raise OptionError(
                f"this Pillow's AVIF did not encode what base 'av1' can hold ({error}): "
                "install Pillow from its wheels"
            ) from error

    def family(self, coded: bytes) -> str:
        """Return what its errors are like; see `BaseCoder`."""
        return self.name

    def file_of(self, coded: bytes, size: tuple[int, int], *, grey: bool) -> bytes:
        """Return a file that other programs open; see `BaseCoder`."""
        return rebuilt_file(coded, size, grey=grey)

    def decode(self, coded: bytes, size: tuple[int, int], *, grey: bool) -> Image.Image:
        """Return the picture of exactly `size`; see `BaseCoder`."""
        file = rebuilt_file(coded, size, grey=grey)
        if not features.check("avif"):
            raise CodecNotAvailableError(
                "base 'av1' needs a Pillow with AVIF, this one is built without: "
                "install Pillow from its wheels"
            )
        # not by Image.open, where another package may have put its own reader of AVIF
        from PIL.AvifImagePlugin import AvifImageFile

        # whatever a library makes of damaged bytes, it is the file that is wrong
        try:
            with AvifImageFile(io.BytesIO(file)) as picture:
                decoded = plain(picture, "L" if grey else "RGB") if picture.size == size else None
        except MemoryError:
            raise
        except Exception as error:
            raise FileError(
                f"an AV1 base picture was not decoded ({error}): the file is damaged"
            ) from error
        if decoded is None or decoded.size != size:
            raise FileError(
                f"an AV1 base picture has {size[0]} x {size[1]} pixels, this one has other: "
                "the file is damaged"
            )
        return decoded


def _avif_file(picture: Image.Image, options: dict[str, Any]) -> bytes:
    # not by Image.save, where another package may have put its own writer of AVIF
    from PIL import AvifImagePlugin

    buffer = io.BytesIO()
    subsampling = "4:0:0" if picture.mode == "L" else "4:2:0"
    plain = picture.copy()
    plain.info.clear()
    plain.encoderinfo = {"subsampling": subsampling} | options
    AvifImagePlugin._save(plain, buffer, "")
    return buffer.getvalue()
