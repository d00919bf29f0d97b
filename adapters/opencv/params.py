"""Options of writing: OpenCV's flat lists of whole numbers, and keywords beside them."""

from __future__ import annotations

import warnings
from operator import index
from typing import Any

from diffc.adapters.opencv.constants import (
    BACKENDS,
    IMWRITE_DIFFC_BACKEND,
    IMWRITE_DIFFC_BPP_X10000,
    IMWRITE_DIFFC_QUALITY,
    IMWRITE_DIFFC_TARGET_SIZE,
)
from diffc.adapters.opencv.host import failure

_INT_END = 1 << 31
# id -> name, option of diffc.encode, range, and the number that stands for 1 of the option
_NUMBERS = {
    IMWRITE_DIFFC_QUALITY: ("IMWRITE_DIFFC_QUALITY", "quality", 0, 100, 1),
    IMWRITE_DIFFC_BPP_X10000: ("IMWRITE_DIFFC_BPP_X10000", "bpp", 1, _INT_END - 1, 10_000),
    IMWRITE_DIFFC_TARGET_SIZE: ("IMWRITE_DIFFC_TARGET_SIZE", "target_size", 1, _INT_END - 1, 1),
}


def take_params(params: Any, options: dict[str, Any]) -> dict[str, Any]:
    """Return the options of `diffc.encode` that a list of pairs and keywords ask for.

    Parameters
    ----------
    params : sequence of int, optional
        Pairs of id and value.  As in OpenCV, unknown ids are ignored with a warning, values out
        of range are brought into it with a warning, and the last of equal ids holds.
    options : dict
        Keywords of `diffc.encode`.

    Raises
    ------
    ValueError
        A ``cv2.error`` where there is cv2: if the list is not one of pairs of whole numbers, or
        an option is given in both ways.
    """
    numbers = _whole_numbers(params)
    if len(numbers) % 2:
        raise failure(f"params is a flat list of ids and values, not of {len(numbers)} numbers")
    taken: dict[str, Any] = {}
    for key, value in zip(numbers[::2], numbers[1::2], strict=True):
        complaint = _take_pair(key, value, taken)
        if complaint is not None:
            # the caller of imwrite or imencode, past the functions between
            warnings.warn(complaint, RuntimeWarning, stacklevel=4)
    twice = sorted(taken.keys() & options.keys())
    if twice:
        raise failure(f"{twice[0]} is given in params and as a keyword: drop one of them")
    return taken | options


def refuse_keywords(options: dict[str, Any]) -> None:
    """Raise a `ValueError`, a ``cv2.error`` where there is cv2, if there are any keywords."""
    for name in options:
        raise failure(f"{name!r} is an option of .diffc files only: pass a list of params instead")


def _take_pair(key: int, value: int, taken: dict[str, Any]) -> str | None:
    """Add what a pair asks for to ``taken``; return what is wrong with it, if anything is."""
    if key == IMWRITE_DIFFC_BACKEND and value in BACKENDS:
        taken["backend"] = BACKENDS[value]
        return None
    if key == IMWRITE_DIFFC_BACKEND:
        known = ", ".join(f"{number} ({name})" for number, name in BACKENDS.items())
        return f"IMWRITE_DIFFC_BACKEND is one of {known}, not {value}: it is ignored"
    if key not in _NUMBERS:
        return f"params id {key} is none of DIFFC's, the IMWRITE_DIFFC constants: it is ignored"
    name, option, lowest, highest, unit = _NUMBERS[key]
    inside = min(max(value, lowest), highest)
    taken[option] = inside / unit if unit > 1 else inside
    if inside == value:
        return None
    return f"{name} is {lowest} to {highest}, not {value}: {inside} is used"


def _whole_numbers(params: Any) -> list[int]:
    if params is None:
        return []
    try:
        if isinstance(params, dict | str | bytes):
            raise TypeError
        given = list(params)
        if any(isinstance(each, bool) for each in given):
            raise TypeError
        numbers = [index(each) for each in given]
    except TypeError:
        raise failure(
            f"params is a flat list of whole numbers, not {params!r}: scale fractions, as "
            "IMWRITE_DIFFC_BPP_X10000 does, or pass keywords such as bpp=0.05"
        ) from None
    for each in numbers:
        if not -_INT_END <= each < _INT_END:
            raise failure(f"params holds numbers of 32 bits, not {each}: pass a keyword instead")
    return numbers
