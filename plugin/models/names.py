"""Names of models: what may be one, before a path or an address is made of it."""

from __future__ import annotations

import re

from diffc.errors import OptionError
from diffc.values import is_plain_name

# what the hub takes for an account and a repository, less what could be read as a path
_HUB = re.compile(r"(?=.{3,96}\Z)[A-Za-z0-9][A-Za-z0-9_.-]*/[A-Za-z0-9][A-Za-z0-9_.-]*")
_LONGEST_PATH = 4096


def is_own_name(text: str) -> bool:
    """Tell whether a text may be a name of the store: ``[a-z0-9][a-z0-9._-]{0,63}``."""
    return is_plain_name(text) and ".." not in text and "--" not in text


def is_hub_id(text: str) -> bool:
    """Tell whether a text may be a repository of the hub, ``account/name``."""
    return _HUB.fullmatch(text) is not None and ".." not in text and "--" not in text


def is_name(text: str) -> bool:
    """Tell whether a text may name a model of the store or of the hub."""
    return is_own_name(text) or is_hub_id(text)


def may_be_path(text: str) -> bool:
    """Tell whether it is worth asking the file system: not for addresses and endless texts."""
    return 0 < len(text) < _LONGEST_PATH and "://" not in text and text.isprintable()


def check_name(text: str) -> str:
    """Return a name of a model if it is one.

    Raises
    ------
    OptionError
        If it is neither a name of the store nor a hub id.
    """
    if not is_name(text):
        raise OptionError(
            "a model's name is 1 to 64 lower-case letters, digits, '.', '_' or '-', or a hub id "
            f"account/name, not {text[:100]!r}: choose such a name"
        )
    return text


def file_stem(name: str) -> str:
    """Return a name as part of a file's name; different names have different ones."""
    # neither kind of name holds two hyphens in a row
    return name.replace("/", "--")
