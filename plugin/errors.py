"""The exceptions of diffc: `OSError` for what is wrong with a file, `ValueError` for a call."""

from __future__ import annotations

import sys
import warnings


class FileError(OSError):
    """The bytes are not a readable DIFFC file."""


class NotDiffcError(FileError):
    """The bytes do not start as a DIFFC file does."""


class TruncatedError(FileError):
    """The file ends before the bytes that its header promises."""


class ChecksumError(FileError):
    """The file's bytes do not have the checksum that was stored with them."""


class CodecNotAvailableError(OSError):
    """The file names a codec that is not installed here."""


class ModelNotAvailableError(OSError):
    """The file was made with a model whose weights are not here."""


class RateError(ValueError):
    """The bytes asked for are outside what the codec can reach for this image.

    Parameters
    ----------
    lowest, highest : int
        Reachable payload and parameter bytes, both inclusive.
    """

    def __init__(self, lowest: int, highest: int) -> None:
        super().__init__(f"reachable payloads have {lowest} to {highest} bytes for this image")
        self.lowest = lowest
        self.highest = highest


class OptionError(ValueError):
    """An option of the caller's cannot hold here; raised where a `ValueError` would mean the file."""


def reason_of(error: BaseException) -> str:
    """Return an error's message as one line."""
    text = str(error)
    if isinstance(error, OSError) and error.strerror:
        text = error.strerror
    elif isinstance(error, MemoryError):
        text = text or "there is too little memory"
    return " ".join(text.split())


def warn_caller(message: str) -> None:
    """Warn, as at the place where somebody outside of this package and Pillow has called it."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and _ours(frame.f_globals.get("__name__", "")):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, stacklevel=level)


def _ours(module: str) -> bool:
    return module.partition(".")[0] in ("diffc", "PIL", "contextlib")
