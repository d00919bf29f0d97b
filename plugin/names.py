"""The names of codecs and models, as files, folders and command lines hold them."""

from __future__ import annotations

import re

_PLAIN = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


def is_plain_name(text: str) -> bool:
    """Tell whether a text is ``[a-z0-9][a-z0-9._-]{0,63}``."""
    return _PLAIN.fullmatch(text) is not None
