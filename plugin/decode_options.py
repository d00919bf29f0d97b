"""Options of decoding, which `PIL.Image.open` has no place for: a context variable."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import replace

from diffc.codec import DecodeOptions, no_progress
from diffc.progress import Progress
from diffc.values import plain_value

_options: ContextVar[DecodeOptions] = ContextVar("diffc_decode_options")


# what stays open where nothing was chosen
_CHOICES = ("device", "steps", "realism", "guidance", "cache", "precision", "model")

MOST_CACHE = 16
"""Steps from one evaluation of a whole network to the next, at most."""
PRECISIONS = ("int8", "fp8")
"""Number formats that weights of linear layers can be converted to; their order never changes."""


def options_in_force() -> DecodeOptions | None:
    """Return what a `decoding` block has set here, None outside of all blocks."""
    return _options.get(None)


def decode_options(earlier: DecodeOptions | None = None) -> DecodeOptions:
    """Return the options in force here.

    Parameters
    ----------
    earlier : DecodeOptions, optional
        Those that were in force when a file was opened; they hold where none are now, and for what
        those of now leave open.  Its progress function does not: it belongs to its moment.
    """
    options = options_in_force()
    if options is not None and earlier is not None:
        left = {name: getattr(earlier, name) for name in _CHOICES if getattr(options, name) is None}
        return replace(options, **left)
    if options is not None:
        return options
    if earlier is not None:
        return replace(earlier, progress=no_progress)
    return DecodeOptions(allow_download=os.environ.get("DIFFC_ALLOW_DOWNLOAD") == "1")


def check_allow_download(value: object) -> None:
    """Take nothing but True and False for consent, nor a text that looks like either.

    Raises
    ------
    ValueError
        If it is anything else; None is the default and may be left out.
    """
    if value is not None and not isinstance(value, bool):
        raise ValueError(f"allow_download is True or False, not {value!r}: pass one of them")


def with_changes(
    *,
    device: str | None = None,
    steps: int | None = None,
    realism: float | None = None,
    guidance: float | None = None,
    cache: int | None = None,
    precision: str | None = None,
    model: str | os.PathLike[str] | None = None,
    allow_download: bool | None = None,
    progress: Progress | None = None,
) -> DecodeOptions:
    """Return the options in force with some changed; None leaves one as it is.

    Raises
    ------
    ValueError
        If one has a wrong type or range.
    """
    steps, realism, guidance = map(plain_value, (steps, realism, guidance))
    device, allow_download = plain_value(device), plain_value(allow_download)
    cache, precision = plain_value(cache), plain_value(precision)
    if steps is not None and (isinstance(steps, bool) or not isinstance(steps, int)):
        raise ValueError(f"steps is a whole number, not {steps!r}: give one from 0 to 1000")
    if steps is not None and not 0 <= steps <= 1000:
        raise ValueError(f"steps is 0 to 1000, not {steps}: choose one in that range")
    if realism is not None and (
        isinstance(realism, bool) or not isinstance(realism, int | float) or not 0 <= realism <= 1
    ):
        raise ValueError(f"realism is 0 to 1, not {realism!r}: choose a number in that range")
    if guidance is not None and (
        isinstance(guidance, bool)
        or not isinstance(guidance, int | float)
        or not 0 <= guidance <= 20
    ):
        raise ValueError(f"guidance is 0 to 20, not {guidance!r}: choose a number in that range")
    if cache is not None and (
        isinstance(cache, bool) or not isinstance(cache, int) or not 1 <= cache <= MOST_CACHE
    ):
        raise ValueError(
            f"cache is 1 to {MOST_CACHE}, not {cache!r}: choose a whole number in that range"
        )
    if precision is not None and precision not in PRECISIONS:
        raise ValueError(
            f"precision is {' or '.join(PRECISIONS)}, not {str(precision)[:100]!r}: name one of them"
        )
    if device is not None and not isinstance(device, str):
        raise ValueError(f"device is a name such as 'cpu', not {device!r}: give its name")
    check_allow_download(allow_download)
    if progress is not None and not callable(progress):
        raise ValueError(f"progress is a function of (step, total), not {progress!r}: pass one")
    changes = {
        "device": device,
        "steps": steps,
        "realism": realism,
        "guidance": guidance,
        "cache": cache,
        "precision": precision,
        "model": None if model is None else os.fspath(model),
        "allow_download": allow_download,
        "progress": progress,
    }
    given = {name: value for name, value in changes.items() if value is not None}
    return replace(decode_options(), **given)  # type: ignore[arg-type]


@contextmanager
def decoding(
    *,
    device: str | None = None,
    steps: int | None = None,
    realism: float | None = None,
    guidance: float | None = None,
    cache: int | None = None,
    precision: str | None = None,
    model: str | os.PathLike[str] | None = None,
    allow_download: bool | None = None,
    progress: Progress | None = None,
) -> Iterator[DecodeOptions]:
    """Decode with these options inside the ``with`` block, in this thread or task.

    An image that `PIL.Image.open` opens in the block keeps them until its pixels are loaded, in
    whichever thread; where others are in force then, those go first.

    Parameters
    ----------
    device : str, optional
        A torch device such as ``"cuda"``; the environment's DIFFC_DEVICE is the default.
    steps : int, optional
        Denoising evaluations after the coded ones, 0 to 1000; most codecs take at least 1.
    realism : float, optional
        0 to 1: from what was coded, as it is, to all of the detail that a codec can generate;
        codecs without such a choice ignore it.
    guidance : float, optional
        0 to 20: how far a generated picture is moved away from what the model would make without
        the file; 1 is not at all, and codecs without such a choice ignore it.
    cache : int, optional
        1 to 16: the network runs whole at every so many steps only, and its outer layers between
        them; a file's coded steps are taken as it says, and codecs of few steps ignore it.
    precision : str, optional
        ``"int8"`` or ``"fp8"``: the weights of a large network's linear layers in a byte each, which
        the extra ``quantised`` makes; codecs without such a network ignore it.
    model : path, optional
        A directory to look for the file's model in first.
    allow_download : bool, optional
        Whether missing weights may be fetched; DIFFC_ALLOW_DOWNLOAD=1 is the default for true.
    progress : callable, optional
        Called with (step, total).

    Examples
    --------
    >>> import diffc
    >>> with diffc.decoding(device="cpu", steps=4) as options:
    ...     options.steps
    4
    """
    options = with_changes(
        device=device,
        steps=steps,
        realism=realism,
        guidance=guidance,
        cache=cache,
        precision=precision,
        model=model,
        allow_download=allow_download,
        progress=progress,
    )
    token = _options.set(options)
    try:
        yield options
    finally:
        # a generator may be ended in another context, where nothing was set
        with suppress(ValueError):
            _options.reset(token)
