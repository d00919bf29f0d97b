"""A device that no machine lacks: its tensors lie on the CPU, but say that they lie elsewhere.

Real kernels compute, so that whole codecs run, entropy coder included.  What a GPU refuses is refused
here, too: tensors of two devices in one operation, as a forgotten ``device=`` makes them, and numpy's
view of a tensor that is not on the CPU.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, Self

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

from diffc.models.loaded import release_models

# the one device besides the CPU that torch can name and guard without a driver; networks whose weights
# are still to come are on "meta", without a number
NAME = "meta:1"
_DEVICE = torch.device(NAME)

# these may read a tensor of another device, as on a GPU
_COPIES = {"aten::copy_", "aten::_to_copy"}
# positions may lie on the CPU while what they point into does not
_INDEXES = {"aten::index", "aten::index_put", "aten::index_put_", "aten::_index_put_impl_"}


class _Elsewhere(Tensor):
    """A tensor on the device; ``held`` has its values."""

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor) -> Self:
        # a tensor of inference mode could not be a view of a parameter
        with torch.inference_mode(False):
            made: Self = torch.Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
                cls,
                held.size(),
                strides=held.stride(),
                storage_offset=held.storage_offset(),
                dtype=held.dtype,
                device=NAME,
            )
        made.held = held
        return made

    def __tensor_flatten__(self) -> tuple[list[str], None]:
        return ["held"], None

    def __repr__(self, **options: Any) -> str:
        return f"Elsewhere({tuple(self.shape)}, {self.dtype})"

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})[0]


class _Moves(TorchFunctionMode):
    """Moves from and to the device, for which torch would look for a driver."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is Tensor.cpu:
            return _moved(args[0], torch.device("cpu"), None)
        options = dict(kwargs or {})
        if func in (torch.tensor, torch.as_tensor) and options.get("device") is not None:
            return func(*args, **options | {"device": "cpu"}).to(options["device"])
        if isinstance(args[0] if args else None, _Elsewhere):
            if func is Tensor.numpy:
                raise TypeError(f"a tensor on {NAME} is no array of numpy: use Tensor.cpu()")
            if func is Tensor.tolist:
                return args[0].cpu().tolist()
        if func is not Tensor.to:
            return func(*args, **options)
        device, dtype = options.get("device"), options.get("dtype")
        for each in args[1:]:
            if isinstance(each, Tensor):
                device, dtype = each.device, each.dtype
            elif isinstance(each, torch.dtype):
                dtype = each
            elif isinstance(each, str | torch.device):
                device = torch.device(each)
        place = args[0].device if device is None else torch.device(device)
        return _moved(args[0], place, dtype, memory_format=options.get("memory_format"))


def _moved(
    tensor: Tensor, device: torch.device, dtype: torch.dtype | None, **options: Any
) -> Tensor:
    same = (tensor.device, tensor.dtype) == (device, dtype or tensor.dtype)
    if same and options.get("memory_format") is None:
        return tensor
    made: Tensor = torch.ops.aten._to_copy.default(
        tensor, device=device, dtype=dtype or tensor.dtype, **options
    )
    return made


class _Runs(TorchDispatchMode):
    """All operations, those that make tensors of nothing included."""

    def __init__(self, made: Counter[tuple[str, str, torch.dtype]]) -> None:
        super().__init__()
        self.made = made

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made, name = _run(func, args, kwargs or {})
        for each in _tensors(made):
            if each.numel() > 1:
                self.made[name, str(each.device), each.dtype] += 1
        return made


class FakeDevice(ExitStack):
    """Make the device `NAME` usable within.

    Attributes
    ----------
    made : Counter
        How many tensors with more than one element each operation has made, by ``(operation, place,
        dtype)``; the place is ``"cpu"`` or `NAME`.
    """

    def __init__(self) -> None:
        super().__init__()
        self.made: Counter[tuple[str, str, torch.dtype]] = Counter()

    def __enter__(self) -> Self:
        # a module's parameters become tensors of another class when they are moved
        overwrites = torch.__future__.get_overwrite_module_params_on_conversion()
        self.callback(torch.__future__.set_overwrite_module_params_on_conversion, overwrites)
        torch.__future__.set_overwrite_module_params_on_conversion(True)
        self.enter_context(_Moves())
        self.enter_context(_Runs(self.made))
        # a model read here is of no use outside
        self.callback(release_models)
        return self

    def dtypes(self) -> set[torch.dtype]:
        """Return the number formats of what was made on the device."""
        return {dtype for _, place, dtype in self.made if place == NAME}

    def places(self, operation: str) -> set[str]:
        """Return where an operation was done, such as ``aten::conv2d``."""
        return {place for name, place, _ in self.made if name == operation}


def _tensors(values: Any) -> Iterator[Tensor]:
    return (each for each in tree_flatten(values)[0] if isinstance(each, Tensor))


def _run(func: Any, args: Any, kwargs: dict[str, Any]) -> tuple[Any, str]:
    """Run an operation on what its tensors hold; return the result and the operation's name."""
    name: str = func._schema.name
    given = list(_tensors((args, kwargs)))
    there = [each for each in given if isinstance(each, _Elsewhere)]
    here = [each for each in given if not isinstance(each, _Elsewhere) and each.dim() > 0]
    if name in _INDEXES:
        mixed = bool(there) and not isinstance(args[0], _Elsewhere)
    else:
        mixed = bool(there and here) and name not in _COPIES
    if mixed:
        shapes = [(tuple(each.shape), str(each.device)) for each in given]
        raise RuntimeError(f"{name} expects all tensors on one device, but found {shapes}")
    place = kwargs.get("device")
    elsewhere = bool(there) if place is None else torch.device(place) == _DEVICE
    if elsewhere and kwargs.get("pin_memory"):
        raise RuntimeError("only tensors on the CPU can be pinned")
    inner = {**kwargs, "device": "cpu"} if place is not None and elsewhere else kwargs
    held_args, held_kwargs = tree_map(_held, (args, inner))
    made = func(*held_args, **held_kwargs)
    if name == "aten::copy_":
        return args[0], name
    if not elsewhere:
        return made, name
    # an operation in place returns what it was given
    known = {id(each.held): each for each in there}

    def wrapped(value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value
        before = known.get(id(value))
        if before is None:
            return _Elsewhere(value)
        if (before.shape, before.stride()) != (value.shape, value.stride()):
            raise NotImplementedError(f"{name} changes the shape of a tensor in place")
        return before

    return tree_map(wrapped, made), name


def _held(value: Any) -> Any:
    return value.held if isinstance(value, _Elsewhere) else value
