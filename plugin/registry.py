"""Codecs by name: built in, registered by a call, or offered by another package's entry point.

Nothing of others is imported before a codec is used; a name from a file only ever chooses among
these.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib import util
from pkgutil import resolve_name
from typing import TypeVar, overload

from diffc.builtin_codecs import BUILT_IN
from diffc.codec import Codec, ModelKind, options_of
from diffc.errors import CodecNotAvailableError, DiffcWarning
from diffc.threads import first_use
from diffc.values import is_plain_name

ENTRY_POINTS = "diffc.codecs"
_TARGET = re.compile(r"\w+(\.\w+)*:\w+(\.\w+)*")

CodecClass = TypeVar("CodecClass", bound=type[Codec])


@dataclass(frozen=True)
class CodecInfo:
    """What is known of a codec without loading anything heavy.

    Parameters
    ----------
    installed : bool
        Whether the packages that it is made of are found here; none of them is imported.
    description : str
        One line; empty for a third party's codec that is not loaded.
    models : tuple of str
        Names for ``model=``.
    weights_licence : str, optional
        Of the weights it comes with; None if it has none, or is a third party's and not loaded.
    origin : str
        ``built in``, ``registered``, or the distribution that offers it.
    needs : str
        What is missing before it can be used, and how to get it; empty if nothing is.
    rates : tuple of float, optional
        Bits per pixel that it reaches on photographs, lowest and highest, as measured.
    options : tuple of str
        Keywords of its encoder; empty for a third party's codec that is not loaded.
    """

    installed: bool
    description: str
    models: tuple[str, ...]
    weights_licence: str | None
    origin: str
    needs: str = ""
    rates: tuple[float, float] | None = None
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Entry:
    target: str | type[Codec]
    origin: str


_BUILT_IN = {name: _Entry(target, "built in") for name, target in BUILT_IN.items()}
# the algorithm of that name (arXiv 2501.09815) may join; nobody else should take it
_RESERVED = frozenset({"diffc"})

_registered: dict[str, _Entry] = {}
_loaded: dict[str, type[Codec]] = {}
_usable: dict[str, type[Codec]] = {}


def check_name(name: object) -> str:
    """Return a codec's name if it is one.

    Raises
    ------
    ValueError
        If it is not a text of the form ``[a-z0-9][a-z0-9._-]{0,63}``.
    """
    if not isinstance(name, str) or not is_plain_name(name):
        raise ValueError(
            "a codec's name is 1 to 64 lower-case letters, digits, '.', '_' or '-', the first a "
            f"letter or digit, not {name!r}: choose such a name"
        )
    return name


@overload
def register_codec(name: str, codec: str | type[Codec], *, clobber: bool = False) -> None: ...


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
        If the name is malformed, reserved, or taken and ``clobber`` is false; or if the class is
        no codec of that name.
    """
    if check_name(name) in _RESERVED:
        raise ValueError(f"the name {name!r} is reserved: choose another")
    if not clobber and (name in _BUILT_IN or name in _registered):
        raise ValueError(f"a codec named {name!r} exists: choose another name, or clobber=True")
    if codec is None:

        def decorate(target: CodecClass) -> CodecClass:
            register_codec(name, target, clobber=clobber)
            return target

        return decorate
    if isinstance(codec, str) and not _TARGET.fullmatch(codec):
        raise ValueError(f"a codec is 'package.module:Class', not {codec!r}: name its class so")
    if not isinstance(codec, str) and (fault := _fault(name, codec)):
        raise ValueError(f"{codec!r} {fault}: register another class, or change it")
    _registered[name] = _Entry(codec, "registered")
    _loaded.pop(name, None)
    _usable.pop(name, None)
    return None


def _fault(name: str, codec: object) -> str:
    """Say what keeps an object from being the codec of a name; empty if nothing does."""
    if not (isinstance(codec, type) and issubclass(codec, Codec)):
        return "is not a subclass of diffc.codec.Codec"
    if getattr(codec, "name", None) != name:
        return f"is named {getattr(codec, 'name', None)!r}, not {name!r}"
    if missing := sorted(getattr(codec, "__abstractmethods__", ())):
        return f"lacks {' and '.join(missing)}"
    return ""


def _entry_points() -> dict[str, _Entry]:
    """Return what other packages offer; a built-in or registered codec of the name wins."""
    # takes 30 ms, which opening a file must not
    from importlib.metadata import entry_points

    found: dict[str, _Entry] = {}
    points = sorted(entry_points(group=ENTRY_POINTS), key=lambda point: (point.name, point.value))
    for point in points:
        origin = point.dist.name if point.dist is not None else "an entry point"
        if not is_plain_name(point.name) or point.name in _RESERVED:
            _warn(f"{origin} offers a codec under the invalid name {point.name!r}: it is ignored")
        elif point.name in _BUILT_IN:
            _warn(f"{origin} offers a codec {point.name!r}, which is built in: it is ignored")
        elif point.name not in found:
            found[point.name] = _Entry(point.value, origin)
        elif point.value != found[point.name].target:
            first = found[point.name].origin
            _warn(f"{origin} offers a codec {point.name!r} as {first} does: it is ignored")
    return found


def _warn(message: str) -> None:
    # from here through _entry_points, _find or _all, and a public function to its caller
    warnings.warn(message, DiffcWarning, stacklevel=5)


