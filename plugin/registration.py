"""Tell Pillow of the format, and load the rest when a file is opened or saved."""

from __future__ import annotations

import mimetypes
from typing import IO, TYPE_CHECKING, Any

from PIL import Image

from diffc.container.diagnosis import diagnose
from diffc.container.layout import MAGIC

if TYPE_CHECKING:
    from types import ModuleType

    from PIL import ImageFile

FORMAT = "DIFFC"
MIME = "image/x-diffc"
EXTENSION = ".diffc"


def _accept(prefix: bytes) -> bool | str:
    # a text is Pillow's way to say "mine, but unreadable, because"; it becomes a warning
    reason = diagnose(prefix)
    return reason if reason is not None else prefix.startswith(MAGIC)


def _adapter() -> ModuleType:
    from importlib import import_module

    # by name: the core knows no adapter
    return import_module("diffc.adapters.pillow")


def _open(file: IO[bytes], filename: str | bytes) -> ImageFile.ImageFile:
    image: ImageFile.ImageFile = _adapter().DiffcImageFile(file, filename)
    return image


def _save(image: Image.Image, file: IO[bytes], filename: str | bytes) -> None:
    _adapter().save(image, file, filename)


def _save_all(image: Image.Image, file: IO[bytes], filename: str | bytes) -> None:
    _adapter().save_all(image, file, filename)


def register() -> None:
    """Make Pillow open and save DIFFC files; repeating it changes nothing."""
    opener: Any = _open  # Pillow's own readers are classes, but it only calls them
    Image.register_open(FORMAT, opener, _accept)
    Image.register_save(FORMAT, _save)
    Image.register_save_all(FORMAT, _save_all)
    Image.register_extension(FORMAT, EXTENSION)
    Image.register_mime(FORMAT, MIME)
    # what web frameworks name the type of a file by; not read before it is asked for, the table of
    # the standard library takes a new entry to stay
    mimetypes.types_map[EXTENSION] = MIME
    if mimetypes.inited:
        mimetypes.add_type(MIME, EXTENSION)
