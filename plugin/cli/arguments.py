"""Command-line arguments that depend on other arguments: the flags of the codec that is named."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from diffc.codec import Codec
    from diffc.option import Option

# of codecs' options in a namespace, where they must not meet the command's own
PREFIX = "option_of_codec_"
# options that all codecs have
COMMON = ("model", "device")


class Parser(argparse.ArgumentParser):
    """A parser that may be told more flags when it sees the arguments.

    Attributes
    ----------
    prepare : callable, optional
        Called once with the arguments before they are parsed.
    """

    prepare: Callable[[Sequence[str]], None] | None = None

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse, after `prepare`."""
        if self.prepare is not None and args is not None:
            prepare, self.prepare = self.prepare, None
            prepare(list(args))
        return super().parse_known_args(args, namespace)


def value_of(flag: str, arguments: Sequence[str]) -> str | None:
    """Return the value of a flag among arguments, the last one given; None if there is none."""
    found = None
    for index, each in enumerate(arguments):
        if each == "--":
            break
        if each == flag and index + 1 < len(arguments):
            found = arguments[index + 1]
        elif each.startswith(f"{flag}="):
            found = each.partition("=")[2]
    return found


def add_flags(parser: argparse.ArgumentParser, codec: type[Codec]) -> None:
    """Add the flags of a codec's options, shown; and those of all other codecs, not shown.

    What another codec's flag sets is refused in a sentence, which says more than a usage error.
    """
    from diffc.codec import options_of
    from diffc.registry import declarations

    group = parser.add_argument_group(f"options of codec {codec.name!r}")
    for each in options_of(codec):
        if each.name not in COMMON:
            _add(group, each, described(each))
    for other in declarations().values():
        for each in options_of(other):
            if each.name not in COMMON:
                _add(parser, each, argparse.SUPPRESS)


def _add(parser: Any, option: Option, text: str) -> None:
    # what is no number or text has no form on the command line
    if option.type is object:
        return
    # whether something holds is said by the flag alone
    alone: dict[str, Any] = {"nargs": "?", "const": True} if option.type is bool else {}
    try:
        parser.add_argument(
            option.flag,
            dest=f"{PREFIX}{option.name}",
            **alone,
            type=option.reader,
            metavar=option.name.upper(),
            help=text.replace("%", "%%"),
        )
    # the command has a flag of that name, or another codec has; --option KEY=VALUE is left
    except argparse.ArgumentError:
        return


def described(option: Option) -> str:
    """Return an option's help with its range and default, in one line."""
    extra = [option.range] if option.range else []
    if option.default is not None:
        extra.append(f"default: {option.default}")
    return f"{option.help} ({'; '.join(extra)})" if extra else option.help


def taken_flags(args: argparse.Namespace) -> dict[str, Any]:
    """Return the options of codecs that arguments give, by keyword."""
    given = vars(args).items()
    return {
        name.removeprefix(PREFIX): value
        for name, value in given
        if name.startswith(PREFIX) and value is not None
    }
