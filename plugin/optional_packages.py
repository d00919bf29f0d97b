"""Packages of extras: those of ``models`` when a model of others needs them, hosts of adapters."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Any

from diffc.errors import ModelNotAvailableError


@contextmanager
def from_extra(extra: str) -> Iterator[None]:
    """Import in this block what an extra brings.

    Parameters
    ----------
    extra : str
        Its name, which the error names if a package is missing or does not load here.

    Raises
    ------
    ImportError
        If an import in the block fails.
    """
    try:
        yield
    except ImportError as error:
        raise ImportError(
            f"diffc's adapter for this library needs what cannot be imported here ({error}): "
            f"pip install --upgrade 'diffc[{extra}]'",
            name=error.name,
        ) from error


def models_package(name: str) -> ModuleType:
    """Import ``diffusers`` or ``transformers``.

    Raises
    ------
    ModelNotAvailableError
        If it is not installed, or lacks what it needs itself.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise ModelNotAvailableError(
            f"this model needs {error.name or name}, which is not installed: "
            'pip install "diffc[models]"'
        ) from error


def quantising_package() -> ModuleType:
    """Import ``torchao.quantization``.

    Raises
    ------
    ModelNotAvailableError
        If torchao is not installed, does not load here, or is too old.
    """
    remedy = 'pip install --upgrade "diffc[quantised]"'
    try:
        package = import_module("torchao.quantization")
    except ImportError as error:
        raise ModelNotAvailableError(
            f"weights in int8 and fp8 need torchao, which cannot be imported here ({error}): {remedy}"
        ) from error
    if not hasattr(package, "Int8WeightOnlyConfig"):
        raise ModelNotAvailableError(
            f"weights in int8 and fp8 need torchao 0.10 or newer, which this one is not: {remedy}"
        )
    return package


def models_class(package: str, name: str) -> Any:
    """Return a class of ``diffusers`` or ``transformers``, which import their parts when asked.

    Raises
    ------
    ModelNotAvailableError
        If the package is not installed, or cannot be used.
    """
    library = models_package(package)
    try:
        return getattr(library, name)
    except (AttributeError, ImportError, RuntimeError) as error:
        raise ModelNotAvailableError(
            f"this model needs {name} of {package}, which cannot be used here ({error}): "
            'pip install --upgrade "diffc[models]"'
        ) from error


@contextmanager
def silent(library: Any) -> Iterator[None]:
    """Keep the progress bars and remarks of ``diffusers`` or ``transformers`` from the terminal."""
    logging = library.utils.logging
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
