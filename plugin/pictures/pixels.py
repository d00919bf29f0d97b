"""Pictures in and out: every mode of Pillow, arrays and tensors to RGB with alpha apart, and back."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from PIL import Image

from diffc.errors import warn_caller

if TYPE_CHECKING:
    from torch import Tensor

_MODES_KEPT = {"L", "LA", "RGB", "RGBA"}
# other forms of these; an ICC profile describes grey or RGB values
_TO_KEPT = {"1": "L", "La": "LA", "RGBa": "RGBA", "PA": "RGBA"}
_TO_KEPT |= dict.fromkeys(("P", "RGBX", "YCbCr", "HSV"), "RGB")
# a profile describes these as they are
_OTHER_SPACES = {"CMYK", "LAB"}
_NUMERIC = {"I", "F"}


@dataclass(frozen=True)
class Picture:
    """A picture as a codec and the container take it.

    Parameters
    ----------
    mode : str
        L, LA, RGB or RGBA: what the file says, and what opening it gives.
    color : PIL.Image.Image
        The pixels without alpha, mode L or RGB.
    alpha : PIL.Image.Image, optional
        Mode L, given if and only if the mode has alpha.
    """

    mode: str
    color: Image.Image
    alpha: Image.Image | None

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.color.size


def from_pillow(
    image: Image.Image, *, keep_alpha: bool, convert_color: bool, profile: bytes | None = None
) -> Picture:
    """Prepare a Pillow image.

    Parameters
    ----------
    image : PIL.Image.Image
        Of any mode but I, I;16 and F.
    keep_alpha : bool
        Keep transparency; otherwise drop it.
    convert_color : bool
        Convert pixels with an ``icc_profile`` in ``info`` to sRGB.
    profile : bytes, optional
        To be used instead of that.

    Raises
    ------
    ValueError
        For modes that 8 bits cannot hold, and for images without pixels.
    """
    if 0 in image.size:
        raise ValueError(f"an image has at least 1x1 pixels, not {image.size}: nothing to save")
    if image.mode.split(";")[0] in _NUMERIC:
        raise ValueError(
            f"DIFFC holds 8 bits a channel, and mode {image.mode!r} has more: scale the values to "
            "0..255 and convert to 'L'"
        )
    image.load()
    profile = profile or image.info.get("icc_profile")
    image = _to_kept_mode(image)
    if convert_color and profile:
        image = _to_srgb(image, profile)
    if image.mode in _OTHER_SPACES:
        image = image.convert("RGB")
    if not image.mode.endswith("A"):
        return Picture(image.mode, image, None)
    color = image.convert(image.mode[:-1])
    if not keep_alpha:
        return Picture(color.mode, color, None)
    return Picture(image.mode, color, image.getchannel("A"))


def _to_kept_mode(image: Image.Image) -> Image.Image:
    """Change palette, transparent colour and such to channels, other colour spaces not."""
    if image.mode in ("1", "L", "P", "RGB") and image.has_transparency_data:
        return image.convert("LA" if image.mode in ("1", "L") else "RGBA")
    if image.mode in _MODES_KEPT | _OTHER_SPACES:
        return image
    target = _TO_KEPT.get(image.mode)
    if target is None:
        raise ValueError(f"mode {image.mode!r} cannot be saved: convert the image to 'RGB' first")
    return image.convert(target)


def _to_srgb(image: Image.Image, profile: bytes) -> Image.Image:
    from PIL import ImageCms

    alpha = image.getchannel("A") if image.mode.endswith("A") else None
    color = image if alpha is None else image.convert(image.mode[:-1])
    grey = color.mode == "L"
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if grey and source.profile.xcolor_space.strip() == "RGB":
            # made grey after it was opened; its profile is still that of the coloured picture
            color = color.convert("RGB")
        converted = ImageCms.profileToProfile(
            color, source, ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
    except (ImageCms.PyCMSError, ImportError, OSError, TypeError, ValueError) as error:
        message = (
            "the image's ICC profile cannot be applied, so its pixels stay as they are "
            f"({error}): pass icc_profile= to store it, or convert the image"
        )
        warn_caller(message)
        return image
    assert converted is not None  # only in-place conversion returns None
    if grey:
        converted = converted.convert("L")
    if alpha is not None:
        converted.putalpha(alpha)
    return converted


def from_array(array: Any) -> Image.Image:
    """Make a Pillow image of an array (height, width[, 1, 2, 3 or 4]) of uint8 or bool.

    A leading axis of 1 before such a shape with channels is dropped.

    Raises
    ------
    ValueError
        If its type or shape is another.
    """
    if str(array.dtype) == "bool":
        array = array.astype("uint8") * 255
    if str(array.dtype) != "uint8":
        raise ValueError(f"an array is of uint8, 0 to 255, not of {array.dtype}: scale and convert")
    if array.ndim == 4 and array.shape[0] == 1:
        array = array[0]
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    modes = {2: "L", 3: "RGB", 4: "RGBA"}
    key = 2 if array.ndim == 2 else array.shape[2] if array.ndim == 3 else 0
    mode = "LA" if array.ndim == 3 and key == 2 else modes.get(key)
    if mode is None or 0 in array.shape:
        raise ValueError(
            f"an array has the shape (height, width) or (height, width, 1 to 4), not "
            f"{tuple(array.shape)}: transpose or slice it"
        )
    return Image.frombytes(mode, (array.shape[1], array.shape[0]), array.tobytes())


def from_tensor(tensor: Tensor) -> Image.Image:
    """Make a Pillow image of a tensor (1 to 4, height, width): floats in [0, 1], uint8 or bool.

    Two and four channels are grey and colour with alpha, as `diffc.decode` returns them.

    Raises
    ------
    ValueError
        If its type, shape or range is another.
    """
    import torch

    if not tensor.is_floating_point() and tensor.dtype not in (torch.uint8, torch.bool):
        raise ValueError(
            f"a tensor is of floats in [0, 1] or of uint8, not of {tensor.dtype}: convert it"
        )
    if tensor.dim() != 3 or tensor.shape[0] not in (1, 2, 3, 4) or 0 in tensor.shape:
        raise ValueError(
            f"a tensor has the shape (1 to 4, height, width), not {tuple(tensor.shape)}: permute it"
        )
    if tensor.is_meta or tensor.layout != torch.strided:
        raise ValueError("a tensor has values in memory, one for each pixel: make it dense")
    tensor = tensor.detach().cpu()
    if not tensor.is_floating_point():
        return from_array(tensor.permute(1, 2, 0).contiguous().numpy())
    low, high = (float(each) for each in tensor.aminmax())
    if not (low >= 0 and high <= 1):
        raise ValueError(f"a tensor's values are in [0, 1], not {low} to {high}: scale or clamp it")
    return to_pillow(tensor.float(), ("L", "LA", "RGB", "RGBA")[tensor.shape[0] - 1])


def to_tensor(picture: Picture) -> Tensor:
    """Return a picture's colour, (3, height, width), float32 in [0, 1]; grey is repeated."""
    import numpy as np
    import torch

    array = np.array(picture.color.convert("RGB"))
    return torch.from_numpy(array).permute(2, 0, 1).to(torch.float32).div_(255)


def to_pillow(tensor: Tensor, mode: str) -> Image.Image:
    """Round a tensor (1 to 4, height, width) in [0, 1] to a Pillow image of a mode."""
    import torch

    pixels = tensor.mul(255).round_().clamp_(0, 255).to(torch.uint8)
    made = from_array(pixels.permute(1, 2, 0).contiguous().numpy())
    return made if made.mode == mode else made.convert(mode)
