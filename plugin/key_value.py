"""``KEY=VALUE`` on the command line: one option with its value."""

from __future__ import annotations

import json
from typing import Any


def key_and_value(text: str) -> tuple[str, Any]:
    """Return an option's name and value.

    Parameters
    ----------
    text : str
        ``KEY=VALUE``; the value is read as JSON where it is JSON (``20``, ``null``), and is a
        text otherwise.  Dashes in the key stand for underscores.

    Raises
    ------
    ValueError
        If there is no key or no ``=``.
    """
    key, equals, value = text.partition("=")
    if not (key and equals):
        raise ValueError(f"an option is KEY=VALUE, not {text!r}")
    try:
        return key.replace("-", "_"), json.loads(value)
    # nested too deeply
    except (ValueError, RecursionError):
        return key.replace("-", "_"), value
