"""Checks of what a codec says of itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from diffc.codec import Codec, ModelKind, Traits, options_of
from diffc.conformance.subject import Subject, require
from diffc.container.layout import broken_rule
from diffc.errors import CodecNotAvailableError, FileError
from diffc.models.table import read_table
from diffc.options import CORE
from diffc.registry import check_name, load_codec


def check_declaration(subject: Subject) -> None:
    """Require a name, version, description, models and licence that lists and files can hold."""
    codec = subject.codec
    try:
        name = check_name(getattr(codec, "name", None))
    except ValueError as error:
        raise AssertionError(str(error)) from error
    version = codec.bitstream_version
    require(
        isinstance(version, int) and not isinstance(version, bool),
        f"bitstream_version is a whole number, not {version!r}",
    )
    rule = broken_rule(name, version, (1, 1))
    require(rule is None, str(rule))
    text = codec.description
    require(
        isinstance(text, str) and text.strip() != "" and len(text.splitlines()) == 1,
        f"description is one line of text, not {text!r}",
    )
    require(
        isinstance(codec.kinds, tuple) and all(isinstance(each, ModelKind) for each in codec.kinds),
        f"kinds is a tuple of diffc.codec.ModelKind, not {codec.kinds!r}",
    )
    licence = codec.weights_licence
    require(
        licence is None or (isinstance(licence, str) and licence.strip() != ""),
        f"weights_licence is a text or None, not {licence!r}",
    )
    require(
        not codec.model_names() or licence is not None,
        f"a codec with models {codec.model_names()!r} says the licence of their weights, not None",
    )
    for kind in codec.kinds:
        try:
            table = read_table(kind.published, kind.name) if kind.published else ()
        except FileError as error:
            raise AssertionError(str(error)) from error
        names = [each.name for each in table]
        require(
            len(names) == len(set(names)),
            f"a table has one model of a name, and {kind.published!r} has {names}",
        )
    try:
        type(codec)()
    except Exception as error:
        raise AssertionError(f"a codec is made without arguments, not: {error}") from error


def check_options(subject: Subject) -> None:
    """Require options that are declared, have defaults, and refuse wrong types."""
    codec = type(subject.codec)
    for each in codec.__mro__:
        # the decorator makes fields of annotations
        own = [name for name, kind in vars(each).get("__annotations__", {}).items() if _own(kind)]
        parameters = vars(each).get("__dataclass_params__")
        require(
            not issubclass(each, Codec)
            or not own
            or (parameters is not None and parameters.frozen),
            f"{each.__name__} is decorated with @dataclass(frozen=True), which it is not, for it has "
            f"the options {', '.join(own)}",
        )
    try:
        declared = options_of(codec)
    except TypeError as error:
        raise AssertionError(str(error)) from error
    for option in declared:
        require(
            option.name not in CORE,
            f"an option has a name that is not the core's, which {option.name!r} is",
        )
        require(
            len(option.help.splitlines()) == 1,
            f"an option has a line of help, which {option.name!r} of {codec.__name__} lacks",
        )
        # what may be anything depends on the picture, so the encoder checks it
        if option.type is not object:
            _require_refusal(subject.codec, option.name)


def _own(annotation: object) -> bool:
    return "ClassVar" not in str(annotation)


def _require_refusal(codec: Codec, name: str) -> None:
    wrong: dict[str, Any] = {name: object()}
    kind = type(codec).__name__
    rule = (
        f"{kind}({name}=object()) raises ValueError in its __post_init__, or in that of super(), for "
        "the wrong type"
    )
    try:
        replace(codec, **wrong)
    except ValueError:
        return
    except Exception as error:
        raise AssertionError(f"{rule}, but raised {type(error).__name__}: {error}") from error
    raise AssertionError(f"{rule}, but was accepted")


def check_traits(subject: Subject) -> None:
    """Require that traits and the options that belong to them come together."""
    declared = subject.codec.traits
    require(isinstance(declared, Traits), f"traits is a diffc.codec.Traits, not {declared!r}")
    names = [each.name for each in options_of(type(subject.codec))]
    for trait, name in (("region_of_interest", "roi"), ("caption", "caption")):
        says = getattr(declared, trait)
        require(
            says == (name in names),
            f"traits.{trait} is {name in names} for a codec "
            f"{'with' if name in names else 'without'} an option {name!r}, not {says}",
        )
    require(
        not (declared.lossless and declared.generative),
        "a lossless codec generates nothing, but traits say both",
    )


def check_registration(subject: Subject) -> None:
    """Require that the codec is found by its own name."""
    name = subject.codec.name
    try:
        found = load_codec(name)
    except CodecNotAvailableError as error:
        raise AssertionError(f"a codec is registered under its name, but {error}") from error
    require(
        found is type(subject.codec),
        f"the name {name!r} leads to the codec itself, {type(subject.codec)!r}, not to {found!r}",
    )
