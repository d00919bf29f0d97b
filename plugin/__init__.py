"""Diffusion image codecs as an image format.

Importing this package registers the format DIFFC with Pillow; numpy and torch are loaded when a
picture is first encoded or decoded.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

# notices forks from the first import on
import diffc.threads  # noqa: F401
from diffc import registration

if TYPE_CHECKING:
    from diffc.api import Info as Info
    from diffc.api import decode as decode
    from diffc.api import encode as encode
    from diffc.api import extract as extract
    from diffc.api import info as info
    from diffc.api import save as save
    from diffc.batch.in_memory import decode_batch as decode_batch
    from diffc.batch.in_memory import encode_batch as encode_batch
    from diffc.codec import Codec as Codec
    from diffc.codec_list import codecs_available as codecs_available
    from diffc.decode_options import decoding as decoding
    from diffc.models.loaded import release_models as release_models
    from diffc.registry import register_codec as register_codec
    from diffc.restoration import restore as restore

__version__ = "0.1.0"

_LAZY = {
    "Codec": "diffc.codec",
    "Info": "diffc.api",
    "codecs_available": "diffc.codec_list",
    "decode": "diffc.api",
    "decode_batch": "diffc.batch.in_memory",
    "decoding": "diffc.decode_options",
    "encode": "diffc.api",
    "encode_batch": "diffc.batch.in_memory",
    "extract": "diffc.api",
    "info": "diffc.api",
    "register_codec": "diffc.registry",
    "release_models": "diffc.models.loaded",
    "restore": "diffc.restoration",
    "save": "diffc.api",
}
__all__ = [*_LAZY, "register"]  # noqa: PLE0604


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'diffc' has no attribute {name!r}")
    value = getattr(import_module(_LAZY[name]), name)
    globals()[name] = value
    return value


def register(_worker: int | None = None) -> None:
    """Register the format with Pillow; importing diffc does so, and doing it again is harmless.

    Where workers start afresh (``spawn``, ``forkserver``), pass this function as their
    initialiser, or as ``worker_init_fn`` of a torch DataLoader, which gives it a number.
    """
    registration.register()


register()
