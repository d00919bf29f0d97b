"""Options of codecs: declared once, checked in a sentence, described and read."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pytest

from diffc.codec import option, options_of


@dataclass(frozen=True)
class Options:
    count: int = option(3, low=1, high=9, help="a count")
    share: float | None = option(None, low=0, help="a share")
    scale: float = option(1.0, choices=(1.0, 1.5, 2.0), help="a scale")
    way: str = option("up", choices=("up", "down"), help="a way")
    text: str | None = option(None, longest=5, help="a text")
    flag: bool = option(False, help="a flag")
    any: Any = option(None, help="anything")

    def __post_init__(self) -> None:
        for each in options_of(type(self)):
            each.check(getattr(self, each.name))


@pytest.mark.parametrize(
    "given",
    [{"count": 9}, {"share": 0}, {"share": 0.5}, {"scale": 2}, {"text": ""}, {"any": object()}],
)
def test_what_is_declared_is_taken(given: dict[str, Any]) -> None:
    Options(**given)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"count": 0}, "count is a whole number from 1 to 9, not 0: choose one in that range"),
        ({"count": 2.0}, "count is a whole number from 1 to 9, not 2.0"),
        ({"count": True}, "not True"),
        ({"share": -1}, "share is a number, at least 0, not -1: choose such a number"),
        ({"share": math.nan}, "share is a number, at least 0, not nan"),
        ({"scale": 3}, "scale is 1, 1.5 or 2, not 3: choose one of them"),
        ({"scale": True}, "scale is 1, 1.5 or 2, not True"),
        ({"way": "left"}, "way is 'up' or 'down', not 'left': choose one of them"),
        ({"way": []}, "way is 'up' or 'down', not []"),
        ({"text": "abcdef"}, "text has at most 5 characters, not 6: shorten it"),
        ({"text": 5}, "text is a text, not 5: pass a str, or leave it out"),
        ({"text": "\ud800"}, "text is a text that UTF-8 can hold"),
        ({"flag": 1}, "flag is True or False, not 1: pass one of them"),
    ],
)
def test_what_is_not_is_refused_in_a_sentence(given: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match="not") as caught:
        Options(**given)
    assert says in str(caught.value)


def test_options_describe_themselves() -> None:
    described = {
        each.name: (each.flag, each.range, each.reader("1"))
        for each in options_of(Options)
        if each.name not in ("flag", "any")
    }
    assert described["count"] == ("--count", "1 to 9", 1)
    assert described["share"] == ("--share", "at least 0", 1.0)
    assert described["scale"][1] == "1, 1.5 or 2"
    assert described["way"] == ("--way", "up or down", "1")
    assert described["text"][1] == "at most 5 characters"
    flag = next(each for each in options_of(Options) if each.name == "flag")
    assert (flag.reader("True"), flag.reader("false")) == (True, False)


def test_other_types_are_an_error_of_the_author() -> None:
    @dataclass
    class Wrong:
        sizes: list[int] | None = None

    with pytest.raises(TypeError, match="sizes of Wrong"):
        options_of(Wrong)
