"""Packages that only the bench needs: loaded when they are used, and missed in one sentence."""

from __future__ import annotations

import importlib
from types import ModuleType


def load_package(name: str) -> ModuleType:
    """Import a module of a package that comes with ``diffc[bench]``.

    Parameters
    ----------
    name : str
        The module, for example "matplotlib.figure".

    Raises
    ------
    ValueError
        If it is not installed or does not load here; the sentence says what to do.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise ValueError(
            f'this needs the module {error.name}: pip install --upgrade "diffc[bench]"'
        ) from error
    except (ImportError, OSError, RuntimeError, AttributeError) as error:
        # such as torchvision beside a torch of another release: its operators do not register
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise ValueError(
            f"the module {name} is installed but does not load here ({reason[0]}): "
            "install torch and torchvision of one release and build"
        ) from error
