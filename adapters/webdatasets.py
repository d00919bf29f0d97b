"""DIFFC for webdataset: a decoder and an encoder of the entries whose names end in ``.diffc``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from diffc.api import encode
from diffc.decode_options import decoding, with_changes
from diffc.encoding import check_options
from diffc.optional_packages import from_extra
from diffc.registration import EXTENSION

with from_extra("webdataset"):
    from webdataset import imagehandler, writer  # type: ignore[import-untyped]

_KEY = EXTENSION[1:]


@dataclass(frozen=True)
class _Decoder:
    """Decodes one entry after another; worker processes get a copy."""

    handler: Callable[[str, bytes], Any]
    options: Mapping[str, Any]

    def __call__(self, key: str, data: bytes) -> Any:
        """Return the picture of an entry, None if it is of another kind."""
        with decoding(**self.options):
            return self.handler(key, data)


def decoder(imagespec: str = "pil", **options: Any) -> Callable[[str, bytes], Any]:
    """Return what decodes entries: ``WebDataset(urls).decode(decoder("torchrgb8"))``.

    Parameters
    ----------
    imagespec : str
        What a picture becomes, in webdataset's words: ``"pil"``, ``"rgb8"`` for an array of uint8,
        ``"torchrgb"`` for a tensor of floats, and so on.  Other entries are left to other handlers.
    **options
        Those of `diffc.decoding`.

    Raises
    ------
    ValueError
        If webdataset knows no such word, or an option cannot hold.
    """
    with_changes(**options)
    return _Decoder(imagehandler(imagespec, extensions=[_KEY]), options)


def encoder(**options: Any) -> dict[str, Callable[[Any], bytes]]:
    """Return what encodes entries: ``TarWriter(file, encoder=encoder(bpp=0.1))``.

    Parameters
    ----------
    **options
        Those of `diffc.encode`, which takes Pillow images, arrays and tensors; bytes are written
        as they are.

    Returns
    -------
    dict
        A function for each key: webdataset's own, and one for ``diffc``.

    Raises
    ------
    ValueError
        If an option cannot hold; when called, if the rate or the picture cannot.
    """
    check_options(options)
    return {**writer.default_handlers, _KEY: partial(encode, **options)}
