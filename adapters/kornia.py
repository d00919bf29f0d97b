"""DIFFC for kornia: coding as an augmentation, and reading and writing beside ``kornia.io``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from diffc.adapters.augmentation import Range, Recoding
from diffc.api import decode, save
from diffc.optional_packages import from_extra
from diffc.registration import EXTENSION

with from_extra("kornia"):
    from kornia import io
    from kornia.augmentation import IntensityAugmentationBase2D
    from kornia.augmentation.random_generator import PlainUniformGenerator

# kornia's names without the bits, and Pillow's
_MODES = {"GRAY": "L", "RGB": "RGB", "RGBA": "RGBA"}


class RandomDiffc(IntensityAugmentationBase2D):
    """Write pictures as DIFFC files and read them again, each at a rate of its own.

    Parameters
    ----------
    bpp : float or pair, optional
        Bits per pixel, drawn uniformly for each picture; 0.02 to 0.2 unless ``quality`` is given.
    quality : float or pair, optional
        0 to 100 instead, which pictures of every size reach.
    p, same_on_batch, keepdim
        kornia's: the probability for each picture, and so on.
    straight_through : bool
        Pass gradients on as if nothing had been coded; otherwise none reach a coded picture.
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
        p: float = 0.5,
        same_on_batch: bool = False,
        keepdim: bool = False,
        straight_through: bool = False,
        decoding: dict[str, Any] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(p=p, same_on_batch=same_on_batch, keepdim=keepdim)
        default = (0.02, 0.2) if bpp is None and quality is None else bpp
        self.recoding = Recoding(default, quality, options, decoding or {})
        self.straight_through = straight_through
        self._param_generator = PlainUniformGenerator((self.recoding.range, "rate", None, None))

    def apply_transform(
        self,
        input: Tensor,  # noqa: A002 - its name there
        params: dict[str, Tensor],
        flags: dict[str, Any],
        transform: Tensor | None = None,
    ) -> Tensor:
        """Code the pictures of a batch that are chosen; kornia drops what becomes of the others."""
        chosen, rates = (params["batch_prob"] > 0.5).expand(len(input)), params["rate"]
        made = input.detach().clamp(0, 1)
        for index in chosen.nonzero().flatten().tolist():
            made[index] = self.recoding.tensor(made[index], float(rates[index]))
        return input + (made - input).detach() if self.straight_through else made


def load_image(
    path_file: str | Path,
    desired_type: io.ImageLoadType = io.ImageLoadType.RGB32,
    device: Any = "cpu",
    **options: Any,
) -> Tensor:
    """Return the picture of a file as ``kornia.io.load_image`` does, to which other formats go.

    Options are those of `diffc.decoding`; they are refused for other formats.
    """
    if not _is_ours(path_file):
        return io.load_image(path_file, desired_type, device, **options)
    picture = decode(path_file, to="pil", **options)
    mode = _MODES.get(desired_type.name.rstrip("0123456789"), picture.mode)
    if picture.mode.endswith("A") and not mode.endswith("A"):
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture.convert("RGBA"))
    array = np.array(picture.convert(mode)).reshape(picture.height, picture.width, -1)
    made = torch.from_numpy(array).permute(2, 0, 1).contiguous().to(device)
    return made.float() / 255 if desired_type.name.endswith("32") else made


def write_image(path_file: str | Path, image: Tensor, quality: Any = None, **options: Any) -> None:
    """Write a tensor as ``kornia.io.write_image`` does, to which other formats go.

    Options are those of `diffc.encode`; a DIFFC file appears whole or not at all.
    """
    if not _is_ours(path_file):
        io.write_image(path_file, image, 80 if quality is None else quality, **options)
        return
    save(image[None] if image.dim() == 2 else image, path_file, quality=quality, **options)


def _is_ours(path: str | Path) -> bool:
    return str(path).lower().endswith(EXTENSION)
