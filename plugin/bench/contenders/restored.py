"""Codecs of Pillow whose pictures are restored after they are decoded: ``restore:from=jpeg``."""

from __future__ import annotations

from typing import Any

from PIL import Image

from diffc.bench.contenders.host_codecs import HOST_CODECS, host_codec
from diffc.bench.contenders.shrunk import HostContender, LevelCache, resized
from diffc.restoration import restore

NAME = "restore"
_OPTIONS = ("realism", "strength", "consistent", "model")


class RestoredContender(HostContender):
    """The files of another contender, shown by `diffc.restore`.

    Parameters
    ----------
    spec : str
        As asked.
    options : dict
        ``from``, a codec of Pillow, and keywords of `diffc.restore`.
    device : str, optional
        Where the network runs.
    cache : LevelCache
        Shared with other contenders for the same pictures.

    Raises
    ------
    ValueError
        If an option is unknown, or ``from`` is missing or no such codec.
    """

    def __init__(
        self, spec: str, options: dict[str, Any], device: str | None, cache: LevelCache
    ) -> None:
        options = dict(options)
        source = options.pop("from", None)
        if source not in HOST_CODECS:
            raise ValueError(
                f"restore takes from= one of {', '.join(HOST_CODECS)}, not {source!r}: "
                "write restore:from=jpeg"
            )
        if unknown := sorted(set(options) - set(_OPTIONS)):
            raise ValueError(
                f"restore has no option {unknown[0]!r}: it has from, {', '.join(_OPTIONS)}"
            )
        codec = host_codec(source)
        super().__init__(spec, codec, cache)
        said = ",".join(f"{key}={value}" for key, value in options.items())
        self.label = f"{codec.label} restored{f' ({said})' if said else ''}"
        self._options = options | {"device": device}

    def decode(self, data: bytes, size: tuple[int, int] | None = None) -> Image.Image:
        """Return the restored RGB picture of a file; see `HostContender.decode`."""
        picture = restore(data, **self._options).convert("RGB")
        return picture if size is None else resized(picture, size)
