"""Captions in few bytes: raw deflate streams that start from a dictionary of common words.

The dictionary is part of the file format: the words of caption_words.txt, with one space before
each and one behind the last, the commonest last, where it costs the fewest bits to point at.  It
never changes.
"""

from __future__ import annotations

import zlib
from functools import lru_cache
from pkgutil import get_data

# a raw stream: the container has checks of its own, and names no dictionary
_RAW = -zlib.MAX_WBITS


@lru_cache(maxsize=1)
def dictionary() -> bytes:
    """Return what stands before every caption."""
    words = get_data("diffc.container", "caption_words.txt")
    assert words is not None
    # the same bytes whatever a copy's line ends are
    return b" ".join((b"", *words.split(), b""))


def deflate(text: bytes) -> bytes:
    """Return the stream of a caption in UTF-8; short texts of other words may get longer."""
    stream = zlib.compressobj(9, zlib.DEFLATED, _RAW, zdict=dictionary())
    return stream.compress(text) + stream.flush()


def inflater() -> zlib._Decompress:
    """Return what inflates one stream."""
    return zlib.decompressobj(_RAW, zdict=dictionary())
