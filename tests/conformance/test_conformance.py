"""The conformance kit: every built-in codec passes, and broken ones fail where they are broken."""

from __future__ import annotations

import importlib.util
import re
import secrets
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from conftest import COD_MODEL, MODEL, PERCO_MODEL, RELAY_MODEL

from diffc import registry
from diffc.codec import (
    Codec,
    Coded,
    DecodeOptions,
    Encoded,
    ModelKind,
    Picture,
    Rate,
    Traits,
    option,
)
from diffc.errors import RateError
from diffc.testing import Check, check_codec, checks

EXAMPLE = Path(__file__).parents[2] / "examples" / "diffc-thumbnail" / "diffc_thumbnail.py"


def example() -> Any:
    """Import the example codec from its file."""
    specification = importlib.util.spec_from_file_location("diffc_thumbnail", EXAMPLE)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules["diffc_thumbnail"] = module
    specification.loader.exec_module(module)
    return module


Thumbnail: type[Codec] = example().Thumbnail


MODELS = {
    "cod": COD_MODEL,
    "ddcm": MODEL,
    "dither": MODEL,
    "perco": PERCO_MODEL,
    "posterior": MODEL,
    "relay": RELAY_MODEL,
}


# few candidates, for there are many files
FAST: dict[str, dict[str, Any]] = {"posterior": {"chunk_bits": 8, "steps": 12}}


def built_in_checks() -> Iterator[Any]:
    """Yield the checks of all built-in codecs, made with the test model."""
    for name, folder in MODELS.items():
        codec = registry.load_codec(name)
        for check in checks(
            codec(model=str(folder), **FAST.get(name, {})),
            decode_options=DecodeOptions(model=str(folder)),
            thread_counts=True,
            other_process=True,
        ):
            yield pytest.param(check, id=f"{name}-{check}")


