"""Models are read once, as many as there is room for, and let go when asked."""

from __future__ import annotations

import weakref
from collections.abc import Iterator

import pytest
import torch
from conftest import PERCO_MODEL
from torch import nn

import diffc
from diffc.models.loaded import kept_bytes, loaded, weight_bytes


class Model:
    """A network among other things."""

    def __init__(self, floats: int) -> None:
        self.network = nn.Linear(floats, 1, bias=False)
        self.parts = {"again": [self.network.weight], "name": "model"}


@pytest.fixture(autouse=True)
def _nothing_is_kept() -> Iterator[None]:
    diffc.release_models()
    yield
    diffc.release_models()


def test_the_bytes_of_a_model_are_those_of_its_tensors() -> None:
    assert weight_bytes(Model(1000)) == 4000
    assert weight_bytes([torch.zeros(3, dtype=torch.uint8), torch.zeros(2, device="meta")]) == 3
    assert weight_bytes({"a": None, "b": "text", "c": Model}) == 0


def test_the_latest_used_are_kept_as_far_as_there_is_room() -> None:
    reads = []

    def model(key: str, floats: int = 100) -> Model:
        def read() -> Model:
            reads.append(key)
            return Model(floats)

        return loaded(key, read, largest=1000)

    first = model("a")
    model("b")
    assert model("a") is first
    model("c")
    assert kept_bytes() == 800
    assert reads == ["a", "b", "c"]
    assert model("a") is first
    model("b")
    assert reads == ["a", "b", "c", "b"]
    # one that is larger than all the room is kept alone
    assert model("large", 5000) is model("large", 5000)
    assert kept_bytes() == 20000


def test_models_are_released() -> None:
    gone = weakref.ref(loaded("a", lambda: Model(3)))
    assert gone() is not None
    diffc.release_models()
    assert gone() is None
    assert kept_bytes() == 0


def test_a_codec_counts_what_it_has_loaded(photo: object) -> None:
    data = diffc.encode(photo, backend="perco", model=str(PERCO_MODEL), quality=10)
    assert kept_bytes() > 1000
    diffc.release_models()
    assert diffc.encode(photo, backend="perco", model=str(PERCO_MODEL), quality=10) == data
