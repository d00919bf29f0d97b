"""The reach that an error names is the real one: its ends can be asked for, and nothing beyond."""

from __future__ import annotations

import re
from typing import Any, ClassVar

import pytest
from codecs_for_tests import PlanesCodec
from conftest import MODEL, PERCO_MODEL, RELAY_MODEL
from PIL import Image

import diffc
from diffc.codec import Encoded, ModelKind
from diffc.errors import RateError

MODELS = {"relay": RELAY_MODEL, "ddcm": MODEL, "perco": PERCO_MODEL}


class Wordy(PlanesCodec):
    """Planes of 200 bytes at least, with parameters long enough to be told so in two bytes."""

    name = "wordy"
    parameters: ClassVar[int] = 0
    fingerprint: ClassVar[bytes | None] = None

    def encode(self, picture: Any, rate: Any, progress: Any = None) -> Encoded:
        room = rate.room(self.parameters)
        if not 200 <= room <= 300:
            raise RateError(self.parameters + 200, self.parameters + 300)
        return Encoded(bytes(room), bytes(self.parameters), self.fingerprint)


def reach(error: pytest.ExceptionInfo[ValueError]) -> tuple[int, int]:
    found = re.search(r"files of (\d+)(?: to (\d+))? bytes", str(error.value))
    assert found is not None
    return int(found[1]), int(found[2] or found[1])


@pytest.mark.parametrize("parameters", [0, 14, 15, 142, 143, 4000])
@pytest.mark.parametrize("fingerprint", [None, b"1234"])
def test_the_ends_of_the_reach_are_met_to_the_byte(
    photo: Image.Image, parameters: int, fingerprint: bytes | None
) -> None:
    diffc.register_codec("wordy", Wordy, clobber=True)
    Wordy.parameters, Wordy.fingerprint = parameters, fingerprint
    Wordy.kinds = () if fingerprint is None else (ModelKind("wordy"),)
    masked = photo.copy()
    masked.putalpha(photo.getchannel("R"))
    for image, options in ((photo, {}), (masked, {"xmp": "<x/>" * 30})):
        given: dict[str, Any] = {"backend": "wordy", **options}
        with pytest.raises(ValueError, match="makes files of") as error:
            diffc.encode(image, target_size=1, **given)
        for size in reach(error):
            assert len(diffc.encode(image, target_size=size, **given)) == size
        lowest, highest = reach(error)
        for size in (lowest - 1, highest + 1):
            with pytest.raises(ValueError, match="makes files of"):
                diffc.encode(image, target_size=size, **given)


@pytest.mark.parametrize("backend", MODELS)
def test_the_least_that_is_named_can_be_had(photo: Image.Image, backend: str) -> None:
    options: dict[str, Any] = {"backend": backend, "model": MODELS[backend], "xmp": "<x/>"}
    with pytest.raises(ValueError, match="makes files of") as error:
        diffc.encode(photo, target_size=1, **options)
    lowest, _ = reach(error)
    assert len(diffc.encode(photo, target_size=lowest, **options)) <= lowest
    with pytest.raises(ValueError, match="makes files of"):
        diffc.encode(photo, target_size=lowest - 1, **options)
