"""DIFFC as a format of imageio, version 3: importing this module makes it known there.

imageio reads DIFFC through Pillow as soon as `diffc` is imported.  This plugin stands before Pillow's
for the extension; it also takes options of decoding, refuses unknown ones, and writes files whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from diffc.api import decode, encode, info
from diffc.file_io import write_whole
from diffc.optional_packages import from_extra
from diffc.registration import EXTENSION, FORMAT

with from_extra("imageio"):
    from imageio import config
    from imageio.core import request as requests
    from imageio.core import v3_plugin_api as api

_NAME = "diffc"


class DiffcPlugin(api.PluginV3):
    """One DIFFC file, opened for reading or for writing."""

    def __init__(self, request: requests.Request) -> None:
        super().__init__(request)
        if request.mode.io_mode != requests.IOMode.read:
            if request.extension not in (None, EXTENSION):
                raise requests.InitializationError(
                    f"a DIFFC file ends in {EXTENSION}: {request.raw_uri!r}"
                )
            return
        try:
            self._header = info(request.get_file())
        except OSError as error:
            raise requests.InitializationError(str(error)) from error

    def read(
        self, *, index: Any = None, mode: str | None = None, rotate: bool = False, **options: Any
    ) -> np.ndarray[Any, Any]:
        """Return the picture, (height, width[, channels]) of uint8.

        Parameters
        ----------
        index : int or ..., optional
            0, or ... for a first axis of one picture.
        mode : str, optional
            A Pillow mode to convert it to.
        rotate : bool
            Turn it as the file's EXIF says.
        **options
            Those of `diffc.decoding`.
        """
        _check_index(index)
        picture = decode(self.request.get_file(), **options)
        if rotate:
            picture = ImageOps.exif_transpose(picture)
        array = np.array(picture if mode is None else picture.convert(mode))
        return array[None] if index is ... else array

    def iter(self, **options: Any) -> Iterator[np.ndarray[Any, Any]]:
        """Yield the one picture; options are those of `read`."""
        yield self.read(**options)

    def write(self, ndimage: Any, **options: Any) -> bytes | None:
        """Write a picture as `diffc.encode` takes it, with its options; a list or batch of one, too."""
        image = np.asarray(ndimage)
        if image.ndim == 4 and len(image) != 1:
            raise ValueError(f"a DIFFC file holds one picture, not {len(image)}: save each")
        data = encode(image, **options)
        if self.request.raw_uri == requests.RETURN_BYTES:
            return data
        # of what is no local file imageio puts a temporary one in its place
        write_whole(self.request.get_local_filename(), data)
        return None

    def properties(self, index: Any = None) -> api.ImageProperties:
        """Return shape and type without decoding."""
        _check_index(index)
        width, height = self._header.size
        bands = Image.getmodebands(self._header.mode)
        shape = (height, width, bands) if bands > 1 else (height, width)
        if index is ...:
            return api.ImageProperties((1, *shape), np.dtype("uint8"), n_images=1, is_batch=True)
        return api.ImageProperties(shape, np.dtype("uint8"))

    def metadata(self, index: Any = None, exclude_applied: bool = True) -> dict[str, Any]:
        """Return what the header says, without decoding: codec, bytes, caption, EXIF and the like."""
        _check_index(index)
        with Image.open(self.request.get_file(), formats=[FORMAT]) as image:
            found = {str(name): value for name, value in image.info.items()}
        return {**found, **asdict(self._header)}


def _check_index(index: Any) -> None:
    if index not in (None, 0, ...):
        raise ValueError(f"a DIFFC file holds one picture, at index 0, not {index!r}")


config.known_plugins[_NAME] = config.PluginConfig(
    name=_NAME, class_name="DiffcPlugin", module_name=__name__, install_name=_NAME
)
config.known_extensions[EXTENSION] = [
    config.FileExtension(
        name="Diffusion image codecs", extension=EXTENSION, priority=[_NAME, "pillow"]
    )
]
