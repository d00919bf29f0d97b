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
from typing import Any

import pytest
import torch
from conftest import COD_MODEL, MODEL, PERCO_MODEL, RELAY_MODEL

from diffc import registry
from diffc.codec import Capabilities, Codec, Coded, DecodeOptions, Encoded, Rate
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


ThumbnailCodec: type[Codec] = example().ThumbnailCodec


MODELS = {"cod": COD_MODEL, "ddcm": MODEL, "perco": PERCO_MODEL, "relay": RELAY_MODEL}


def built_in_checks() -> Iterator[Any]:
    """Yield the checks of all built-in codecs, made with the test model."""
    for name in sorted(registry._BUILT_IN):
        codec = registry.load_codec(name)
        for check in checks(
            codec,
            settings=codec.settings_type(model=str(MODELS[name])),
            decode_options=DecodeOptions(model=str(MODELS[name])),
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
    registered(ThumbnailCodec)
    monkeypatch.syspath_prepend(str(EXAMPLE.parent))
    assert broken_rules(ThumbnailCodec, thread_counts=True, other_process=True) == {}
    check_codec(ThumbnailCodec)
    check_codec(ThumbnailCodec(), sizes=[(2, 2)])


# codecs that break one rule each


class Random(ThumbnailCodec):
    """Encodes with a salt."""

    def encode(self, *arguments: Any) -> Encoded:
        encoded = super().encode(*arguments)
        if self._room(arguments[2], encoded) < len(encoded.payload) + 8:
            return encoded
        return replace(encoded, payload=encoded.payload + secrets.token_bytes(8))

    @staticmethod
    def _room(rate: Rate, encoded: Encoded) -> float:
        return 1e9 if rate.room is None else rate.room(len(encoded.parameters), False)


class ThreadBound(ThumbnailCodec):
    """Encodes differently in another thread."""

    def encode(self, image: Any, settings: Any, rate: Rate, *rest: Any) -> Encoded:
        here = threading.current_thread() is threading.main_thread()
        return super().encode(image, settings if here else replace(settings, levels=2), rate, *rest)


class ThreadCounting(ThumbnailCodec):
    """Encodes differently with another number of torch threads."""

    def encode(self, image: Any, settings: Any, rate: Rate, *rest: Any) -> Encoded:
        levels = 2 if torch.get_num_threads() == 2 else settings.levels
        return super().encode(image, replace(settings, levels=levels), rate, *rest)


class Remembering(ThumbnailCodec):
    """Decodes to the picture that was encoded last."""

    last: Any = None

    def encode(self, image: Any, *rest: Any) -> Encoded:
        type(self).last = image
        return super().encode(image, *rest)

    def decode(self, coded: Coded, options: DecodeOptions) -> Any:
        made = super().decode(coded, options)
        return self.last if self.last.shape == made.shape else made


class ProcessBound(ThumbnailCodec):
    """Decodes otherwise in a process that encoded nothing."""

    bias = 0.5

    def encode(self, *arguments: Any) -> Encoded:
        type(self).bias = 0.0
        return super().encode(*arguments)

    def decode(self, coded: Coded, options: DecodeOptions) -> Any:
        return (super().decode(coded, options) + self.bias).clamp(0, 1)


class Spoiling(ThumbnailCodec):
    """Overwrites its input."""

    def encode(self, image: Any, *rest: Any) -> Encoded:
        encoded = super().encode(image, *rest)
        image.mul_(0.5)
        return encoded


class OutOfRange(ThumbnailCodec):
    """Decodes to values outside [0, 1]."""

    def decode(self, coded: Coded, options: DecodeOptions) -> Any:
        return 2 * super().decode(coded, options) - 1


class OutOfShape(ThumbnailCodec):
    """Decodes to a picture of whole 8 pixel blocks."""

    def decode(self, coded: Coded, options: DecodeOptions) -> Any:
        width, height = coded.size
        made = super().decode(coded, options)
        return made if height % 8 == 0 else torch.zeros(3, -(-height // 8) * 8, width)


class DoublePrecision(ThumbnailCodec):
    """Decodes to float64."""

    def decode(self, coded: Coded, options: DecodeOptions) -> Any:
        return super().decode(coded, options).double()


class NotANumber(ThumbnailCodec):
    """Divides by the range of the values."""

    def decode(self, coded: Coded, options: DecodeOptions) -> Any:
        made = super().decode(coded, options)
        return made / 0 * 0 if made.max() == made.min() else made


class Crashing(ThumbnailCodec):
    """Cannot encode black pictures."""

    def encode(self, image: Any, *rest: Any) -> Encoded:
        if image.max() == 0:
            raise ZeroDivisionError("contrast")
        return super().encode(image, *rest)


class Reversed(ThumbnailCodec):
    """Takes quality for compression."""

    def encode(self, image: Any, settings: Any, rate: Rate, *rest: Any) -> Encoded:
        return super().encode(image, settings, replace(rate, quality=100 - rate.quality), *rest)


class Overshooting(ThumbnailCodec):
    """Takes a few bytes more than there is room, if there is any."""

    def encode(self, image: Any, settings: Any, rate: Rate, *rest: Any) -> Encoded:
        room = rate.room
        if room is None:
            return super().encode(image, settings, rate, *rest)
        more = Rate(room=lambda *known: room(*known) + 300 * (room(*known) > 200))
        return super().encode(image, settings, more, *rest)


class Wasteful(ThumbnailCodec):
    """Promises to use a target, and does not."""

    capabilities = Capabilities(continuous_rate=True)

    def encode(self, image: Any, settings: Any, rate: Rate, *rest: Any) -> Encoded:
        encoded = super().encode(image, settings, rate, *rest)
        highest = super().encode(image, settings, Rate(quality=100.0))
        room = None if rate.room is None else rate.room(3, False)
        if room is not None and room > 1.1 * len(highest.payload):
            lowest = super().encode(image, settings, Rate(quality=0.0))
            raise RateError(3 + len(lowest.payload), 3 + len(highest.payload))
        return encoded


class Boundless(Wasteful):
    """Uses every target by padding, and names bounds that are not."""

    def encode(self, image: Any, settings: Any, rate: Rate, *rest: Any) -> Encoded:
        encoded = ThumbnailCodec.encode(self, image, settings, rate, *rest)
        if rate.room is None:
            return encoded
        return replace(encoded, payload=encoded.payload.ljust(rate.room(3, False), b"\0"))

    def decode(self, coded: Coded, options: DecodeOptions) -> Any:
        return super().decode(replace(coded, payload=coded.payload.rstrip(b"\0")), options)


class Modest(ThumbnailCodec):
    """Names a higher lower bound than its own."""

    def encode(self, *arguments: Any) -> Encoded:
        try:
            return super().encode(*arguments)
        except RateError as error:
            raise RateError(error.lowest + 9, error.highest) from error


class Boasting(ThumbnailCodec):
    """Names a lower bound that it cannot reach."""

    def encode(self, *arguments: Any) -> Encoded:
        try:
            return super().encode(*arguments)
        except RateError as error:
            raise RateError(error.lowest - 9, error.highest) from error


class Trusting(ThumbnailCodec):
    """Does not look at its parameters before it unpacks them."""

    def decode(self, coded: Coded, options: DecodeOptions) -> Any:
        coded.parameters[2]
        return super().decode(coded, options)


class Endless(ThumbnailCodec):
    """Waits for data that never come."""

    end = threading.Event()

    def decode(self, coded: Coded, options: DecodeOptions) -> Any:
        if not coded.payload:
            self.end.wait()
        return super().decode(coded, options)


class Leaping(ThumbnailCodec):
    """Tells its progress backwards."""

    def encode(self, image: Any, settings: Any, rate: Rate, *rest: Any) -> Encoded:
        for told in rest:
            told(2, 3)
            told(1, 3)
        return super().encode(image, settings, rate)


class NeverTruncated(ThumbnailCodec):
    """Says that it is progressive, and is not."""

    capabilities = Capabilities(progressive=True)


class Speechless(ThumbnailCodec):
    """Says that it takes captions, and does not."""

    capabilities = Capabilities(caption=True)


class Shouting(ThumbnailCodec):
    """Has a name that no file can hold."""

    name = "THUMBNAIL"


class Unlicensed(ThumbnailCodec):
    """Does not say the licence of its weights."""

    models = ("small",)


@dataclass(frozen=True)
class LenientSettings(ThumbnailCodec.settings_type):  # type: ignore[misc,name-defined]
    """Takes anything for a level."""

    sharpness: int = 0


class Lenient(ThumbnailCodec):
    """Does not check its settings."""

    settings_type = LenientSettings


@dataclass(frozen=True)
class GreedySettings(ThumbnailCodec.settings_type):  # type: ignore[misc,name-defined]
    """Takes a name of the core's."""

    quality: Any = 0


class Greedy(ThumbnailCodec):
    """Has a setting that never arrives."""

    settings_type = GreedySettings


class ThawedSettings(ThumbnailCodec.settings_type):  # type: ignore[misc,name-defined]
    """Is not decorated."""


class Thawed(ThumbnailCodec):
    """Has settings that are no dataclass of their own."""

    settings_type = ThawedSettings


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
    (Lenient, {"settings"}, "but was accepted"),
    (Greedy, {"settings"}, "not the core's"),
    (Thawed, {"settings"}, "frozen=True"),
    (Unlicensed, {"declaration"}, "licence of their weights"),
    (Speechless, {"capabilities", "caption"}, "capabilities.caption is False"),
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
    assert set(broken_rules(ThumbnailCodec)) == {"registration"}
    assert broken_rules(ThumbnailCodec, registered=False) == {}
    registered(Unlicensed)
    found = broken_rules(ThumbnailCodec)
    assert set(found) == {"registration"}
    assert "leads to the codec itself" in found["registration"]


def test_a_name_has_the_form_that_files_hold() -> None:
    found = broken_rules(Shouting, registered=False)
    assert set(found) == {"declaration"}
    assert "'THUMBNAIL'" in found["declaration"]


def test_check_codec_stops_at_the_first_broken_rule() -> None:
    with pytest.raises(AssertionError, match="licence of their weights"):
        check_codec(Unlicensed, sizes=SMALL)


def test_checks_are_named_and_apply_by_capability() -> None:
    names = {str(check) for check in checks(ThumbnailCodec)}
    assert {"round_trip", "damage", "registration"} <= names
    assert not {"prefixes", "region_of_interest", "caption"} & names
    assert "prefixes" in {str(check) for check in checks(NeverTruncated)}
    assert "registration" not in {str(check) for check in checks(ThumbnailCodec, registered=False)}
