"""Dataclasses from JSON that may have come from anywhere: all fields, each of its type."""

from __future__ import annotations

import json
from dataclasses import fields
from types import NoneType, UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

T = TypeVar("T")


def parse(text: bytes) -> Any:
    """Return what a text in JSON says.

    Raises
    ------
    ValueError
        If it is no JSON, or nested too deeply.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply: no file of diffc is") from None


def record(kind: type[T], value: object) -> T | None:
    """Return the dataclass of a JSON object; None if a field is missing, unknown or no such type."""
    hints = get_type_hints(kind)
    names = {each.name for each in fields(kind)}  # type: ignore[arg-type]  # a dataclass
    if not isinstance(value, dict) or set(value) != names:
        return None
    if not all(_fits(value[name], hints[name]) for name in names):
        return None
    return kind(**value)


def _fits(value: object, kind: Any) -> bool:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is UnionType:
        return any(_fits(value, each) for each in arguments)
    if origin is list:
        return isinstance(value, list) and all(_fits(each, arguments[0]) for each in value)
    if origin is dict:
        return isinstance(value, dict) and all(_fits(each, arguments[1]) for each in value.values())
    if kind is Any or kind is NoneType:
        return kind is Any or value is None
    if kind in (int, float):
        # JSON has one kind of numbers; a truth value is none
        plain = isinstance(value, int) and not isinstance(value, bool)
        return plain or (kind is float and isinstance(value, float))
    return isinstance(value, kind)
