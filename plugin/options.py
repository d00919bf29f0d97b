"""Which keywords belong to whom: ours, a codec's, Pillow's, or nobody's."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable
from typing import Any

from diffc.captions import check_caption
from diffc.codec import Codec, options_of
from diffc.registry import declarations, known_codecs

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


def check_requests(options: dict[str, Any], codec: type[Codec]) -> None:
    """Refuse keywords that ask for what no file here is, though other formats know them.

    Raises
    ------
    ValueError
        For ``codec=`` with the name of a codec of this package, a true ``lossless=`` with a codec
        that is not, and more than one picture.
    """
    name = options.get("codec")
    if isinstance(name, str) and name in known_codecs():
        raise ValueError(f"a codec is named by backend=, not codec=: pass backend={name!r}")
    if options.get("lossless") and not codec.traits.lossless:
        raise ValueError(
            f"lossless=True asks for what codec {codec.name!r} does not do: drop it, or save as "
            "PNG or WebP"
        )
    if options.get("lossless") and options.get("quality") != 100:
        raise ValueError(f"codec {codec.name!r} is lossless with quality=100: pass that alone")
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
    return tuple(each.name for each in options_of(codec))


def take_codec(options: dict[str, Any], codec: type[Codec], *, strict: bool) -> Codec:
    """Return a codec with the remaining options, which it checks itself.

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
        If a keyword is refused, or an option has a wrong type or range.
    """
    names = codec_options(codec)
    given = {name: value for name, value in options.items() if name in names}
    if isinstance(given.get("model"), os.PathLike):
        given["model"] = os.fspath(given["model"])
    for keyword in options:
        if keyword in names:
            continue
        if keyword in _options_of_others(codec.name) and (strict or keyword not in _PILLOW):
            raise ValueError(
                f"{keyword!r} is not an option of codec {codec.name!r}, which has "
                f"{', '.join(names)}: drop it, or choose another backend"
            )
        if strict or keyword not in _PILLOW:
            _refuse_if_near(keyword, (*CORE, *names), strict=strict)
    made = codec(**given)
    check_caption(getattr(made, "caption", None))
    return made


def _options_of_others(name: str) -> set[str]:
    """Return the options of all codecs whose declaration can be read here, but one."""
    others = (each for other, each in declarations().items() if other != name)
    return {option for each in others for option in codec_options(each)}


def _refuse_if_near(keyword: str, names: Iterable[str], *, strict: bool) -> None:
    near = difflib.get_close_matches(keyword, list(names), n=1, cutoff=0.75)
    if near:
        raise ValueError(f"{keyword!r} is not an option: did you mean {near[0]!r}?")
    if strict:
        raise ValueError(f"{keyword!r} is not an option: the options are {', '.join(names)}")
