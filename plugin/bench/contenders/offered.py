"""Contenders of other packages, under the spec that was asked for."""

from __future__ import annotations

from PIL import Image

from diffc.bench.contenders.contender import Attempt, Contender, Identified, Repeatable


class OfferedContender:
    """A contender by the spec that was asked for: its maker knows only the options.

    Parameters
    ----------
    spec : str
        As asked.
    made : Contender
        What does the work.
    version : str
        Of the package that offers it, with its name; empty if it has none.
    """

    def __init__(self, spec: str, made: Contender, version: str) -> None:
        self.spec = spec
        self.label = made.label
        self.extension = made.extension
        self.made = made
        self._version = version

    def identity(self) -> str:
        """Return the package's version, and what the contender says of itself."""
        own = self.made.identity() if isinstance(self.made, Identified) else ""
        return ", ".join(filter(None, (self._version, own)))

    def encode(self, image: Image.Image, limit: int) -> Attempt:
        """Return the contender's file."""
        return self.made.encode(image, limit)

    def decode(self, data: bytes, size: tuple[int, int] | None = None) -> Image.Image:
        """Return the contender's picture."""
        return self.made.decode(data, size)


class OfferedRepeatable(OfferedContender):
    """One whose contender can repeat what it found."""

    def encode_again(self, image: Image.Image, setting: str) -> bytes:
        """Return the file at a setting."""
        assert isinstance(self.made, Repeatable)
        return self.made.encode_again(image, setting)


def offered(spec: str, made: Contender, version: str) -> Contender:
    """Return another package's contender under a spec.

    Raises
    ------
    ValueError
        If it lacks something of `diffc.bench.contenders.contender.Contender`.
    """
    lacks = [name for name in ("label", "extension", "encode", "decode") if not hasattr(made, name)]
    if lacks:
        raise ValueError(
            f"codec {spec!r} cannot be used, for it has no {' and no '.join(lacks)}: tell the "
            "author of the package that offers it"
        )
    kind = OfferedRepeatable if isinstance(made, Repeatable) else OfferedContender
    return kind(spec, made, version)
