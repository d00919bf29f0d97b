"""What a process has set of torch, numpy and Python is no request to a codec, and stays as it is."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from conftest import MODEL, PERCO_MODEL, RELAY_MODEL
from PIL import Image

import diffc
from diffc.models.loaded import release_models
from diffc.torch_state import lacks_memory, undisturbed_torch, weights_to_come

MODELS = {"relay": RELAY_MODEL, "ddcm": MODEL, "perco": PERCO_MODEL}


@contextmanager
def setting(change: Callable[[Any], Any], value: Any, usual: Any) -> Iterator[None]:
    change(value)
    try:
        yield
    finally:
        change(usual)


def default_dtype(dtype: torch.dtype) -> AbstractContextManager[None]:
    return setting(torch.set_default_dtype, dtype, torch.float32)


STATES: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "float64": lambda: default_dtype(torch.float64),
    "bfloat16": lambda: default_dtype(torch.bfloat16),
    "float16": lambda: default_dtype(torch.float16),
    "device of a block": lambda: torch.device("meta"),
    "device": lambda: setting(torch.set_default_device, "meta", None),
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "inference": torch.inference_mode,
    "gradients": torch.enable_grad,
    "deterministic": lambda: setting(torch.use_deterministic_algorithms, True, False),
    "numpy raises": lambda: np.errstate(all="raise"),
}


@pytest.fixture
def fresh_models() -> Iterator[None]:
    """Models are read anew, in the state that a test sets, and forgotten after it."""
    release_models()
    yield
    release_models()


@pytest.mark.parametrize("backend", MODELS)
@pytest.mark.usefixtures("fresh_models")
def test_bytes_and_pixels_are_the_same_in_any_state(photo: Image.Image, backend: str) -> None:
    options: dict[str, Any] = {"backend": backend, "model": MODELS[backend], "quality": 30}
    data = diffc.encode(photo, **options)
    pixels = diffc.decode(data).tobytes()
    for name, state in STATES.items():
        release_models()
        with state():
            before = torch.get_default_dtype(), torch.get_default_device()
            assert diffc.encode(photo, **options) == data, name
            assert diffc.decode(data).tobytes() == pixels, name
            assert (torch.get_default_dtype(), torch.get_default_device()) == before
        # a model that was read in that state is as good as any
        assert diffc.decode(data).tobytes() == pixels, name


@pytest.mark.parametrize("backend", MODELS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_a_default_may_change_meanwhile(
    photo: Image.Image, backend: str, dtype: torch.dtype
) -> None:
    options: dict[str, Any] = {"backend": backend, "model": MODELS[backend], "quality": 30}
    data = diffc.encode(photo, **options)
    pixels = diffc.decode(data).tobytes()

    def change(step: int, total: int) -> None:
        # as another thread does that makes a model of another number format
        torch.set_default_dtype(dtype)

    try:
        assert diffc.encode(photo, progress=change, **options) == data
        torch.set_default_dtype(torch.float32)
        assert diffc.decode(data, progress=change).tobytes() == pixels
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("backend", MODELS)
@pytest.mark.usefixtures("fresh_models")
def test_no_random_number_of_the_caller_is_used_up(photo: Image.Image, backend: str) -> None:
    states = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()  # type: ignore[index]
    diffc.decode(diffc.encode(photo, backend=backend, model=MODELS[backend], quality=10))
    assert torch.equal(torch.get_rng_state(), states[0])
    assert np.array_equal(np.random.get_state()[1], states[1])  # type: ignore[index]
    assert random.getstate() == states[2]


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_arithmetic_is_that_of_float32(dtype: torch.dtype) -> None:
    calls: list[Callable[[], torch.Tensor]] = [
        lambda: torch.ones(3),
        lambda: torch.linspace(0, 1, 7),
        lambda: torch.tensor([0.1, 2]),
        lambda: torch.full((2,), 0.1),
        lambda: torch.arange(0.1, 2.0),
        lambda: torch.arange(5) / 7,
        lambda: (torch.arange(5) + 0.1).sqrt(),
        lambda: torch.stack([torch.arange(3), torch.arange(3)]) * 0.1,
        lambda: torch.where(torch.tensor([True, False]), 1.0, -1.0),
        lambda: torch.nn.Linear(2, 1, bias=False).weight * 0,
    ]
    kept: list[Callable[[], torch.Tensor]] = [
        lambda: torch.tensor([0.1], dtype=torch.float64),
        lambda: torch.arange(3).to(torch.float64),
        lambda: torch.arange(3).double(),
        lambda: torch.as_tensor(np.array([0.1])),
        lambda: torch.arange(3).bfloat16(),
        lambda: torch.tensor(1),
        lambda: torch.zeros(1, dtype=torch.float16) + 1,
    ]
    expected = [call() for call in [*calls, *kept]]
    with default_dtype(dtype), undisturbed_torch():
        made = [call() for call in [*calls, *kept]]
    for one, other in zip(made, expected, strict=True):
        assert one.dtype == other.dtype
        assert torch.equal(one, other)


def test_networks_are_made_without_random_numbers() -> None:
    state = torch.get_rng_state()
    with weights_to_come():
        network = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Conv2d(3, 3, 3))
        torch.nn.init.normal_(network[0].weight)
        made = torch.nn.Parameter(torch.randn(4))
    assert torch.equal(torch.get_rng_state(), state)
    assert {each.dtype for each in [*network.parameters(), made]} == {torch.float32}


class Exhausted(diffc.Codec):
    """A codec for which there is never enough memory."""

    name = "exhausted"
    error: ClassVar[Exception] = MemoryError()

    def encode(self, picture: Any, rate: Any, progress: Any = None) -> Any:
        raise self.error

    @classmethod
    def decode(cls, coded: Any, options: Any) -> Any:
        raise cls.error


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB"),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp] . DefaultCPUAllocator: can't allocate memory"
        ),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes."),
        RuntimeError("MPS backend out of memory"),
    ],
)
def test_too_little_memory_is_no_fault_of_the_file(photo: Image.Image, error: Exception) -> None:
    diffc.register_codec("exhausted", Exhausted, clobber=True)
    Exhausted.error = error
    with pytest.raises(
        MemoryError, match="'cpu' has too little memory to encode a picture of 96x64"
    ):
        diffc.encode(photo, backend="exhausted")
    from diffc.container import build

    data = build(codec="exhausted", bitstream_version=1, mode="RGB", size=(9, 7), payload=b"")
    with pytest.raises(MemoryError, match="'cuda:7' has too little memory"):
        diffc.decode(data, device="cuda:7")
    assert not lacks_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))


def test_a_block_of_options_may_end_in_another_context(photo: Image.Image) -> None:
    from contextvars import copy_context

    def steps() -> Iterator[None]:
        with diffc.decoding(steps=3):
            yield

    running = steps()
    copy_context().run(next, running)
    assert copy_context().run(next, running, None) is None
    with nullcontext():
        assert diffc.decode(diffc.encode(photo, quality=0)).size == photo.size
