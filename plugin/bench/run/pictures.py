"""The pictures of a run: read from files, upright, RGB, compared in their own colour space."""

from __future__ import annotations

import hashlib
import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from diffc.bench.contenders.specs import slug
from diffc.file_io import write_whole

_HEIF = (".heic", ".heif", ".hif")


@dataclass(frozen=True)
class Source:
    """A file with a picture.

    Parameters
    ----------
    path : Path
        The file.
    name : str
        Of the picture in the run's folder: ``[a-z0-9._-]`` only.
    """

    path: Path
    name: str


def find_pictures(folder: Path) -> list[Path]:
    """Return the files of a folder that end as pictures do, by name; no hidden ones, no folders.

    Raises
    ------
    ValueError
        If it is no folder, or holds no picture.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder} is not a folder: name one with pictures in it")
    Image.init()
    endings = {end for end, kind in Image.EXTENSION.items() if kind in Image.OPEN} | set(_HEIF)
    found = sorted(
        path
        for path in folder.iterdir()
        if not path.name.startswith(".") and path.suffix.lower() in endings and path.is_file()
    )
    if not found:
        raise ValueError(f"{folder} holds no picture: name a folder with .png, .jpg or others")
    return found


def named(paths: Sequence[Path]) -> list[Source]:
    """Return files with a name for each picture, which no two share."""
    sources: list[Source] = []
    taken: set[str] = set()
    for path in paths:
        plain = slug(path.stem)
        name, number = plain, 2
        while name in taken:
            name, number = f"{plain}-{number}", number + 1
        taken.add(name)
        sources.append(Source(path, name))
    return sources


def read_rgb(path: Path) -> Image.Image:
    """Return a file's picture as RGB without metadata, turned upright.

    An ICC profile is dropped, not applied: codecs and measures get the same numbers.

    Raises
    ------
    OSError, ValueError
        If it cannot be read, or has more than 8 bits a channel.
    """
    from diffc.pictures.pixels import from_pillow
    from diffc.pictures.reading import read_picture

    with warnings.catch_warnings():
        # about metadata, which is dropped here
        warnings.simplefilter("ignore")
        picture = read_picture(str(path))
    # a copy, so that it knows no file either
    kept = from_pillow(picture, keep_alpha=False, convert_color=False)
    plain = kept.color.convert("RGB").copy()
    plain.info = {}
    return plain


def sha256_of(picture: Image.Image) -> str:
    """Return the SHA-256 of an RGB picture's pixels, hexadecimal."""
    return hashlib.sha256(picture.tobytes()).hexdigest()


def png_bytes(picture: Image.Image) -> bytes:
    """Return a picture as PNG."""
    out = io.BytesIO()
    picture.save(out, "PNG", compress_level=1)
    return out.getvalue()


def write_into(path: Path, data: bytes) -> None:
    """Write a file whole or not at all, into a folder that is made if it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, data)
