"""Which keywords belong to whom: ours, a codec's, Pillow's, or nobody's."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable
from dataclasses import fields
from typing import Any

from diffc.captions import check_caption
from diffc.codec import Codec, Settings
from diffc.registry import codecs_available, options_of_other_codecs

CORE = (
    "backend",
    "bpp",
    "target_size",
    "quality",
    "alpha",
    "exif",
    "icc_profile",
    "xmp",
    "progress",
    "allow_download",
)

# what generic code passes to every format; Pillow's contract is to ignore what one does not know
_PILLOW = frozenset(
    [
        "advanced",
        "allow_mixed",
        "alpha_quality",
        "append_images",
        "autotiling",
        "background",
        "big_tiff",
        "bitmap_format",
        "bits",
        "codec",
        "comment",
        "compress_level",
        "compression",
        "dictionary",
        "disposal",
        "dpi",
        "duration",
        "effort",
        "exact",
        "format",
        "include_color_table",
        "interlace",
        "keep_rgb",
        "kmax",
        "kmin",
        "loop",
        "lossless",
        "max_threads",
        "method",
        "minimize_size",
        "optimize",
        "palette",
        "pnginfo",
        "progressive",
        "qtables",
        "quality_layers",
        "quality_mode",
        "range",
        "resolution",
        "restart_marker_blocks",
        "restart_marker_rows",
        "save_all",
        "sizes",
        "smooth",
        "software",
        "speed",
        "streamtype",
        "strip_size",
        "subsampling",
        "tile_cols",
        "tile_rows",
        "tiffinfo",
        "transparency",
    ]
)


def check_requests(options: dict[str, Any]) -> None:
    """Refuse keywords that ask for what no file here is, though other formats know them.

    Raises
    ------
    ValueError
        For ``codec=`` with the name of a codec of this package, a true ``lossless=``, and more
        than one picture.
    """
    codec = options.get("codec")
    if isinstance(codec, str) and codec in codecs_available():
        raise ValueError(f"a codec is named by backend=, not codec=: pass backend={codec!r}")
    if options.get("lossless"):
        raise ValueError(
            "lossless=True asks for what no codec here does: drop it, or save as PNG or WebP"
        )
    if more := len(list(options.get("append_images") or [])):
        raise ValueError(
            f"a DIFFC file holds one picture, not {1 + more}: save each to its own file"
        )


# Pillow's keywords that some codec here may understand as its own
_UNDERSTOOD = {"codec", "lossless", "speed"}


def asks_for_coding(options: dict[str, Any], neutral: set[str], *, strict: bool) -> bool:
    """Return whether any keyword may be a reason to code an unchanged picture anew."""
    ignored = neutral if strict else neutral | (_PILLOW - _UNDERSTOOD)
    return any(value is not None and name not in ignored for name, value in options.items())


def codec_options(codec: type[Codec]) -> tuple[str, ...]:
    """Return the names of a codec's encoder options."""
    return tuple(each.name for each in fields(codec.settings_type))


def take_settings(options: dict[str, Any], codec: type[Codec], *, strict: bool) -> Settings:
    """Turn the remaining options into a codec's settings, which check themselves.

    Parameters
    ----------
    options : dict
        Keywords; those of the core have been taken.
    codec : type
        The codec's class.
    strict : bool
        Refuse every unknown keyword; otherwise refuse only near-misses of a name that is known
        and options of other codecs, as `PIL.Image.Image.save` passes any keyword on.

    Raises
    ------
    ValueError
        If a keyword is refused, or a setting has a wrong type or range.
    """
    names = codec_options(codec)
    given = {name: value for name, value in options.items() if name in names}
    if isinstance(given.get("model"), os.PathLike):
        given["model"] = os.fspath(given["model"])
    others = set(options_of_other_codecs(codec.name))
    for keyword in options:
        if keyword in names:
            continue
        if keyword in others and (strict or keyword not in _PILLOW):
            raise ValueError(
                f"{keyword!r} is not an option of codec {codec.name!r}, which has "
                f"{', '.join(names)}: drop it, or choose another backend"
            )
        if strict or keyword not in _PILLOW:
            _refuse_if_near(keyword, (*CORE, *names), strict=strict)
    settings = codec.settings_type(**given)
    check_caption(getattr(settings, "caption", None))
    return settings


def _refuse_if_near(keyword: str, names: Iterable[str], *, strict: bool) -> None:
    near = difflib.get_close_matches(keyword, list(names), n=1, cutoff=0.75)
    if near:
        raise ValueError(f"{keyword!r} is not an option: did you mean {near[0]!r}?")
    if strict:
        raise ValueError(f"{keyword!r} is not an option: the options are {', '.join(names)}")