@pytest.mark.parametrize("check", list(built_in_checks()))
def test_built_in_codecs_hold_the_contract(check: Check) -> None:
    check()


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that registers a class under its name for one test."""
    monkeypatch.setattr(registry, "_registered", {})

    def register(codec: type[Codec]) -> type[Codec]:
        return registry.register_codec(codec.name)(codec)

    return register


SMALL = ((1, 1), (7, 4), (24, 16))


def broken_rules(codec: type[Codec], **options: Any) -> dict[str, str]:
    """Return the rules that a codec breaks, with what the kit says."""
    found = {}
    for check in checks(codec, **{"sizes": SMALL} | options):
        try:
            check()
        except AssertionError as error:
            found[str(check)] = str(error)
    return found


def test_a_sound_codec_breaks_no_rule(registered: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    registered(Thumbnail)
    monkeypatch.syspath_prepend(str(EXAMPLE.parent))
    assert broken_rules(Thumbnail, thread_counts=True, other_process=True) == {}
    check_codec(Thumbnail)
    check_codec(Thumbnail(levels=5), sizes=[(2, 2)])


# codecs that break one rule each


class Random(Thumbnail):
    """Encodes with a salt."""

    def encode(self, picture: Picture, rate: Rate, *rest: Any) -> Encoded:
        encoded = super().encode(picture, rate, *rest)
        room = rate.room(len(encoded.parameters)) if rate.bounded else 1e9
        if room < len(encoded.payload) + 8:
            return encoded
        return replace(encoded, payload=encoded.payload + secrets.token_bytes(8))


class ThreadBound(Thumbnail):
    """Encodes differently in another thread."""

    def encode(self, *arguments: Any) -> Encoded:
        here = threading.current_thread() is threading.main_thread()
        codec = self if here else replace(self, levels=2)
        return Thumbnail.encode(codec, *arguments)


class ThreadCounting(Thumbnail):
    """Encodes differently with another number of torch threads."""

    def encode(self, *arguments: Any) -> Encoded:
        codec = replace(self, levels=2) if torch.get_num_threads() == 2 else self
        return Thumbnail.encode(codec, *arguments)


class Remembering(Thumbnail):
    """Decodes to the picture that was encoded last."""

    last: ClassVar[Any] = None

    def encode(self, picture: Picture, *rest: Any) -> Encoded:
        type(self).last = picture.pixels
        return super().encode(picture, *rest)

    @classmethod
    def decode(cls, coded: Coded, options: DecodeOptions) -> Any:
        made = super().decode(coded, options)
        return cls.last if cls.last.shape == made.shape else made


class ProcessBound(Thumbnail):
    """Decodes otherwise in a process that encoded nothing."""

    bias: ClassVar[float] = 0.5

    def encode(self, *arguments: Any) -> Encoded:
        type(self).bias = 0.0
        return super().encode(*arguments)

    @classmethod
    def decode(cls, coded: Coded, options: DecodeOptions) -> Any:
        return (super().decode(coded, options) + cls.bias).clamp(0, 1)


class Spoiling(Thumbnail):
    """Overwrites its input."""

    def encode(self, picture: Picture, *rest: Any) -> Encoded:
        encoded = super().encode(picture, *rest)
        picture.pixels.mul_(0.5)
        return encoded


class OutOfRange(Thumbnail):
    """Decodes to values outside [0, 1]."""

    @classmethod
    def decode(cls, coded: Coded, options: DecodeOptions) -> Any:
        return 2 * super().decode(coded, options) - 1


class OutOfShape(Thumbnail):
    """Decodes to a picture of whole 8 pixel blocks."""

    @classmethod
    def decode(cls, coded: Coded, options: DecodeOptions) -> Any:
        width, height = coded.size
        made = super().decode(coded, options)
        return made if height % 8 == 0 else torch.zeros(3, -(-height // 8) * 8, width)


class DoublePrecision(Thumbnail):
    """Decodes to float64."""

    @classmethod
    def decode(cls, coded: Coded, options: DecodeOptions) -> Any:
        return super().decode(coded, options).double()


class NotANumber(Thumbnail):
    """Divides by the range of the values."""

    @classmethod
    def decode(cls, coded: Coded, options: DecodeOptions) -> Any:
        made = super().decode(coded, options)
        return made / 0 * 0 if made.max() == made.min() else made


class Crashing(Thumbnail):
    """Cannot encode black pictures."""

    def encode(self, picture: Picture, *rest: Any) -> Encoded:
        if picture.pixels.max() == 0:
            raise ZeroDivisionError("contrast")
        return super().encode(picture, *rest)


class Reversed(Thumbnail):
    """Takes quality for compression."""

    def encode(self, picture: Picture, rate: Rate, *rest: Any) -> Encoded:
        return super().encode(picture, replace(rate, quality=100 - rate.quality), *rest)


class Overshooting(Thumbnail):
    """Takes a few bytes more than there is room, if there is any."""

    def encode(self, picture: Picture, rate: Rate, *rest: Any) -> Encoded:
        if not rate.bounded:
            return super().encode(picture, rate, *rest)
        more = Rate(limit=lambda known: rate.room(known) + 300 * (rate.room(known) > 200))
        return super().encode(picture, more, *rest)


class Wasteful(Thumbnail):
    """Promises to use a target, and does not."""

    traits = Traits(generative=False, continuous_rate=True)

    def encode(self, picture: Picture, rate: Rate, *rest: Any) -> Encoded:
        encoded = super().encode(picture, rate, *rest)
        highest = super().encode(picture, Rate(quality=100.0))
        if rate.bounded and rate.room(3) > 1.1 * len(highest.payload):
            lowest = super().encode(picture, Rate(quality=0.0))
            raise RateError(lowest.length, highest.length)
        return encoded


class Boundless(Wasteful):
    """Uses every target by padding, and names bounds that are not."""

    def encode(self, picture: Picture, rate: Rate, *rest: Any) -> Encoded:
        encoded = Thumbnail.encode(self, picture, rate, *rest)
        if not rate.bounded:
            return encoded
        return replace(encoded, payload=encoded.payload.ljust(rate.room(3), b"\0"))

    @classmethod
    def decode(cls, coded: Coded, options: DecodeOptions) -> Any:
        return super().decode(replace(coded, payload=coded.payload.rstrip(b"\0")), options)


class Modest(Thumbnail):
    """Names a higher lower bound than its own."""

    def encode(self, *arguments: Any) -> Encoded:
        try:
            return super().encode(*arguments)
        except RateError as error:
            raise RateError(error.lowest + 9, error.highest) from error


class Boasting(Thumbnail):
    """Names a lower bound that it cannot reach."""

    def encode(self, *arguments: Any) -> Encoded:
        try:
            return super().encode(*arguments)
        except RateError as error:
            raise RateError(error.lowest - 9, error.highest) from error


class Trusting(Thumbnail):
    """Does not look at its parameters before it unpacks them."""

    @classmethod
    def decode(cls, coded: Coded, options: DecodeOptions) -> Any:
        coded.parameters[2]
        return super().decode(coded, options)


class Endless(Thumbnail):
    """Waits for data that never come."""

    end: ClassVar[threading.Event] = threading.Event()

    @classmethod
    def decode(cls, coded: Coded, options: DecodeOptions) -> Any:
        if not coded.payload:
            cls.end.wait()
        return super().decode(coded, options)


class Leaping(Thumbnail):
    """Tells its progress backwards."""

    def encode(self, picture: Picture, rate: Rate, *rest: Any) -> Encoded:
        for told in rest:
            told(2, 3)
            told(1, 3)
        return super().encode(picture, rate)


class NeverTruncated(Thumbnail):
    """Says that it is progressive, and is not."""

    traits = Traits(generative=False, progressive=True)


class Speechless(Thumbnail):
    """Says that it takes captions, and does not."""

    traits = Traits(generative=False, caption=True)


class Lossy(Thumbnail):
    """Says that it keeps every pixel, and does not."""

    traits = Traits(generative=False, lossless=True)


class Dreaming(Thumbnail):
    """Says that it keeps every pixel and makes some up."""

    traits = Traits(generative=True, lossless=True)


class Marked(Thumbnail):
    """Says that it has a model, and names none in its files."""

    kinds = (ModelKind("mine"),)


class Shouting(Thumbnail):
    """Has a name that no file can hold."""

    name = "THUMBNAIL"


class Unlicensed(Thumbnail):
    """Does not say the licence of its weights."""

    kinds = (ModelKind("mine", embedded={"small": "mine:weights/small"}),)

    def encode(self, *arguments: Any) -> Encoded:
        return replace(super().encode(*arguments), fingerprint=bytes(4))


class Untabled(Thumbnail):
    """Names a table of models that is not there."""

    kinds = (ModelKind("mine", published="diffc.models:mine.json"),)

    def encode(self, *arguments: Any) -> Encoded:
        return replace(super().encode(*arguments), fingerprint=bytes(4))


@dataclass(frozen=True)
class Lenient(Thumbnail):
    """Does not check its options."""

    sharpness: int = option(0, help="of edges")

    def __post_init__(self) -> None:
        """Take anything."""


@dataclass(frozen=True)
class Greedy(Thumbnail):
    """Has an option that never arrives."""

    quality: Any = option(0, help="the core's")


class Thawed(Thumbnail):
    """Has an option that is no field."""

    sharpness: int = 0


@dataclass(frozen=True)
class Helpless(Thumbnail):
    """Has an option that nothing is said of."""

    sharpness: int = 0


BROKEN = [
    (Random, {"deterministic"}, "encoding twice"),
    (ThreadBound, {"deterministic"}, "another thread"),
    (ThreadCounting, {"deterministic"}, "[12] torch threads"),
    (Remembering, {"fresh_instance"}, "after another picture"),
    (ProcessBound, {"fresh_instance"}, "in another process"),
    (Spoiling, {"input_kept"}, "leaves its input tensor"),
    (OutOfRange, {"round_trip", "damage"}, r"values in \[0, 1\], not -"),
    (OutOfShape, {"round_trip", "damage"}, r"has the shape \(3, 1, 1\), not \(3, 8, 1\)"),
    (DoublePrecision, {"round_trip", "damage"}, "of float32, not of torch.float64"),
    (NotANumber, {"round_trip"}, "finite values"),
    (Crashing, {"round_trip", "quality"}, "Crashing raised ZeroDivisionError: contrast"),
    (Reversed, {"quality"}, "takes no fewer bytes"),
    (Overshooting, {"byte_targets"}, "at most the bytes of Rate.room"),
    (Wasteful, {"byte_targets"}, "at most 5 % of Rate.room unused"),
    (Boundless, {"unreachable"}, "raises none"),
    (Modest, {"unreachable"}, "RateError.lowest is the fewest"),
    (Boasting, {"byte_targets"}, "between the bounds of RateError is met"),
    (Trusting, {"damage"}, "parameters raised IndexError"),
    (Endless, {"damage"}, "more than 0.5 seconds"),
    (Leaping, {"progress"}, r"rising steps, not \[2, 1\]"),
    (NeverTruncated, {"prefixes"}, "decodes every prefix"),
    (Lenient, {"options"}, "but was accepted"),
    (Greedy, {"options"}, "not the core's"),
    (Thawed, {"options"}, "frozen=True"),
    (Helpless, {"options"}, "a line of help, which 'sharpness' of Helpless lacks"),
    (Lossy, {"lossless"}, "quality 100 keeps every pixel, but in a"),
    (Dreaming, {"traits", "lossless"}, "generates nothing"),
    (Marked, {"round_trip"}, "but this one has kinds and returned None"),
    (Untabled, {"declaration"}, "'diffc.models:mine.json' is no table of models"),
    (Unlicensed, {"declaration"}, "licence of their weights"),
    (Speechless, {"traits", "caption"}, "traits.caption is False"),
]


@pytest.mark.parametrize(
    ("codec", "rules", "says"), BROKEN, ids=[codec.__name__ for codec, *_ in BROKEN]
)
def test_the_kit_finds_what_is_broken_and_nothing_else(
    registered: Any,
    codec: type[Codec],
    rules: set[str],
    says: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    registered(codec)
    options: dict[str, Any] = {"thread_counts": codec is ThreadCounting}
    if codec is ProcessBound:
        # a new process imports the class anew, from here
        monkeypatch.syspath_prepend(str(Path(__file__).parents[1]))
        monkeypatch.setattr(codec, "__module__", "test_conformance")
        options["other_process"] = True
    if codec is Endless:
        options["time_limit"] = 0.5
        Endless.end.clear()
    found = broken_rules(codec, **options)
    Endless.end.set()
    assert set(found) == rules
    assert any(re.search(says, sentence) for sentence in found.values()), found


def test_a_codec_is_registered_under_its_own_name(registered: Any) -> None:
    assert set(broken_rules(Thumbnail)) == {"registration"}
    assert broken_rules(Thumbnail, registered=False) == {}
    registered(Unlicensed)
    found = broken_rules(Thumbnail)
    assert set(found) == {"registration"}
    assert "leads to the codec itself" in found["registration"]


def test_a_name_has_the_form_that_files_hold() -> None:
    found = broken_rules(Shouting, registered=False)
    assert set(found) == {"declaration"}
    assert "'THUMBNAIL'" in found["declaration"]


def test_check_codec_stops_at_the_first_broken_rule() -> None:
    with pytest.raises(AssertionError, match="licence of their weights"):
        check_codec(Unlicensed, sizes=SMALL)


def test_checks_are_named_and_apply_by_trait() -> None:
    names = {str(check) for check in checks(Thumbnail)}
    assert {"round_trip", "damage", "registration"} <= names
    assert not {"prefixes", "region_of_interest", "caption", "lossless"} & names
    assert "prefixes" in {str(check) for check in checks(NeverTruncated)}
    assert "registration" not in {str(check) for check in checks(Thumbnail, registered=False)}