def _find(name: str) -> _Entry | None:
    return _registered.get(name) or _BUILT_IN.get(name) or _entry_points().get(name)


def _all() -> dict[str, _Entry]:
    return dict(sorted((_entry_points() | _BUILT_IN | _registered).items()))


def load_codec(name: str) -> type[Codec]:
    """Import the class of a codec that is to code or decode.

    Raises
    ------
    CodecNotAvailableError
        If there is none of that name here, or it cannot be imported, or what it needs cannot.
    """
    if name in _usable:
        return _usable[name]
    loaded = declaration(name)
    if needed := _missing_packages(loaded):
        raise CodecNotAvailableError(f"codec {name!r} cannot be used without {needed}")
    _usable[name] = loaded
    return loaded


def declaration(name: str) -> type[Codec]:
    """Import the class of a codec for what it says of itself.

    Those of built-in codecs load neither numpy nor torch.

    Raises
    ------
    CodecNotAvailableError
        If there is none of that name here, or it cannot be imported.
    """
    if name in _loaded:
        return _loaded[name]
    entry = _find(name)
    if entry is None:
        # no package is named: a file would choose what its reader installs
        raise CodecNotAvailableError(
            f"codec {name!r} is not installed: update diffc, or install the package that offers "
            f"{name!r} in the entry point group {ENTRY_POINTS!r} (here are: {', '.join(_all())})"
        )
    loaded = _import(name, entry) if isinstance(entry.target, str) else entry.target
    if fault := _fault(name, loaded):
        raise CodecNotAvailableError(
            f"codec {name!r} ({entry.origin}) cannot be used, for {loaded!r} {fault}: "
            "update its package, or tell its author"
        )
    _loaded[name] = loaded  # type: ignore[assignment]  # _fault has looked
    return _loaded[name]


def _import(name: str, entry: _Entry) -> object:
    # an entry point's value may end in extras, "package.module:Class [extra]"
    target = str(entry.target).partition("[")[0].strip()
    try:
        if not _TARGET.fullmatch(target):
            raise ImportError(f"{target!r} is not of the form 'package.module:Class'")
        with first_use():
            return resolve_name(target)
    # another package's import may do anything; it must not take other codecs down
    except (Exception, SystemExit) as error:
        if entry.origin == "registered":
            remedy = f"check that {target!r} can be imported"
        else:
            package = "diffc" if entry.origin == "built in" else entry.origin
            remedy = f"pip install --force-reinstall {package}"
        raise CodecNotAvailableError(
            f"codec {name!r} cannot be imported ({type(error).__name__}: {error}): {remedy}"
        ) from error


def _missing_packages(codec: type[Codec]) -> str:
    """Name the packages that a codec lacks, and how to get them; empty if it lacks none."""
    missing = [package for package in codec.needs if not _found(package)]
    if not missing:
        return ""
    wanted = f'"diffc[{codec.extra}]"' if codec.extra else " ".join(missing)
    return f"{' and '.join(missing)}: pip install {wanted}"


def known_codecs() -> dict[str, CodecInfo]:
    """Return what is known of every codec by name, but not which models of its kinds are here."""
    return {name: _describe(name, entry) for name, entry in _all().items()}


def _describe(name: str, entry: _Entry) -> CodecInfo:
    declared = _declared(name, entry)
    if declared is None:
        package = str(entry.target).partition(":")[0].partition(".")[0]
        installed = _found(package)
        needs = "" if installed else f"the package {package!r}, which is not here"
        return CodecInfo(installed, "", (), None, entry.origin, needs)
    needs = _missing_packages(declared)
    return CodecInfo(
        not needs,
        declared.description,
        declared.model_names(),
        declared.weights_licence,
        entry.origin,
        needs,
        declared.rates,
        tuple(each.name for each in options_of(declared)),
    )


def _declared(name: str, entry: _Entry) -> type[Codec] | None:
    """Return the class of a codec if that loads nothing which is not ours."""
    if not isinstance(entry.target, str):
        return entry.target
    return declaration(name) if entry.origin == "built in" else _loaded.get(name)


def _found(package: str) -> bool:
    try:
        return util.find_spec(package) is not None
    # no name at all, or a module that was put together by hand
    except ValueError:
        return False


def declarations() -> dict[str, type[Codec]]:
    """Return the classes of all codecs that are built in, registered as classes, or loaded."""
    found = {name: _declared(name, entry) for name, entry in (_BUILT_IN | _registered).items()}
    return {name: each for name, each in found.items() if each is not None} | _loaded


def import_offered() -> None:
    """Import the codecs that other packages offer, so that `declarations` has them, too.

    What cannot be imported is warned of.
    """
    for name in _entry_points():
        try:
            declaration(name)
        except CodecNotAvailableError as error:
            warnings.warn(str(error), DiffcWarning, stacklevel=2)


def model_kinds() -> dict[str, ModelKind]:
    """Return the kinds of models that these codecs use, by name."""
    return {kind.name: kind for each in declarations().values() for kind in each.kinds}


def is_generative(name: str) -> bool:
    """Return whether a codec's pictures may show what was not there; of an unknown one, they may."""
    entry = _registered.get(name) or _BUILT_IN.get(name)
    known = _loaded.get(name) if entry is None else _declared(name, entry)
    return True if known is None else known.traits.generative
