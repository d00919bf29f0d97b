"""Base pictures by HEVC (ITU-T H.265), through pillow-heif, for those who ask for it.

How it is coded is fixed here, and `diffc.codecs.shared.base_pictures.hevc_file` keeps the
slice alone.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from PIL import Image

from diffc.codecs.shared.base_pictures.checks import check_request, plain
from diffc.codecs.shared.base_pictures.hevc_file import rebuilt_file, slice_of
from diffc.codecs.shared.base_pictures.hevc_parameters import LONGEST_SIDE, coded_size
from diffc.errors import CodecNotAvailableError, FileError, OptionError

# what `diffc.codecs.shared.base_pictures.hevc_file` writes down for the decoder: primaries,
# transfer, matrix, range
_COLOUR: dict[str, Any] = {
    "save_nclx_profile": True,
    "color_primaries": 1,
    "transfer_characteristics": 13,
    "matrix_coefficients": 6,
    "full_range_flag": 1,
}


class HevcCoder:
    """HEVC intra pictures: 8 bits, full range, BT.601 matrix, 4:2:0, or no chroma for a grey one."""

    name: str = "hevc"
    identifier: int = 1
    qualities: Sequence[int] = range(101)
    longest_side: int = LONGEST_SIDE

    def encode(self, picture: Image.Image, quality: int) -> bytes:
        """Code a picture without file boxes; see `BaseCoder`."""
        check_request(picture, quality, self.qualities)
        grey = picture.mode == "L"
        padded = coded_size(picture.size)
        if max(padded) > LONGEST_SIDE:
            raise OptionError(
                f"base 'hevc' takes sides of at most {LONGEST_SIDE} pixels, not {padded}: "
                "use base 'av1'"
            )
        heif = _pillow_heif()
        if heif is None:
            raise OptionError(
                "base 'hevc' needs pillow-heif, which is not installed: pip install \"diffc[heif]\""
            )
        try:
            file = _heic_file(heif, _padded(picture, padded), quality)
            return slice_of(file, padded, grey=grey)
        except (OSError, RuntimeError, ValueError) as error:
            raise OptionError(
                f"this pillow-heif did not encode what base 'hevc' can hold ({error}): "
                "install another version"
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
        heif = _pillow_heif()
        if heif is None:
            raise CodecNotAvailableError(
                "base 'hevc' needs pillow-heif, which is not installed: pip install \"diffc[heif]\""
            )
        # whatever a library makes of damaged bytes, it is the file that is wrong
        try:
            picture = heif.open_heif(io.BytesIO(file)).to_pillow()
            decoded = plain(picture, "L" if grey else "RGB")
        except MemoryError:
            raise
        except Exception as error:
            raise FileError(
                f"an HEVC base picture was not decoded ({error}): the file is damaged"
            ) from error
        if decoded.size != coded_size(size):
            raise FileError(
                f"an HEVC base picture has {coded_size(size)} pixels with its padding, "
                f"not {decoded.size}: the file is damaged"
            )
        return decoded.crop((0, 0, *size))


def _pillow_heif() -> ModuleType | None:
    try:
        import pillow_heif
    except ImportError:
        return None
    return pillow_heif


def _padded(picture: Image.Image, padded: tuple[int, int]) -> Image.Image:
    """Repeat the last column and row up to a size."""
    width, height = picture.size
    canvas = Image.new(picture.mode, padded)
    canvas.paste(picture)
    if padded[0] > width:
        edge = picture.crop((width - 1, 0, width, height)).resize((padded[0] - width, height))
        canvas.paste(edge, (width, 0))
    if padded[1] > height:
        edge = canvas.crop((0, height - 1, padded[0], height))
        canvas.paste(edge.resize((padded[0], padded[1] - height)), (0, height))
    return canvas


def _heic_file(heif: ModuleType, picture: Image.Image, quality: int) -> bytes:
    buffer = io.BytesIO()
    # wavefronts cost bytes, and whether x265 uses them depends on the cores it finds
    parameters = {"preset": "slow", "x265:wpp": "0", "chroma": "420"}
    file = heif.from_bytes(picture.mode, picture.size, picture.tobytes())
    file.save(buffer, quality=quality, enc_params=parameters, **_COLOUR)
    return buffer.getvalue()
