"""Numbers and names as host libraries hand them over, made Python's own."""

from __future__ import annotations

import os
from typing import Any


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
