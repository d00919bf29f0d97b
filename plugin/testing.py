"""The conformance kit: what every codec has to hold, built in or of another package.

With pytest, each rule is a test of its own::

    @pytest.mark.parametrize("check", checks(MyCodec), ids=str)
    def test_codec(check):
        check()

Without, `check_codec` tries them all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from diffc.codec import Codec, DecodeOptions
from diffc.conformance.damage import check_damage, check_prefixes
from diffc.conformance.declaration import (
    check_declaration,
    check_options,
    check_registration,
    check_traits,
)
from diffc.conformance.pictures import (
    check_caption,
    check_deterministic,
    check_fresh_instance,
    check_input_kept,
    check_lossless,
    check_progress,
    check_region_of_interest,
    check_round_trip,
)
from diffc.conformance.rates import check_byte_targets, check_quality, check_unreachable
from diffc.conformance.subject import SIZES, Subject

__all__ = [
    "Check",
    "Subject",
    "check_byte_targets",
    "check_caption",
    "check_codec",
    "check_damage",
    "check_declaration",
    "check_deterministic",
    "check_fresh_instance",
    "check_input_kept",
    "check_lossless",
    "check_options",
    "check_prefixes",
    "check_progress",
    "check_quality",
    "check_region_of_interest",
    "check_registration",
    "check_round_trip",
    "check_traits",
    "check_unreachable",
    "checks",
]

_ALWAYS = (
    check_declaration,
    check_options,
    check_traits,
    check_round_trip,
    check_deterministic,
    check_fresh_instance,
    check_input_kept,
    check_progress,
    check_quality,
    check_byte_targets,
    check_unreachable,
    check_damage,
)
_BY_TRAIT = {
    "lossless": check_lossless,
    "progressive": check_prefixes,
    "region_of_interest": check_region_of_interest,
    "caption": check_caption,
}


@dataclass(frozen=True)
class Check:
    """One rule and a codec on trial; call it to try, ``str`` is the rule's name."""

    rule: Callable[[Subject], None]
    subject: Subject

    def __str__(self) -> str:
        """Return the rule's name."""
        return self.rule.__name__.removeprefix("check_")

    def __call__(self) -> None:
        """Raise `AssertionError` if the codec breaks the rule."""
        try:
            self.rule(self.subject)
        except AssertionError:
            raise
        except Exception as error:
            raise AssertionError(
                f"a codec takes what {self.rule.__name__} tries, but {type(self.subject.codec).__name__} "
                f"raised {type(error).__name__}: {error}"
            ) from error


def checks(
    codec: type[Codec] | Codec,
    *,
    decode_options: DecodeOptions | None = None,
    sizes: Sequence[tuple[int, int]] = SIZES,
    registered: bool = True,
    thread_counts: bool = False,
    other_process: bool = False,
    time_limit: float = 60.0,
) -> tuple[Check, ...]:
    """Return the checks that apply to a codec.

    Parameters
    ----------
    codec : type or Codec
        The codec's class, or an instance with options for the encoder.
    decode_options : DecodeOptions, optional
        For the decoder, such as where its model is.
    sizes : sequence of tuple
        Widths and heights of the pictures to try; rates are tried on the last.
    registered : bool
        Try whether the codec is found by its name.
    thread_counts : bool
        Try whether ``torch.set_num_threads`` leaves the encoder's bytes as they are.
    other_process : bool
        Decode in a new process too; the class must be importable there.
    time_limit : float
        Seconds after which decoding a small damaged picture counts as endless.
    """
    subject = Subject(
        codec() if isinstance(codec, type) else codec,
        DecodeOptions() if decode_options is None else decode_options,
        tuple(sizes),
        thread_counts=thread_counts,
        other_process=other_process,
        time_limit=time_limit,
    )
    rules: list[Callable[[Subject], None]] = list(_ALWAYS)
    if registered:
        rules.append(check_registration)
    rules += [rule for name, rule in _BY_TRAIT.items() if getattr(codec.traits, name, False)]
    return tuple(Check(rule, subject) for rule in rules)


def check_codec(codec: type[Codec] | Codec, **options: Any) -> None:
    """Try everything that the contract asks of a codec.

    Parameters
    ----------
    codec : type or Codec
        The codec's class, or an instance of it.
    **options
        Those of `checks`.

    Raises
    ------
    AssertionError
        At the first broken rule, in a sentence that names it.
    """
    for check in checks(codec, **options):
        check()
