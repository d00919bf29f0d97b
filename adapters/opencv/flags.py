"""What the flags of ``cv2.imread`` ask for."""

from __future__ import annotations

from dataclasses import dataclass
from operator import index

from diffc.adapters.opencv.constants import (
    IMREAD_ANYCOLOR,
    IMREAD_ANYDEPTH,
    IMREAD_COLOR,
    IMREAD_COLOR_RGB,
    IMREAD_IGNORE_ORIENTATION,
    IMREAD_LOAD_GDAL,
    IMREAD_REDUCED_GRAYSCALE_2,
    IMREAD_REDUCED_GRAYSCALE_4,
    IMREAD_REDUCED_GRAYSCALE_8,
    IMREAD_UNCHANGED,
)
from diffc.adapters.opencv.host import failure

_ANYTHING = IMREAD_COLOR | IMREAD_ANYDEPTH | IMREAD_ANYCOLOR


@dataclass(frozen=True)
class Reading:
    """What flags ask for.

    Parameters
    ----------
    channels : int, optional
        1 or 3; None for as many as the file has.
    color_if_any : bool
        With 1 channel: 3 all the same if the file has colour or alpha.
    rgb : bool
        Red first, not blue.
    denominator : int
        1, 2, 4 or 8, by which the sides are divided.
    rotate : bool
        Apply the orientation of the EXIF metadata.
    """

    channels: int | None
    color_if_any: bool
    rgb: bool
    denominator: int
    rotate: bool

    def channels_of(self, stored: int) -> int:
        """Return how many channels a file of 1, 3 or 4 becomes."""
        if self.channels is None:
            return stored
        return 3 if self.color_if_any and stored > 1 else self.channels


def parse_flags(flags: object) -> Reading:
    """Read a combination of flags as OpenCV 5 does, negative ones included.

    Raises
    ------
    ValueError
        A ``cv2.error`` where there is cv2: if they are no whole number, or contradict themselves.
    """
    number = IMREAD_COLOR if flags is None else _whole(flags)
    if number == IMREAD_UNCHANGED:
        return Reading(None, False, False, 1, False)
    color, rgb = bool(number & IMREAD_COLOR), bool(number & IMREAD_COLOR_RGB)
    if color and rgb:
        raise failure(f"IMREAD_COLOR and IMREAD_COLOR_RGB exclude each other, not flags {number}")
    kept = bool(number & IMREAD_LOAD_GDAL) or number & _ANYTHING == _ANYTHING
    channels = None if kept else 3 if color or rgb else 1
    rotate = not number & IMREAD_IGNORE_ORIENTATION
    return Reading(channels, bool(number & IMREAD_ANYCOLOR), rgb, _denominator(number), rotate)


def _whole(flags: object) -> int:
    try:
        if not isinstance(flags, bool):
            return index(flags)  # type: ignore[arg-type]
    except TypeError:
        pass
    raise failure(f"flags is a whole number, an IMREAD constant, not {flags!r}: combine them by |")


def _denominator(flags: int) -> int:
    if flags < 0:
        return 1
    reduced = {IMREAD_REDUCED_GRAYSCALE_2: 2, IMREAD_REDUCED_GRAYSCALE_4: 4}
    reduced[IMREAD_REDUCED_GRAYSCALE_8] = 8
    return next((by for bit, by in reduced.items() if flags & bit), 1)
