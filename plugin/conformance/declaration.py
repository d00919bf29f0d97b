"""Checks of what a codec says of itself."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

from diffc.codec import Capabilities, Settings
from diffc.conformance.subject import Subject, require
from diffc.container.layout import broken_rule
from diffc.errors import CodecNotAvailableError
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
        isinstance(codec.models, tuple) and all(isinstance(each, str) for each in codec.models),
        f"models is a tuple of names, not {codec.models!r}",
    )
    licence = codec.weights_licence
    require(
        licence is None or (isinstance(licence, str) and licence.strip() != ""),
        f"weights_licence is a text or None, not {licence!r}",
    )
    require(
        not codec.models or licence is not None,
        f"a codec with models {codec.models!r} says the licence of their weights, not None",
    )
    try:
        codec()
    except Exception as error:
        raise AssertionError(f"a codec is made without arguments, not: {error}") from error


def check_settings(subject: Subject) -> None:
    """Require settings that are a frozen dataclass with defaults and refuse wrong types."""
    kind = subject.codec.settings_type
    require(
        isinstance(kind, type) and issubclass(kind, Settings) and is_dataclass(kind),
        f"settings_type is a dataclass derived from diffc.codec.Settings, not {kind!r}",
    )
    require(
        isinstance(subject.settings, kind),
        f"settings to try are a {kind.__name__}, not {subject.settings!r}",
    )
    parameters = vars(kind).get("__dataclass_params__")
    require(
        parameters is not None and parameters.frozen,
        f"{kind.__name__} is decorated with @dataclass(frozen=True), which it is not",
    )
    try:
        kind()
    except Exception as error:
        raise AssertionError(
            f"every setting has a default, but {kind.__name__}: {error}"
        ) from error
    for each in fields(kind):
        require(
            each.name not in CORE,
            f"a setting has a name that is not the core's, which {each.name!r} is",
        )
        # what Any holds depends on the picture, so the encoder checks it
        if "Any" not in str(each.type):
            _require_refusal(kind, each.name)


def _require_refusal(kind: type[Settings], name: str) -> None:
    wrong: dict[str, Any] = {name: object()}
    rule = (
        f"{kind.__name__}({name}=object()) raises ValueError in its __post_init__, or in that of "
        "super(), for the wrong type"
    )
    try:
        kind(**wrong)
    except ValueError:
        return
    except Exception as error:
        raise AssertionError(f"{rule}, but raised {type(error).__name__}: {error}") from error
    raise AssertionError(f"{rule}, but was accepted")


def check_capabilities(subject: Subject) -> None:
    """Require that capabilities and the settings that belong to them come together."""
    declared = subject.codec.capabilities
    require(
        isinstance(declared, Capabilities),
        f"capabilities is a diffc.codec.Capabilities, not {declared!r}",
    )
    names = [each.name for each in fields(subject.codec.settings_type)]
    for capability, name in (("region_of_interest", "roi"), ("caption", "caption")):
        says = getattr(declared, capability)
        require(
            says == (name in names),
            f"capabilities.{capability} is {name in names} for settings "
            f"{'with' if name in names else 'without'} a field {name!r}, not {says}",
        )


def check_registration(subject: Subject) -> None:
    """Require that the codec is found by its own name."""
    name = subject.codec.name
    try:
        found = load_codec(name)
    except CodecNotAvailableError as error:
        raise AssertionError(f"a codec is registered under its name, but {error}") from error
    require(
        found is subject.codec,
        f"the name {name!r} leads to the codec itself, {subject.codec!r}, not to {found!r}",
    )
