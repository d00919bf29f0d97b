"""One option of a codec's encoder, declared once: how it is checked, named, described and read.

A codec's fields are its options::

    levels: int = option(32, low=2, high=256, help="levels of each colour")

The annotation says the type (``int``, ``float``, ``str`` or ``bool``, with ``| None`` where there may
be none, or ``Any`` for what the encoder checks itself); `option` says the rest.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import Field, dataclass, field, fields
from typing import Any, TypeVar

Value = TypeVar("Value")

_LIMITS = "diffc.option"
_TYPES: dict[str, type] = {"int": int, "float": float, "str": str, "bool": bool, "Any": object}
_LONGEST_SHOWN = 100


@dataclass(frozen=True)
class _Limits:
    low: float | None = None
    high: float | None = None
    choices: tuple[Any, ...] = ()
    longest: int | None = None
    help: str = ""


def option(
    default: Value,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[Any, ...] = (),
    longest: int | None = None,
    help: str = "",  # noqa: A002  # what argparse calls it
) -> Value:
    """Declare an option as a field of a codec.

    Parameters
    ----------
    default : object
        What holds if the caller says nothing.
    low, high : float, optional
        Least and largest number, both allowed.
    choices : tuple
        The only values, if there are any.
    longest : int, optional
        Most characters of a text.
    help : str
        What it is, in one line without a full stop; ranges and defaults are added to it.
    """
    limits = _Limits(low, high, choices, longest, help)
    return field(default=default, metadata={_LIMITS: limits})


@dataclass(frozen=True)
class Option:
    """An option as it was declared.

    Parameters
    ----------
    name : str
        The keyword.
    type : type
        int, float, str, bool, or object for anything.
    optional : bool
        Whether None is a value.
    default : object
        What holds if the caller says nothing.
    low, high, choices, longest, help
        See `option`.
    """

    name: str
    type: type
    optional: bool = False
    default: Any = None
    low: float | None = None
    high: float | None = None
    choices: tuple[Any, ...] = ()
    longest: int | None = None
    help: str = ""

    @property
    def flag(self) -> str:
        """The option on the command line."""
        return f"--{self.name.replace('_', '-')}"

    @property
    def range(self) -> str:
        """What the values are, for lists: ``2 to 256``, ``av1 or hevc``; empty if anything is."""
        if self.choices:
            return _one_of([str(_plain(each)) for each in self.choices])
        if self.low is not None and self.high is not None:
            return f"{_plain(self.low)} to {_plain(self.high)}"
        if self.low is not None:
            return f"at least {_plain(self.low)}"
        if self.high is not None:
            return f"at most {_plain(self.high)}"
        return f"at most {self.longest} characters" if self.longest is not None else ""

    @property
    def reader(self) -> Callable[[str], Any]:
        """What makes a value of a text of the command line."""
        return _true_or_false if self.type is bool else str if self.type is object else self.type

    def check(self, value: object) -> None:
        """Require a value of the declared type and range.

        Raises
        ------
        ValueError
            If it is another: the rule, the value, the remedy.
        """
        if self.type is object or (self.optional and value is None):
            return
        if self.choices:
            if not (self._is_of_type(value) and value in self.choices):
                rule = _one_of([repr(_plain(each)) for each in self.choices])
                raise ValueError(f"{self.name} is {rule}, not {_shown(value)}: choose one of them")
        elif self.type is str:
            self._check_text(value)
        elif self.type is bool:
            if not isinstance(value, bool):
                raise ValueError(
                    f"{self.name} is True or False, not {_shown(value)}: pass one of them"
                )
        elif not (self._is_of_type(value) and self._is_in_range(value)):
            kind = "a whole number" if self.type is int else "a number"
            low, high = _plain(self.low), _plain(self.high)
            if low is not None and high is not None:
                rule, remedy = f"{kind} from {low} to {high}", "choose one in that range"
            elif low is not None or high is not None:
                rule, remedy = f"{kind}, {self.range}", "choose such a number"
            else:
                rule, remedy = kind, f"pass {'an int' if self.type is int else 'a float'}"
            raise ValueError(f"{self.name} is {rule}, not {_shown(value)}: {remedy}")

    def _is_of_type(self, value: object) -> bool:
        if isinstance(value, bool):
            return self.type is bool
        if self.type is float:
            return isinstance(value, int) or (isinstance(value, float) and math.isfinite(value))
        return isinstance(value, self.type)

    def _is_in_range(self, value: Any) -> bool:
        return not (
            (self.low is not None and value < self.low)
            or (self.high is not None and value > self.high)
        )

    def _check_text(self, value: object) -> None:
        if not isinstance(value, str):
            raise ValueError(
                f"{self.name} is a text, not {_shown(value)}: pass a str, or leave it out"
            )
        if self.longest is not None and len(value) > self.longest:
            raise ValueError(
                f"{self.name} has at most {self.longest} characters, not {len(value)}: shorten it"
            )
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise ValueError(
                f"{self.name} is a text that UTF-8 can hold, not {_shown(value)} ({error.reason}): "
                "drop the rest"
            ) from error


def options_of(kind: type) -> tuple[Option, ...]:
    """Return the options that a dataclass declares, in order, those that it inherits first.

    Raises
    ------
    TypeError
        If the annotation of one is none of the types that options have.
    """
    return tuple(_option_of(each, kind) for each in fields(kind))


def _option_of(declared: Field[Any], kind: type) -> Option:
    annotation = declared.type if isinstance(declared.type, str) else _named(declared.type)
    names = [each.strip() for each in annotation.split("|")]
    types = [_TYPES.get(each.removeprefix("typing.")) for each in names if each != "None"]
    if len(types) != 1 or types[0] is None:
        raise TypeError(
            f"an option is an int, float, str, bool or Any, and may be None, not {annotation!r} as "
            f"{declared.name} of {kind.__name__}: annotate it so"
        )
    limits = declared.metadata.get(_LIMITS, _Limits())
    return Option(
        declared.name,
        types[0],
        "None" in names,
        declared.default,
        limits.low,
        limits.high,
        limits.choices,
        limits.longest,
        limits.help,
    )


def _named(annotation: Any) -> str:
    return annotation.__name__ if isinstance(annotation, type) else str(annotation)


def _plain(value: Any) -> Any:
    """Return a float that is whole as an int, for sentences."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."


def _one_of(texts: list[str]) -> str:
    return " or ".join(filter(None, (", ".join(texts[:-1]), texts[-1])))


def _true_or_false(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError("true or false")
    return text.lower() == "true"
