"""Checks of pictures that go through a codec and come back."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise

from diffc.codec import Encoded, Picture, Rate
from diffc.conformance.process import decode_elsewhere
from diffc.conformance.subject import KINDS, Subject, in_thread, picture, require, require_picture
from diffc.container import layout


def check_round_trip(subject: Subject) -> None:
    """Require that pictures of every size and kind come back with their shape, in [0, 1]."""
    for size in subject.sizes:
        for kind in KINDS:
            encoded = subject.encode(picture(kind, size))
            _require_encoded(encoded, bool(subject.codec.kinds))
            made = subject.decode(subject.coded(encoded, size))
            require_picture(made, size, f"for a {kind} picture of {size[0]}x{size[1]}")


def _require_encoded(encoded: Encoded, fingerprinted: bool) -> None:
    require(isinstance(encoded, Encoded), f"encode returns an Encoded, not {encoded!r}")
    for name in ("payload", "parameters"):
        value = getattr(encoded, name)
        require(type(value) is bytes, f"{name} is of bytes, not of {type(value).__name__}")
    length = len(encoded.parameters)
    require(
        length <= layout.LONGEST_PARAMETERS,
        f"parameters have at most {layout.LONGEST_PARAMETERS} bytes, not {length}",
    )
    mark = encoded.fingerprint
    require(
        mark is None or (type(mark) is bytes and len(mark) == layout.FINGERPRINT_LENGTH),
        f"a fingerprint is None or {layout.FINGERPRINT_LENGTH} bytes, not {mark!r}",
    )
    require(
        (mark is not None) == fingerprinted,
        "a codec returns a fingerprint if it declares kinds of models, and none if it does not, but "
        f"this one has {'kinds' if fingerprinted else 'no kinds'} and returned {mark!r}",
    )


def check_lossless(subject: Subject) -> None:
    """Require the pixels that were encoded, at quality 100, of a codec that says so."""
    for size in subject.sizes:
        for kind in KINDS:
            image = picture(kind, size)
            encoded = subject.encode(image, Rate(quality=100.0))
            made = subject.decode(subject.coded(encoded, size))
            apart = int((255 * (made - image)).round().abs().max())
            require(
                apart == 0,
                "traits.lossless means that quality 100 keeps every pixel, but in a "
                f"{kind} picture of {size[0]}x{size[1]} some are {apart} of 255 apart",
            )


def check_deterministic(subject: Subject) -> None:
    """Require the same bytes for the same picture and settings, in any thread."""
    for size in subject.sizes:
        image = picture("scene", size)
        first = subject.encode(image)
        at = f"of a {size[0]}x{size[1]} picture"
        require(
            subject.encode(image) == first,
            f"encoding twice gives the same bytes, but the second time {at} it gave others",
        )
        require(
            in_thread(partial(subject.encode, image)) == first,
            f"encoding in another thread gives the same bytes, but {at} it gave others",
        )
    if not subject.thread_counts:
        return
    # the largest picture is the likeliest to be shared out among threads
    for count in (1, 2):
        require(
            _with_threads(count, partial(subject.encode, image)) == first,
            f"encoding with {count} torch threads gives the same bytes, but {at} it gave others",
        )


def _with_threads(count: int, encode: Callable[[], Encoded]) -> Encoded:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        return encode()
    finally:
        torch.set_num_threads(before)


def check_fresh_instance(subject: Subject) -> None:
    """Require that payload and parameters alone give the picture, with nothing remembered."""
    import torch

    size = subject.sizes[-1]
    coded = subject.coded(subject.encode(picture("scene", size)), size)
    first = subject.decode(coded)
    # whatever is remembered is now another picture's
    subject.decode(subject.coded(subject.encode(picture("noise", size)), size))
    require(
        torch.equal(subject.decode(coded), first),
        "decoding depends on payload and parameters alone, but after another picture was coded "
        "it gave other pixels",
    )
    if subject.other_process:
        # another process may sum in another order, which must not show
        elsewhere = decode_elsewhere(type(subject.codec), coded, subject.options)
        apart = float((elsewhere - first).abs().max())
        require(
            apart < 0.01,
            f"decoding in another process gives the same pixels, but some are {apart:.3g} apart",
        )


def check_input_kept(subject: Subject) -> None:
    """Require that encoding leaves the picture it was given as it was."""
    import torch

    image = picture("scene", subject.sizes[-1])
    before = image.clone()
    subject.codec.encode(Picture(image), Rate())
    require(
        torch.equal(image, before),
        "encode leaves its input tensor as it is, but afterwards it had other values",
    )


def check_progress(subject: Subject) -> None:
    """Require that progress is told in rising steps of one total."""
    size = subject.sizes[-1]
    image = picture("scene", size)
    told: list[tuple[int, int]] = []

    def note(step: int, total: int) -> None:
        told.append((step, total))

    encoded = subject.encode(image, progress=note)
    _require_rising("encode", told)
    told.clear()
    subject.decode(subject.coded(encoded, size), progress=note)
    _require_rising("decode", told)


def _require_rising(function: str, told: list[tuple[int, int]]) -> None:
    steps = [step for step, _ in told]
    require(
        all(type(number) is int for pair in told for number in pair),
        f"{function} tells its progress in whole numbers, not {told}",
    )
    require(
        len({total for _, total in told}) <= 1,
        f"{function} tells its progress of one total, not {told}",
    )
    require(
        all(0 <= step <= total for step, total in told),
        f"{function} tells of steps from 0 to the total, not {told}",
    )
    require(
        all(first < second for first, second in pairwise(steps)),
        f"{function} tells of rising steps, not {steps}",
    )


def check_region_of_interest(subject: Subject) -> None:
    """Require that a map of the picture's size is taken, and one of another size refused."""
    import numpy as np

    size = subject.sizes[-1]
    width, height = size
    image = picture("scene", size)
    weights = np.zeros((height, width), np.float32)
    weights[: -(-height // 2)] = 1
    coded = subject.encode(image, roi=weights)
    made = subject.decode(subject.coded(coded, size))
    require_picture(made, size, "with a region of interest")
    try:
        larger = np.ones((height + 1, width), np.float32)
        subject.encode(image, roi=larger)
    except ValueError:
        return
    raise AssertionError("a roi that is not of the picture's size raises ValueError, but none came")


def check_caption(subject: Subject) -> None:
    """Require that a caption is taken."""
    size = subject.sizes[-1]
    encoded = subject.encode(picture("scene", size), caption="a red disc on a slope")
    require_picture(subject.decode(subject.coded(encoded, size)), size, "with a caption")
