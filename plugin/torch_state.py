"""torch as codecs expect it, whatever the process around them has set.

A program may set defaults of torch for itself: the number format and the device of new tensors,
automatic casting, how random weights are drawn.  None of it is a request to a codec, and nothing is
set back here: what is put in its place holds for this thread alone, so other threads see their own.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from diffc.threads import usable_threads

# what makes floats unless it is told otherwise
_FLOATS = {
    torch.empty,
    torch.eye,
    torch.hamming_window,
    torch.hann_window,
    torch.linspace,
    torch.logspace,
    torch.ones,
    torch.rand,
    torch.randn,
    torch.zeros,
}
# what makes floats of Python's floats
_CHOOSES = {torch.arange, torch.as_tensor, torch.full, torch.scalar_tensor, torch.tensor}
# conversions by name: the number format is what was asked for
_CONVERTS = {"bfloat16", "double", "half", "to", "type", "view"}
# what draws the first values of weights
_DRAWN = {
    "kaiming_normal_",
    "kaiming_uniform_",
    "normal_",
    "orthogonal_",
    "sparse_",
    "trunc_normal_",
    "uniform_",
    "xavier_normal_",
    "xavier_uniform_",
}

_Function = Callable[..., Any]


def _tensors(values: Any) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from _tensors(value)


class _Float32(TorchFunctionMode):
    """New tensors of floats are float32, and integers become that, as without a default."""

    def __torch_function__(
        self, func: _Function, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if kwargs.get("dtype") is not None:
            return func(*args, **kwargs)
        if func in _FLOATS:
            return func(*args, **kwargs | {"dtype": torch.float32})
        made = func(*args, **kwargs)
        usual = torch.get_default_dtype()
        if not isinstance(made, Tensor) or made.dtype != usual or usual == torch.float32:
            return made
        given = [*args, *kwargs.values()]
        asked = any(isinstance(each, torch.dtype) for each in given)
        if asked or getattr(func, "__name__", "") in _CONVERTS:
            return made
        if func in _CHOOSES:
            if any(hasattr(each, "dtype") for each in given):
                return made
            return func(*args, **kwargs | {"dtype": torch.float32})
        found = list(_tensors(given))
        if not found or any(each.is_floating_point() for each in found):
            return made
        again = func(*map(_as_float32, args), **{k: _as_float32(v) for k, v in kwargs.items()})
        # of a mask and two of Python's floats
        return again.to(torch.float32) if again.dtype == usual else again


def _as_float32(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return type(value)(map(_as_float32, value))
    whole = isinstance(value, Tensor) and value.dtype != torch.bool
    return value.to(torch.float32) if whole else value


class _Undrawn(_Float32):
    """Weights are made without drawing their first values."""

    def __torch_function__(
        self, func: _Function, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        name = getattr(func, "__name__", "")
        if name in _DRAWN:
            return args[0] if args else (kwargs or {})["tensor"]
        if func in (torch.rand, torch.randn):
            func = torch.zeros
        return super().__torch_function__(func, types, args, kwargs)


@contextmanager
def undisturbed_torch() -> Iterator[None]:
    """Compute as torch does in a process that has set none of its defaults.

    New tensors are float32 and on the CPU, nothing is cast by itself, and threads are as many as
    can be used here.  Nothing changes for other threads.
    """
    with ExitStack() as stack:
        stack.enter_context(usable_threads())
        for kind in ("cpu", "cuda"):
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        if torch.get_default_dtype() != torch.float32:
            stack.enter_context(_Float32())
        yield


@contextmanager
def weights_to_come() -> Iterator[None]:
    """Make networks whose weights are read afterwards: float32, and no random number is used up."""
    with torch.device("cpu"), _Undrawn():
        yield


def lacks_memory(error: Exception) -> bool:
    """Return whether an error of torch, numpy or Python means that memory has run out."""
    if isinstance(error, MemoryError | torch.cuda.OutOfMemoryError):
        return True
    # what torch's allocator for the CPU says has no class of its own
    text = str(error)
    return isinstance(error, RuntimeError) and (
        "allocate memory" in text or "not enough memory" in text or "out of memory" in text
    )


def too_little_memory(task: str, codec: str, size: tuple[int, int], device: str | None) -> str:
    """Return the sentence for memory that has run out on a device."""
    name = device or os.environ.get("DIFFC_DEVICE") or "cpu"
    remedy = "a smaller picture" if name == "cpu" else "device='cpu' or a smaller picture"
    return (
        f"device {name!r} has too little memory to {task} a picture of {size[0]}x{size[1]} pixels "
        f"with codec {codec!r}: free some, or try {remedy}"
    )
