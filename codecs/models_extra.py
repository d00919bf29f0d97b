"""Packages of the extra ``models``, imported when a model of others needs them."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import Any

from diffc.errors import ModelNotAvailableError


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
