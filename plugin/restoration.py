"""Pictures of other lossy formats, restored: `diffc.restore`."""

from __future__ import annotations

import io
from importlib import import_module
from typing import TYPE_CHECKING, Any

from PIL import Image, ImageFile

from diffc.api import as_pillow
from diffc.builtin_codecs import RESTORER
from diffc.codec import Degraded
from diffc.container.layout import MAGIC
from diffc.decode_options import with_changes
from diffc.errors import OptionError
from diffc.progress import Progress
from diffc.sources import opened
from diffc.threads import ready_to_fork
from diffc.values import plain_value

if TYPE_CHECKING:
    import os

# what describes the picture and stays true of it
_KEPT = ("exif", "xmp", "XML:com.adobe.xmp", "icc_profile", "dpi")


def restore(
    source: Any,
    *,
    steps: int | None = None,
    realism: float | None = None,
    strength: float | None = None,
    consistent: bool | None = None,
    model: str | os.PathLike[str] | None = None,
    device: str | None = None,
    progress: Progress | None = None,
) -> Image.Image:
    """Return a picture without the traces of its compression.

    Parameters
    ----------
    source : path, bytes, file, PIL image, array or tensor
        A JPEG, WebP, AVIF, HEIC or JPEG XL picture as a file, or as it was opened from one; or
        pixels, in which the traces of a JPEG are looked for.  What shows no trace comes back as it
        is.
    steps : int, optional
        Of restoring; the embedded model restores in one.
    realism : float, optional
        From 0, the picture of least squared error, to 1, the most natural one.
    strength : float, optional
        Above 0 and up to 100: the root mean square error to take away, in grey levels of 255;
        left out, it is estimated.
    consistent : bool, optional
        True: what comes out is a picture that this very JPEG file could have come from; coded
        again with the file's steps it gives the file's coefficients, but for values at black and
        white and for steps of one or two grey levels.  False: it is as the model makes it.  Left
        out, the former for JPEG files whose data are at hand.
    model : path, optional
        A directory with another restoring model.
    device : str, optional
        A torch device; the environment's DIFFC_DEVICE is the default.
    progress : callable, optional
        Called with the steps done and their number.

    Returns
    -------
    PIL.Image.Image
        Of the same size; L, LA, RGB or RGBA.  ``info`` holds the source's EXIF, XMP, ICC profile
        and resolution; an orientation in its EXIF is not applied.

    Raises
    ------
    ValueError
        If an option is out of range, or ``consistent=True`` cannot hold.
    OSError
        If the file is damaged, or of a format that is not known here.
    """
    options = with_changes(
        device=device, steps=steps, realism=realism, model=model, progress=progress
    )
    strength = _checked_strength(plain_value(strength))
    if not isinstance(consistent, bool | None):
        raise ValueError(f"consistent is True or False, not {consistent!r}: pass one of them")
    image, data = _read(source)
    from diffc.pictures import pixels
    from diffc.pictures.metadata import profile_fits
    from diffc.pictures.source import source_of
    from diffc.torch_state import lacks_memory, too_little_memory, undisturbed_torch

    profile = image.info.get("icc_profile")
    # a profile of four inks says nothing of the red, green and blue that come out
    fits = profile is None or profile_fits(profile, _kept_mode(image))
    picture = pixels.from_pillow(image, keep_alpha=True, convert_color=not fits)
    if data is None:
        data = source_of(image, picture.color)
    degraded = Degraded(picture.color, data, image.format or "", strength, consistent)
    function = _restorer()
    try:
        with ready_to_fork(), undisturbed_torch():
            made: Image.Image = function(degraded, options)
    except (MemoryError, RuntimeError) as error:
        if not lacks_memory(error):
            raise
        raise MemoryError(
            too_little_memory("restore", image.format or "picture", image.size, options.device)
        ) from error
    if picture.alpha is not None:
        made.putalpha(picture.alpha)
    made.info = {
        key: image.info[key]
        for key in _KEPT
        if key in image.info and (key != "icc_profile" or fits)
    }
    return made


def _restorer() -> Any:
    module, _, name = RESTORER.partition(":")
    return getattr(import_module(module), name)


def _checked_strength(strength: object) -> float | None:
    if strength is None:
        return None
    if isinstance(strength, bool) or not isinstance(strength, int | float):
        raise OptionError(f"strength is a number of grey levels, not {strength!r}: give one")
    if not 0 < strength <= 100:
        raise OptionError(
            f"strength is above 0 and up to 100 grey levels, not {strength}: choose one in that range"
        )
    return float(strength)


def _kept_mode(image: Image.Image) -> str:
    """Return the mode of what comes out, without alpha."""
    return "L" if image.mode in ("1", "L", "LA", "La") else "RGB"


def _read(source: Any) -> tuple[Image.Image, bytes | None]:
    """Open a source; return its file's bytes where they are read anyway."""
    if isinstance(source, Image.Image):
        data = _unread_file(source)
        source.load()
        return source, data
    pixels = hasattr(source, "__array_interface__") and getattr(source, "ndim", 1) > 1
    tensor = hasattr(source, "is_floating_point") and source.dim() > 1
    if pixels or tensor:
        return as_pillow(source), None
    with opened(source) as file:
        data = file.read()
    if data.startswith(MAGIC):
        raise ValueError(
            "a DIFFC file is restored when it is decoded: use diffc.decode, with realism= if need be"
        )
    from diffc.pictures.reading import metadata_of, open_picture, tell_of_others

    image = open_picture(io.BytesIO(data), data[:16])
    tell_of_others(image)
    found = metadata_of(image)
    image.load()
    image.info.update(found)
    return image, data


def _unread_file(image: Image.Image) -> bytes | None:
    """Return the bytes of the file of an image whose pixels were not loaded, so are unchanged."""
    file = getattr(image, "fp", None)
    if not isinstance(image, ImageFile.ImageFile) or file is None or not image.tile:
        return None
    if image.decoderconfig:  # by `draft`, which chooses another size or mode
        return None
    try:
        place = file.tell()
        file.seek(0)
        data: bytes = file.read()
        file.seek(place)
    except (OSError, ValueError):
        return None
    return data
