"""The container format in one place: what reads and writes DIFFC files, byte by byte.

Its parts are imported when they are first asked for: registering the format needs the smallest of
them alone.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from diffc.container.diagnosis import diagnose as diagnose
    from diffc.container.header import Header as Header
    from diffc.container.layout import CONTAINER_VERSION as CONTAINER_VERSION
    from diffc.container.layout import MAGIC as MAGIC
    from diffc.container.layout import METADATA_LIMIT as METADATA_LIMIT
    from diffc.container.reader import Body as Body
    from diffc.container.reader import open_body as open_body
    from diffc.container.reader import parse_header as parse_header
    from diffc.container.reader import read_body as read_body
    from diffc.container.reader import read_header as read_header
    from diffc.container.writer import Envelope as Envelope
    from diffc.container.writer import build as build

_PARTS = {
    "diagnosis": ("diagnose",),
    "header": ("Header",),
    "layout": ("CONTAINER_VERSION", "MAGIC", "METADATA_LIMIT"),
    "reader": ("Body", "open_body", "parse_header", "read_body", "read_header"),
    "writer": ("Envelope", "build"),
}


def __getattr__(name: str) -> Any:
    for module, names in _PARTS.items():
        if name in names:
            value = getattr(import_module(f"diffc.container.{module}"), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module 'diffc.container' has no attribute {name!r}")
