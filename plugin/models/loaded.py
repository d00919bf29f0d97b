"""Models that are read once in a process, the latest used ones, as long as there is room for them."""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from typing import Any, TypeVar

from diffc.threads import ForkSafeLock

Model = TypeVar("Model")

LARGEST = 4 << 30
"""Bytes of weights that are kept at most; the model used last is kept whatever it has."""
# a network hangs in a model, or in a part of one
_DEEPEST = 5

_models: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
# a model may load another that it stands beside
_lock = ForkSafeLock()


def loaded(key: Hashable, read: Callable[[], Model], largest: int | None = None) -> Model:
    """Return the model of a key, read if it is not kept.

    Parameters
    ----------
    key : hashable
        Says all that the model depends on.
    read : callable
        Reads it.
    largest : int, optional
        Bytes to keep at most; `LARGEST` if left out.
    """
    # threads that ask at the same time wait for one reading
    with _lock:
        if key in _models:
            _models.move_to_end(key)
        else:
            model = read()
            _models[key] = (model, weight_bytes(model))
            _drop_the_oldest(LARGEST if largest is None else largest)
        found: Model = _models[key][0]
        return found


def _drop_the_oldest(largest: int) -> None:
    total = sum(size for _, size in _models.values())
    while total > largest and len(_models) > 1:
        _, (_, size) = _models.popitem(last=False)
        total -= size


def release_models() -> None:
    """Let go of all models that are loaded; what is needed again is read again.

    Memory comes back as soon as nothing that is at work uses them.
    """
    with _lock:
        _models.clear()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def kept_bytes() -> int:
    """Return the bytes of weights of all models that are kept."""
    with _lock:
        return sum(size for _, size in _models.values())


def weight_bytes(model: object) -> int:
    """Return the bytes of all tensors that an object holds; shared memory counts once."""
    return sum(dict(_tensors(model, _DEEPEST, set())).values())


def _tensors(holder: object, deep: int, seen: set[int]) -> Iterator[tuple[int, int]]:
    """Yield where the memory of each tensor is, and its size."""
    import torch

    if id(holder) in seen:
        return
    seen.add(id(holder))
    if isinstance(holder, torch.Tensor):
        if hasattr(holder, "__tensor_flatten__"):
            # made of others, as quantised weights are: it has no memory of its own
            for name in holder.__tensor_flatten__()[0]:
                yield from _tensors(getattr(holder, name), deep, seen)
        elif holder.device.type != "meta":
            storage = holder.untyped_storage()
            yield storage.data_ptr(), storage.nbytes()
    elif isinstance(holder, torch.nn.Module):
        for each in (*holder.parameters(), *holder.buffers()):
            yield from _tensors(each, deep, seen)
    elif deep and isinstance(holder, dict | list | tuple):
        for each in holder.values() if isinstance(holder, dict) else holder:
            yield from _tensors(each, deep - 1, seen)
    elif deep and not isinstance(holder, type) and hasattr(holder, "__dict__"):
        for each in vars(holder).values():
            yield from _tensors(each, deep - 1, seen)
