"""Codecs by name: built in, registered by a call, or offered by another package's entry point.

Nothing is imported before a codec is used; a name from a file only ever chooses among these.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module, util
from typing import TypeVar, overload

from diffc.codec import Codec
from diffc.errors import CodecNotAvailableError

ENTRY_POINTS = "diffc.codecs"
DEFAULT_CODEC = "ddcm"
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")

CodecClass = TypeVar("CodecClass", bound=type[Codec])


@dataclass(frozen=True)
class CodecInfo:
    """What is known of a codec without importing it.

    Parameters
    ----------
    installed : bool
        Whether what it is made of can be imported here.
    description : str
        One line; empty for a third party's codec that is not loaded.
    models : tuple of str
        Names for ``model=``.
    weights_licence : str, optional
        Of the weights it comes with; None if it has none, or is a third party's and not loaded.
    origin : str
        ``built in``, ``registered``, or the distribution that offers it.
    """

    installed: bool
    description: str
    models: tuple[str, ...]
    weights_licence: str | None
    origin: str


@dataclass(frozen=True)
class _Entry:
    target: str | type[Codec]
    origin: str
    description: str = ""
    models: tuple[str, ...] = ()
    weights_licence: str | None = None
    needs: str = ""
    options: tuple[str, ...] = ()


_BUILT_IN = {
    "ddcm": _Entry(
        "diffc.codecs.ddcm:DdcmCodec",
        "built in",
        description="denoising diffusion codebook models, Turbo form",
        models=("tiny",),
        weights_licence="MIT",
        needs="torch",
        options=("steps", "atoms", "seed", "roi", "target_psnr"),
    ),
}
# the algorithm of that name (arXiv 2501.09815) may join; nobody else should take it
_RESERVED = frozenset({"diffc"})

_registered: dict[str, _Entry] = {}
_loaded: dict[str, type[Codec]] = {}


def check_name(name: object) -> str:
    """Return a codec's name if it is one.

    Raises
    ------
    ValueError
        If it is not a text of the form ``[a-z0-9][a-z0-9._-]{0,63}``.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(
            "a codec's name is 1 to 64 lower-case letters, digits, '.', '_' or '-', "
            f"not {name!r}: choose such a name"
        )
    return name


@overload
def register_codec(
    name: str, codec: str | type[Codec], *, clobber: bool = False
) -> None: ...


@overload
def register_codec(
    name: str, codec: None = None, *, clobber: bool = False
) -> Callable[[CodecClass], CodecClass]: ...


def register_codec(
    name: str, codec: str | type[Codec] | None = None, *, clobber: bool = False
) -> Callable[[CodecClass], CodecClass] | None:
    """Make a codec known in this process.

    Parameters
    ----------
    name : str
        The codec's `diffc.codec.Codec.name`.
    codec : str or class, optional
        The class, or ``"package.module:Class"``, imported on first use.  If it is left out, the
        result decorates a class.
    clobber : bool
        Replace a codec of that name.

    Raises
    ------
    ValueError
        If the name is malformed, reserved, or taken and ``clobber`` is false.
    """
    check_name(name)
    if codec is None:

        def decorate(target: CodecClass) -> CodecClass:
            register_codec(name, target, clobber=clobber)
            return target

        return decorate
    if name in _RESERVED:
        raise ValueError(f"the name {name!r} is reserved: choose another")
    if not clobber and (name in _BUILT_IN or name in _registered):
        raise ValueError(f"a codec named {name!r} exists: choose another name, or clobber=True")
    if isinstance(codec, str) and not re.fullmatch(r"[\w.]+:\w+", codec):
        raise ValueError(f"a codec is 'package.module:Class', not {codec!r}: name its class so")
    _registered[name] = _Entry(codec, "registered")
    _loaded.pop(name, None)
    return None


def _entry_points() -> dict[str, _Entry]:
    """Return what other packages offer; a built-in or registered codec of the name wins."""
    from importlib.metadata import entry_points

    found: dict[str, _Entry] = {}
    points = sorted(entry_points(group=ENTRY_POINTS), key=lambda p: (p.name, p.value))
    for point in points:
        origin = point.dist.name if point.dist is not None else "an entry point"
        if not _NAME.fullmatch(point.name) or point.name in _RESERVED:
            _warn(f"{origin} offers a codec under the invalid name {point.name!r}: it is ignored")
        elif point.name in _BUILT_IN:
            _warn(f"{origin} offers a codec {point.name!r}, which is built in: it is ignored")
        elif point.name in found:
            _warn(f"{origin} offers a codec {point.name!r} as another does: it is ignored")
        else:
            found[point.name] = _Entry(point.value, origin)
    return found


def _warn(message: str) -> None:
    warnings.warn(message, RuntimeWarning, stacklevel=4)


def _find(name: str) -> _Entry | None:
    return _registered.get(name) or _BUILT_IN.get(name) or _entry_points().get(name)


def _all() -> dict[str, _Entry]:
    return dict(sorted((_entry_points() | _BUILT_IN | _registered).items()))


def load_codec(name: str) -> type[Codec]:
    """Import a codec's class.

    Raises
    ------
    CodecNotAvailableError
        If there is none of that name here, or it cannot be imported.
    """
    if name in _loaded:
        return _loaded[name]
    entry = _find(name) if _NAME.fullmatch(name) else None
    if entry is None:
        known = ", ".join(_all())
        raise CodecNotAvailableError(
            f"codec {name!r} is not installed: install the package that offers it "
            f"(here are: {known})"
        )
    loaded = _import(name, entry) if isinstance(entry.target, str) else entry.target
    if not (isinstance(loaded, type) and issubclass(loaded, Codec) and loaded.name == name):
        raise CodecNotAvailableError(
            f"codec {name!r} of {entry.origin} is not a diffc.codec.Codec of that name: "
            "ask its author"
        )
    _loaded[name] = loaded
    return loaded


def _import(name: str, entry: _Entry) -> object:
    module, _, attribute = str(entry.target).partition(":")
    try:
        return getattr(import_module(module), attribute)
    # another package's import may raise anything; it must not take other codecs down
    except Exception as error:
        remedy = f"install {entry.needs}" if entry.needs else f"reinstall {entry.origin}"
        raise CodecNotAvailableError(
            f"codec {name!r} cannot be imported ({type(error).__name__}: {error}): {remedy}"
        ) from error


def codecs_available() -> dict[str, CodecInfo]:
    """Return what is known of every codec, by name, importing none of them."""
    return {name: _describe(name, entry) for name, entry in _all().items()}


def _describe(name: str, entry: _Entry) -> CodecInfo:
    loaded = _loaded.get(name)
    if loaded is None and not isinstance(entry.target, str):
        loaded = entry.target
    if loaded is not None:
        return CodecInfo(
            True, loaded.description, loaded.models, loaded.weights_licence, entry.origin
        )
    package = str(entry.target).partition(":")[0].partition(".")[0]
    needed = [package, entry.needs] if entry.needs else [package]
    installed = all(util.find_spec(each) is not None for each in needed)
    return CodecInfo(
        installed, entry.description, entry.models, entry.weights_licence, entry.origin
    )


def options_of_other_codecs(name: str) -> Iterator[str]:
    """Yield the encoder options of all built-in or loaded codecs but one."""
    for other, entry in _BUILT_IN.items():
        if other != name:
            yield from entry.options
    for other, loaded in _loaded.items():
        if other != name:
            yield from loaded.settings_type.__dataclass_fields__
