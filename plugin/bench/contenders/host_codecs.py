"""The codecs of Pillow and its plugins, each with the one number that sets its quality."""

from __future__ import annotations

import importlib
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any

from PIL import Image, features
from PIL import __version__ as pillow_version


@dataclass(frozen=True)
class HostCodec:
    """A codec that Pillow can call.

    Parameters
    ----------
    name : str
        As in a spec.
    label : str
        As in tables.
    extension : str
        Of its files, with the dot.
    format : str
        Pillow's name of it.
    highest : int
        Levels of quality go from 0 to this.
    value_of : callable
        Maps a level to the number that the encoder is given.
    setting : str
        What that number is called.
    options : mapping
        What the encoder is given besides.
    option_of : callable
        Maps the number to the encoder's option.
    tolerance : float
        Part of a limit that a search may leave unused: 0 where levels are whole qualities.
    needs : str
        Feature of Pillow, or module that must be imported first.
    feature : str
        By which Pillow tells the version of the library; empty for plugins.
    about : str
        How it is used, for readers of results.
    """

    name: str
    label: str
    extension: str
    format: str
    highest: int = 100
    value_of: Callable[[int], float] = int
    setting: str = "quality"
    options: Mapping[str, Any] = field(default_factory=dict)
    option_of: Callable[[float], dict[str, Any]] = lambda value: {"quality": value}
    tolerance: float = 0.0
    needs: str = ""
    feature: str = ""
    about: str = ""

    def check(self) -> None:
        """Make the codec ready.

        Raises
        ------
        ValueError
            If it is missing here.
        """
        if self.needs not in _PLUGINS:
            if self.needs and not features.check(self.needs):
                raise ValueError(
                    f"codec {self.name!r} is not in this Pillow: install Pillow's own wheel, "
                    "or drop it"
                )
            return
        try:
            module = importlib.import_module(self.needs)
        except ImportError as error:
            raise ValueError(
                f"codec {self.name!r} needs {_PLUGINS[self.needs]}, which is missing: "
                'pip install "diffc[bench]"'
            ) from error
        if self.needs == "pillow_heif":
            module.register_heif_opener()

    def identity(self) -> str:
        """Return the versions of Pillow, which resizes and encodes, and of the codec's library."""
        if self.needs in _PLUGINS:
            library = _PLUGINS[self.needs]
            version: str | None = metadata.version(library)
        else:
            library, version = self.feature, features.version(self.feature)
        return f"Pillow {pillow_version}, {library} {version}"

    def encode(self, picture: Image.Image, value: float) -> bytes:
        """Return the file of an RGB picture without metadata at a quality."""
        out = io.BytesIO()
        picture.save(out, self.format, **self.options, **self.option_of(value))
        return out.getvalue()

    def decode(self, data: bytes) -> Image.Image:
        """Open a file from its bytes; return its RGB picture."""
        with Image.open(io.BytesIO(data)) as image:
            return image.convert("RGB")


_PLUGINS = {"pillow_heif": "pillow-heif", "pillow_jxl": "pillow-jxl-plugin"}


def _whole(first: int) -> Callable[[int], float]:
    return lambda level: first + level


HOST_CODECS = {
    codec.name: codec
    for codec in (
        HostCodec(
            "jpeg",
            "JPEG",
            ".jpg",
            "JPEG",
            # 0 and 1 are the same
            highest=99,
            value_of=_whole(1),
            feature="libjpeg_turbo",
            options={"optimize": True, "progressive": True, "subsampling": "4:2:0"},
            about="progressive, optimised tables, 4:2:0",
        ),
        HostCodec(
            "webp",
            "WebP",
            ".webp",
            "WEBP",
            options={"method": 6},
            needs="webp",
            feature="webp",
            about="method 6",
        ),
        HostCodec(
            "avif",
            "AVIF",
            ".avif",
            "AVIF",
            # the bytes depend on the number of threads, and should not on the machine
            options={"speed": 4, "max_threads": 2},
            needs="avif",
            feature="avif",
            about="speed 4, 4:2:0",
        ),
        HostCodec(
            "jpeg2000",
            "JPEG 2000",
            ".j2k",
            "JPEG2000",
            # ratios of compression from 10000 to 1, each 0.5 % below the one before
            highest=1837,
            value_of=lambda level: round(10000 * 0.995**level, 4),
            setting="ratio",
            # a bare codestream: the boxes around it would cost 85 bytes; without the transform of
            # colours (mct), which Pillow leaves out, it loses some 3 dB
            options={"quality_mode": "rates", "irreversible": True, "no_jp2": True, "mct": 1},
            option_of=lambda value: {"quality_layers": [value]},
            tolerance=0.005,
            needs="jpg_2000",
            feature="jpg_2000",
            about="OpenJPEG, irreversible, a bare codestream",
        ),
        HostCodec(
            "heic",
            "HEIC",
            ".heic",
            "HEIF",
            needs="pillow_heif",
            about="pillow-heif's defaults (x265, 4:2:0)",
        ),
        HostCodec(
            "jxl",
            "JPEG XL",
            ".jxl",
            "JXL",
            # the plugin turns a quality, in steps of any size, into the encoder's distance; 100
            # is refused without its switch for lossless files
            highest=999,
            value_of=lambda level: level / 10,
            options={"effort": 7},
            tolerance=0.002,
            needs="pillow_jxl",
            about="effort 7",
        ),
    )
}


def host_codec(name: str) -> HostCodec:
    """Return a codec that is ready.

    Raises
    ------
    ValueError
        If it is missing here.
    """
    codec = HOST_CODECS[name]
    codec.check()
    return codec
