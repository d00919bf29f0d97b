"""DIFFC for torchvision: a decoder, folders of files as a data set, and coding as a transform."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from diffc.adapters.augmentation import Range, Recoding
from diffc.optional_packages import from_extra
from diffc.registration import EXTENSION
from diffc.sources import opened

with from_extra("torchvision"):
    from torchvision import datasets, tv_tensors  # type: ignore[import-untyped]
    from torchvision.transforms import v2  # type: ignore[import-untyped]

IMG_EXTENSIONS: tuple[str, ...] = (*datasets.folder.IMG_EXTENSIONS, EXTENSION)
# torchvision's names of modes, and Pillow's
_MODES = {"UNCHANGED": "", "GRAY": "L", "GRAY_ALPHA": "LA", "RGB": "RGB", "RGB_ALPHA": "RGBA"}


def decode_image(input: Any, mode: Any = "UNCHANGED") -> Tensor:  # noqa: A002 - its name there
    """Return a file's picture, (channels, height, width) of uint8, as torchvision's own does.

    Parameters
    ----------
    input : bytes, path or Tensor
        A file of DIFFC, or of another format that Pillow reads; a tensor of uint8 holds its bytes.
    mode : str or ImageReadMode
        ``"UNCHANGED"``, ``"GRAY"``, ``"GRAY_ALPHA"``, ``"RGB"`` or ``"RGB_ALPHA"``.

    Raises
    ------
    ValueError
        If the mode is none of these, or the file has more than 8 bits a channel.
    OSError
        If the file cannot be read or decoded.
    """
    name = str(getattr(mode, "name", mode)).upper()
    if name not in _MODES:
        raise ValueError(f"mode is one of {', '.join(_MODES)}, not {mode!r}: choose one of them")
    with opened(input) as file, Image.open(file) as image:
        if image.mode.startswith(("I", "F")):
            raise ValueError(f"a tensor of uint8 does not hold mode {image.mode!r}: use Pillow")
        kept = image.mode if image.mode in _MODES.values() else "RGB"
        picture = image.convert(_MODES[name] or kept)
    array = np.array(picture).reshape(picture.height, picture.width, -1)
    return torch.from_numpy(array).permute(2, 0, 1).contiguous()


def _is_picture(path: str) -> bool:
    return path.lower().endswith(IMG_EXTENSIONS)


class ImageFolder(datasets.ImageFolder):  # type: ignore[misc]
    """torchvision's ``ImageFolder``, which finds ``.diffc`` files, too; same arguments."""

    def __init__(self, *args: Any, is_valid_file: Any = None, **options: Any) -> None:
        super().__init__(*args, is_valid_file=is_valid_file or _is_picture, **options)


class DiffcCompress(v2.Transform):  # type: ignore[misc]
    """Write pictures as DIFFC files and read them again, each call at a rate of its own.

    The rate is uniform in its range, drawn from torch's generator, so that a seed decides it.  What
    belongs to one sample gets the same; boxes and masks stay as they are.

    Parameters
    ----------
    bpp : float or pair, optional
        Bits per pixel; 0.02 to 0.2 unless ``quality`` is given.
    quality : float or pair, optional
        0 to 100 instead, which pictures of every size reach.
    decoding : dict, optional
        Options of `diffc.decoding`, such as ``{"realism": 0}``.
    **options
        Those of `diffc.encode`, such as ``backend="perco"``.

    Raises
    ------
    ValueError
        If a range or an option cannot hold; when called, if no file of the rate can be made.
    """

    def __init__(
        self,
        bpp: Range | None = None,
        *,
        quality: Range | None = None,
        decoding: dict[str, Any] | None = None,
        **options: Any,
    ) -> None:
        super().__init__()
        default = (0.02, 0.2) if bpp is None and quality is None else bpp
        self.recoding = Recoding(default, quality, options, decoding or {})

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """Draw a rate."""
        low, high = self.recoding.range
        return {"rate": low + (high - low) * torch.rand(()).item()}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """Code one image, or each of those that are stacked."""
        if isinstance(inpt, Image.Image):
            return self.recoding.pillow(inpt, params["rate"])
        pictures = tv_tensors.Image | tv_tensors.Video
        if isinstance(inpt, tv_tensors.TVTensor) and not isinstance(inpt, pictures):
            return inpt
        images = inpt.as_subclass(Tensor).reshape(-1, *inpt.shape[-3:])
        made = torch.stack([self.recoding.tensor(each, params["rate"]) for each in images])
        return tv_tensors.wrap(made.reshape(inpt.shape), like=inpt)

    def extra_repr(self) -> str:
        """Say the range and the options."""
        given = {self.recoding.name: self.recoding.range, **self.recoding.options}
        return ", ".join(f"{name}={value}" for name, value in given.items())
