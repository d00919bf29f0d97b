"""Codecs under test by their specs.

There are those of Pillow and its plugins (`diffc.bench.contenders.host_codecs`), each also with
``-ds`` for "shrink, code, enlarge", and as ``restore:from=jpeg`` shown by `diffc.restore`; those of
diffc's registry, to which any package can add by the entry point group ``diffc.codecs``; and codecs
with files of their own kind, which a package offers in the group ``diffc.contenders``::

    [project.entry-points."diffc.contenders"]
    mbt2018 = "my_package.bench:contender"

The entry point is a function of the spec's options and of a torch device or None, and returns a
`diffc.bench.contenders.contender.Contender`::

    def contender(options: dict[str, Any], device: str | None) -> Contender: ...

It raises ValueError, in one sentence, for options that it does not know.  The contender goes by the
spec that was asked for, whatever it calls itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from PIL import Image

from diffc.bench.contenders.contender import Attempt, Contender, Identified, Repeatable
from diffc.bench.contenders.host_codecs import HOST_CODECS, host_codec
from diffc.bench.contenders.registered import RegisteredContender
from diffc.bench.contenders.restored import NAME as RESTORED
from diffc.bench.contenders.restored import RestoredContender
from diffc.bench.contenders.shrunk import SCALES, Distance, HostContender, LevelCache
from diffc.bench.contenders.specs import parse_spec

ENTRY_POINTS = "diffc.contenders"
SHRUNK = "-ds"


def contenders(
    specs: Iterable[str], distance: Distance | None, device: str | None
) -> list[Contender]:
    """Return several codecs under test; see `contender`.

    They share the files of the picture at hand: give each picture to all of them in turn.
    """
    cache = LevelCache()
    return [contender(spec, distance, device, cache) for spec in specs]


def contender(
    spec: str,
    distance: Distance | None,
    device: str | None,
    cache: LevelCache | None = None,
) -> Contender:
    """Return a codec under test.

    Parameters
    ----------
    spec : str
        ``NAME`` or ``NAME:KEY=VALUE,KEY=VALUE``.
    distance : callable, optional
        Of two RGB pictures of one size, smaller for better; ``-ds`` codecs choose by it.
    device : str, optional
        Where the networks of learned codecs run; None is DIFFC_DEVICE, else the CPU.
    cache : LevelCache, optional
        What codecs that are given the same pictures share.

    Raises
    ------
    ValueError
        If there is no such codec, its package is missing, an option is wrong, or a ``-ds`` codec
        has no distance.
    """
    from diffc.registry import known_codecs

    name, options = parse_spec(spec)
    if name.removesuffix(SHRUNK) in HOST_CODECS:
        if options:
            raise ValueError(f"codec {name!r} has no options: write {name!r} for {spec!r}")
        codec = host_codec(name.removesuffix(SHRUNK))
        scales = tuple(SCALES) if name.endswith(SHRUNK) else ("1",)
        return HostContender(spec, codec, cache or LevelCache(), distance, scales)
    if name == RESTORED:
        return RestoredContender(spec, options, device, cache or LevelCache())
    if name in known_codecs():
        return RegisteredContender(spec, name, options, device)
    points = _entry_points()
    if name not in points:
        raise ValueError(f"there is no codec {name!r}: there are {', '.join(known())}")
    return _foreign(spec, points[name], options, device)


def known() -> list[str]:
    """Return the names of all codecs, whether or not their packages are installed."""
    from diffc.registry import known_codecs

    host = [each for name in HOST_CODECS for each in (name, name + SHRUNK)]
    return list(dict.fromkeys([*host, RESTORED, *known_codecs(), *_entry_points()]))


def _entry_points() -> dict[str, Any]:
    from importlib.metadata import entry_points

    points = sorted(entry_points(group=ENTRY_POINTS), key=lambda point: (point.name, point.value))
    return {point.name: point for point in reversed(points)}


def _foreign(spec: str, point: Any, options: dict[str, Any], device: str | None) -> Contender:
    try:
        factory = point.load()
    # another package's import may do anything
    except Exception as error:
        raise ValueError(
            f"codec {point.name!r} cannot be imported ({type(error).__name__}: {error}): "
            "reinstall the package that offers it"
        ) from error
    try:
        made = factory(options, device)
    except ValueError:
        raise
    # and so may its function
    except Exception as error:
        raise ValueError(
            f"codec {spec!r} cannot be made ({type(error).__name__}: {error}): change its options, "
            "or tell the author of the package that offers it"
        ) from error
    version = "" if point.dist is None else f"{point.dist.name} {point.dist.version}"
    return offered(spec, made, version)


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
