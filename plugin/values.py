"""Plain names of codecs and models, and values of options made Python's own."""

from __future__ import annotations

import os
import re
from typing import Any

_PLAIN = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


def is_plain_name(text: str) -> bool:
    """Tell whether a text is ``[a-z0-9][a-z0-9._-]{0,63}``, as files and folders hold names."""
    return _PLAIN.fullmatch(text) is not None


def plain_value(value: Any) -> Any:
    """Return Python's own value for a scalar of numpy, torch and the like; all else as it is.

    Parameters
    ----------
    value : object
        Of an option.  Scalars and arrays without an axis become numbers, decimals and fractions
        floats, paths and devices text; arrays with axes, texts and functions stay.
    """
    if value is None or type(value) in (bool, int, float, str, bytes):
        return value
    if getattr(value, "ndim", None) == 0 and callable(getattr(value, "item", None)):
        return value.item()
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    kind = type(value)
    if kind.__module__ == "torch" and kind.__name__ == "device":
        return str(value)
    if callable(getattr(value, "as_integer_ratio", None)) or kind.__module__ == "decimal":
        return int(value) if isinstance(value, int) else float(value)
    return value
