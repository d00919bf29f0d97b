"""OpenCV itself, which this adapter uses where it is installed, and its way to report failure."""

from __future__ import annotations

import logging
from functools import lru_cache
from importlib import import_module
from typing import Any


def find_cv2() -> Any:
    """Return the module cv2, or None where it cannot be imported."""
    try:
        return import_module("cv2")
    except ImportError:
        return None


def need_cv2(task: str) -> Any:
    """Return the module cv2.

    Raises
    ------
    ImportError
        If it is not installed; the message names the extra.
    """
    cv2 = find_cv2()
    if cv2 is None:
        raise ImportError(f"{task} needs OpenCV, which is missing: pip install 'diffc[opencv]'")
    return cv2


@lru_cache(maxsize=1)
def error_type() -> type[ValueError]:
    """Return the exception of this adapter: a `ValueError`, and a ``cv2.error`` if there is cv2."""
    cv2 = find_cv2()
    if cv2 is None:
        return ValueError
    # -5 is OpenCV's code for a bad argument
    attributes = {"__module__": __name__, "code": -5}
    return type("error", (cv2.error, ValueError), attributes)


def __getattr__(name: str) -> Any:
    # pickled exceptions of worker processes look for their class here
    if name == "error":
        return error_type()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def failure(message: str) -> ValueError:
    """Return the exception to raise where OpenCV raises ``cv2.error``."""
    made = error_type()(message)
    made.msg = made.err = message  # type: ignore[attr-defined]
    return made


def log(function: str, name: str, reason: object) -> None:
    """Say why a function returns None or False, as OpenCV does; it is logged, never raised."""
    logging.getLogger("diffc").warning("%s(%r): %s", function, name, reason)
