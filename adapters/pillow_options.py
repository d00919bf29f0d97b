"""The keywords of one call of `PIL.Image.Image.save`, whatever other threads do with the image.

Pillow hands them to a format on the image itself, as ``image.encoderinfo``: of two threads that
save one image, each may find the other's, and the one that ends last puts them back to stay.  So
they are taken from the call itself, and what one call has left for another to find is emptied.  What
somebody has set as ``image.encoderinfo`` counts as long as one thread saves the image.
"""

from __future__ import annotations

import sys
import threading
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any

from PIL import Image

from diffc.threads import ForkSafeLock

# which threads have saved an image, by its id, for as long as it lives
_savers: dict[int, tuple[weakref.ref[Image.Image], set[int]]] = {}
_lock = ForkSafeLock()


def _is_shared(image: Image.Image) -> bool:
    """Note that this thread saves an image; return whether another has done so."""
    key, thread = id(image), threading.get_ident()
    with _lock:
        if key not in _savers:
            _savers[key] = weakref.ref(image, lambda _: _savers.pop(key, None)), set()
        threads = _savers[key][1]
        threads.add(thread)
        return len(threads) > 1


def _call_in(frame: FrameType | None, image: Image.Image) -> Mapping[str, Any] | None:
    """Return the variables of the call of ``image.save`` that a frame is in, if it is in one."""
    while frame is not None:
        code = frame.f_code
        if code.co_name == "save" and code.co_filename == Image.__file__:
            variables = frame.f_locals
            if variables.get("self") is image and "params" in variables:
                return variables
        frame = frame.f_back
    return None


def _calls_elsewhere(image: Image.Image) -> list[Mapping[str, Any]]:
    """Return the variables of the calls of ``image.save`` that other threads are in."""
    here = threading.get_ident()
    frames = {thread: frame for thread, frame in sys._current_frames().items() if thread != here}
    calls = (_call_in(frame, image) for frame in frames.values())
    return [call for call in calls if call is not None]


def _all_of(calls: list[Mapping[str, Any]], name: str) -> bool:
    return all(str(call.get("format")).upper() == name for call in calls)


def _take_back(params: dict[str, Any], calls: list[Mapping[str, Any]], own: object) -> None:
    """Empty what other calls would put back: keywords of this one that they have found."""
    for call in calls:
        found = call.get("encoderinfo")
        if not params or not isinstance(found, dict) or found is own:
            continue
        if all(key in found and found[key] is value for key, value in params.items()):
            found.clear()


@contextmanager
def options_of_call(image: Image.Image, name: str) -> Iterator[dict[str, Any]]:
    """Yield the keywords that this thread's call of ``image.save`` was given.

    Parameters
    ----------
    image : PIL.Image.Image
        The image that is being saved.
    name : str
        The format's name; the keywords of other formats' calls are never touched.
    """
    call = _call_in(sys._getframe(), image)
    if call is None:
        # called by another plugin, which has set them
        yield dict(getattr(image, "encoderinfo", {}))
        return
    shared = _is_shared(image)
    params, before = dict(call["params"]), call.get("encoderinfo") or {}
    elsewhere = _calls_elsewhere(image)
    attached = getattr(image, "encoderinfo", None)
    if _all_of(elsewhere, name):
        if isinstance(attached, dict) and attached is not before:
            attached.clear()
        _take_back(params, elsewhere, before)
    # what stood on the image is the caller's own, or what another call has put there meanwhile
    others = bool(before) and (shared or bool(elsewhere))
    try:
        yield params if others else params | before
    finally:
        elsewhere = _calls_elsewhere(image)
        if _all_of(elsewhere, name):
            _take_back(params, elsewhere, before)
            if others:
                before.clear()
