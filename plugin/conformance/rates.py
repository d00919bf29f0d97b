"""Checks of how large a codec makes a picture."""

from __future__ import annotations

from itertools import pairwise

from diffc.codec import Encoded, Rate
from diffc.conformance.subject import KINDS, Subject, picture, require
from diffc.errors import RateError

# smaller payloads have no byte to spare
_REASONABLE = 64


def check_quality(subject: Subject) -> None:
    """Require that a higher quality never takes fewer bytes."""
    for kind in KINDS:
        image = picture(kind, subject.sizes[-1])
        lengths = {
            quality: subject.encode(image, Rate(quality=quality)).length
            for quality in (0.0, 20.0, 40.0, 50.0, 60.0, 80.0, 100.0)
        }
        for lower, higher in pairwise(lengths):
            require(
                lengths[lower] <= lengths[higher],
                f"a higher quality takes no fewer bytes, but a {kind} picture takes "
                f"{lengths[lower]} at {lower:g} and {lengths[higher]} at {higher:g}",
            )


def check_byte_targets(subject: Subject) -> None:
    """Require that targets between the codec's bounds are kept, and used if it says so."""
    for kind in ("scene", "noise"):
        image = picture(kind, subject.sizes[-1])
        lowest, highest = _bounds(subject, kind)
        # evenly in the logarithm, for rates are asked for in ratios
        ratio = (highest + 1) / (lowest + 1)
        between = [round((lowest + 1) * ratio ** (part / 5)) - 1 for part in range(1, 5)]
        for target in sorted({lowest, *between, highest}):
            try:
                encoded = subject.encode(image, _at_most(target))
            except RateError as error:
                raise AssertionError(
                    f"a target between the bounds of RateError is met, but {target} of {lowest} "
                    f"to {highest} bytes for a {kind} picture raised: {error}"
                ) from error
            _require_kept(subject, encoded, target, kind)


def _require_kept(subject: Subject, encoded: Encoded, target: int, kind: str) -> None:
    room, used = target - len(encoded.parameters), len(encoded.payload)
    require(
        used <= room,
        f"a payload has at most the bytes of Rate.room, but a {kind} picture has {used} for {room}",
    )
    if subject.codec.traits.continuous_rate and room >= _REASONABLE:
        require(
            used >= 0.95 * room,
            f"a codec of continuous rate leaves at most 5 % of Rate.room unused, but a {kind} "
            f"picture has {used} bytes for {room}",
        )


def check_unreachable(subject: Subject) -> None:
    """Require `RateError` below the fewest bytes, and above the most if targets are used."""
    for kind in ("scene", "noise"):
        lowest, highest = _bounds(subject, kind)
        require(
            0 <= lowest <= highest,
            f"RateError says the fewest and the most bytes, not {lowest} and {highest}",
        )
        require(
            _refusal(subject, kind, lowest - 1) is not None,
            f"RateError.lowest is the fewest bytes of a {kind} picture, but {lowest - 1} are "
            f"reached too, not only {lowest}",
        )
        above = 2 * highest + _REASONABLE
        require(
            not subject.codec.traits.continuous_rate or _refusal(subject, kind, above) is not None,
            f"RateError.highest is the most bytes of a {kind} picture, {highest}, but a target of "
            f"{above}, of which 5 % would be left, raises none",
        )


def _bounds(subject: Subject, kind: str) -> tuple[int, int]:
    refusal = _refusal(subject, kind, -1)
    if refusal is None:
        raise AssertionError(f"less than no room raises RateError, but a {kind} picture was coded")
    return refusal.lowest, refusal.highest


def _refusal(subject: Subject, kind: str, target: int) -> RateError | None:
    try:
        subject.encode(picture(kind, subject.sizes[-1]), _at_most(target))
    except RateError as error:
        return error
    return None


def _at_most(target: int) -> Rate:
    """Return a rate of so many payload and parameter bytes, as `RateError` counts them."""
    return Rate(limit=lambda parameters: target - parameters)
