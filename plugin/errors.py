"""The exceptions of diffc: `OSError` for what is wrong with a file, `ValueError` for a call."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable


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
    lowest : int
        Fewest reachable bytes of payload and parameters.
    highest : int or callable
        The most; a function that finds out is called when somebody asks for it.
    """

    def __init__(self, lowest: int, highest: int | Callable[[], int]) -> None:
        super().__init__(lowest, highest)
        self.lowest = lowest
        self._highest = highest

    @property
    def highest(self) -> int:
        """The most reachable bytes of payload and parameters."""
        if callable(self._highest):
            self._highest = self._highest()
        return self._highest

    def __reduce__(self) -> tuple[type[RateError], tuple[int, int]]:
        """Travel to another process by its bounds."""
        return RateError, (self.lowest, self.highest)

    def __str__(self) -> str:
        """Return the bounds in a sentence."""
        return f"reachable payloads have {self.lowest} to {self.highest} bytes for this image"


class OptionError(ValueError):
    """An option of the caller's cannot hold here; raised where a `ValueError` would mean the file."""


class DiffcWarning(UserWarning):
    """What somebody should know of a picture, a file or a codec, and what is no error."""


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
    warnings.warn(message, DiffcWarning, stacklevel=level)


def _ours(module: str) -> bool:
    return module.partition(".")[0] in ("diffc", "PIL", "contextlib")
